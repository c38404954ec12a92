"""Libraries that search vectors in memory, each in a process of its own and on one thread, beside dvec and pgvector by SQL:
processor time of one query over ef. What SQL costs without a search is taken off where there is SQL, so that searches
are compared; dvec's engine is measured in a process of its own, too. The libraries are asked by an interpreter that has
their packages (bench/peers/library_search.py).

Whoever is measured has the same degree and ef_construction as far as it knows these words: m = 16 is a degree of 32.
"""

import json
import subprocess
import time

from harness import data, plan
from harness.peers import InProcess
from harness.sections import note_dataset, search_floor

SCRIPT = plan.ROOT / "bench/peers/library_search.py"
ENGINE = "dvec, without a server"
LIBRARIES = ("SymphonyQG", "faiss, floats", "faiss, bytes", "vsag", "Qdrant")


class Library:
    def __init__(self, python, name, dataset, files, threads):
        self.process = subprocess.Popen([python, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.build = self.ask({
            "library": name, "base": str(files.base), "queries": str(files.queries), "truth": str(files.truth),
            "metric": dataset.metric, "m": plan.M, "ef_construction": plan.EF_CONSTRUCTION, "threads": threads,
            "k": plan.K, "folder": str(plan.BUILD)})

    def ask(self, question):
        """None when the library cannot."""
        print(json.dumps(question), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def servers(bench, dataset, files):
    """dvec and pgvector, a point of each in turn, less the floor that was measured at that point."""
    tables = {peer.name: peer.load(dataset, files) for peer in bench.peers.indexed()}
    for peer in bench.peers.indexed():
        peer.ensure_index(dataset, tables[peer.name])
    for ef in bench.scale.efs:
        for peer in bench.peers.indexed():
            point(bench, dataset, files, peer, ef, peer.name)
    if "dvec" in tables:
        with_link_codes(bench, dataset, files)


def point(bench, dataset, files, peer, ef, name):
    bench.say(f"libraries {dataset.name} {name} ef {ef}")
    table = peer.load(dataset, files)
    found = peer.search(dataset, files, table, ef, 1, bench.scale.seconds, True)
    floor = search_floor(peer, files, table, 1, bench.scale.seconds / 3)
    keep(bench, dataset, name, ef,
         {"recall": found["recall"], "cpu_us": found["backend_cpu_us"] - floor["backend_cpu_us"]})


def with_link_codes(bench, dataset, files):
    """The same index, with codes beside its links, which the worker makes when a search wants them."""
    peer = bench.peers["dvec"]
    index = f"{peer.load(dataset, files)}_hnsw"
    peer.server.sql(f"ALTER INDEX {index} SET (link_codes = on)")

    def coded():
        peer.search(dataset, files, peer.load(dataset, files), plan.K, 1, 0.1, False)
        return peer.server.value("SELECT bytes_per_row FROM dvec_index_size(%s) WHERE part = 'link_codes'", [index])

    bytes_of_one = 32 * (3 * 4 + (int(files.described()["dimensions"]) + 63) // 64 * 8)
    deadline = time.monotonic() + 600
    while coded() < bytes_of_one:
        if time.monotonic() > deadline:
            raise SystemExit(f"libraries: the links of {index} were not coded")
    for ef in bench.scale.efs:
        point(bench, dataset, files, peer, ef, "dvec, link codes")
    peer.server.sql(f"ALTER INDEX {index} SET (link_codes = off)")


def keep(bench, dataset, peer, ef, point):
    bench.results.add([point], section="libraries", dataset=dataset.name, peer=peer, clients=1, ef=ef)


def without_server(bench, dataset, files):
    """hnswlib, and dvec's engine: what it takes less than dvec by SQL is what sleeping between two queries costs."""
    if "hnswlib" in bench.peers.names:
        in_process(bench, dataset, "hnswlib", InProcess("bare_hnswlib", dataset, files, bench.peers.threads))
    if "dvec" in bench.peers.names:
        for name, more in ((ENGINE, {}), (f"{ENGINE}, link codes", {"link_codes": 1})):
            in_process(bench, dataset, name, InProcess("bare_dvec", dataset, files, bench.peers.threads, **more))


def in_process(bench, dataset, name, peer):
    try:
        for ef in bench.scale.efs:
            bench.say(f"libraries {dataset.name} {name} ef {ef}")
            found = peer.search(ef, 1, bench.scale.seconds, True)
            keep(bench, dataset, name, ef, {"recall": found["recall"], "cpu_us": found["backend_cpu_us"]})
    finally:
        peer.destroy()


def library(bench, dataset, files, name):
    bench.say(f"libraries {dataset.name} {name}")
    process = Library(bench.peers.libraries, name, dataset, files, bench.peers.threads)
    try:
        for ef in bench.scale.efs if process.build is not None else ():
            found = process.ask({"ef": ef})
            if found is not None:
                keep(bench, dataset, name, ef, found)
    finally:
        process.end()


def libraries(bench):
    if not bench.peers.libraries:
        raise SystemExit("libraries: --libraries names an interpreter that has their packages")
    for dataset in bench.datasets:
        files = data.ensure(dataset)
        note_dataset(bench, dataset, files)
        servers(bench, dataset, files)
        without_server(bench, dataset, files)
        for name in LIBRARIES:
            library(bench, dataset, files, name)
