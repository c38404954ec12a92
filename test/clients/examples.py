"""The programs in examples/: each prints what its first lines say, a second time too, and by the index."""

import os
import pathlib
import re
import subprocess
import sys

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


def shown(source):
    """The lines below the word `prints` in the first comment."""
    text = source.read_text(encoding="utf-8")
    below = re.split(r"^(?:// )?prints$", text, maxsplit=1, flags=re.MULTILINE)[1]
    lines = []
    for line in below.splitlines()[2:]:
        if line in ('"""', "") or not line.startswith(("    ", "//   ")):
            return lines
        lines.append(line.removeprefix("//").strip())
    raise AssertionError(f"{source.name} has no end of what it prints")


def check(database, source, command, **environment):
    expected = shown(source)
    assert expected, f"{source.name} does not say what it prints"
    for _ in range(2):
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False,
                                env=os.environ | environment | {"DATABASE_URL": database.url("postgresql")})
        assert result.returncode == 0, result.stdout + result.stderr
        assert [line.strip() for line in result.stdout.splitlines()] == expected
    [scans] = database.scans().values()
    assert scans > 0


def check_python(database, name):
    source = EXAMPLES / "python" / f"{name}.py"
    check(database, source, [sys.executable, source])
