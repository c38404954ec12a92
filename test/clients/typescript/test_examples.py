"""The programs of examples/typescript, compiled with all that TypeScript checks, print what they say."""

import pathlib
import shutil
import subprocess

import pytest

import examples

SOURCES = examples.EXAMPLES / "typescript"
MODULES = pathlib.Path(__file__).resolve().parents[3] / "build/clients/typescript/node_modules"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Where a package.json says that files are modules, and what they import is found beside them."""
    folder = tmp_path_factory.mktemp("examples")
    for source in SOURCES.iterdir():
        if source.suffix in (".ts", ".json"):
            shutil.copy(source, folder)
    (folder / "node_modules").symlink_to(MODULES)
    result = subprocess.run(["node", MODULES / "typescript/bin/tsc", "--project", folder], capture_output=True, text=True,
                            check=False)
    assert result.returncode == 0, result.stdout
    return folder / "dist"


@pytest.mark.parametrize("name", ["notes-pg", "notes-drizzle"])
def test_example(database, compiled, name):
    examples.check(database, SOURCES / f"{name}.ts", ["node", compiled / f"{name}.js"])
