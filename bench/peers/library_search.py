"""A library that searches vectors, in a process of its own, for bench/harness/libraries.py. It needs numpy, and of the
packages rabitqlib, faiss-cpu, pyvsag and qdrant-edge-py the one that is asked for.

A line of JSON with the job comes first, answered when the index is built, then a line with an ef for each point: the answer
has the recall, and the processor time of a query in microseconds on one thread, the least of some repetitions. Where
the library takes several queries in one call it gets all, so that Python costs nothing.
"""

import json
import os
import sys
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = "1"

import numpy  # noqa: E402

REPEATED = 5


def read(path, kind):
    words = numpy.fromfile(path, dtype="<i4")
    return words.reshape(-1, words[0] + 1)[:, 1:].copy().view(kind)


class SymphonyQG:
    """rabitqlib: a graph with the codes of neighbours beside the links to them."""

    def __init__(self, job, base):
        import rabitqlib
        # By length-one vectors, inner product is the order of cosine.
        metric = {"l2": "l2", "cosine": "ip"}[job["metric"]]
        self.index = rabitqlib.SymqgIndex(base.shape[1], 2 * job["m"], metric)
        self.index.build(base, 2 * job["ef_construction"], job["threads"])

    def search(self, queries, k, ef):
        return self.index.search(queries, k, ef, 1)[0]


class Faiss:
    """Its HNSW over vectors that are stored in some way."""

    def __init__(self, job, base):
        import faiss
        metric = {"l2": faiss.METRIC_L2, "cosine": faiss.METRIC_INNER_PRODUCT}[job["metric"]]
        self.index = self.make(faiss, base.shape[1], job["m"], metric)
        self.index.hnsw.efConstruction = job["ef_construction"]
        faiss.omp_set_num_threads(job["threads"])
        self.index.train(base)
        self.index.add(base)
        faiss.omp_set_num_threads(1)

    def search(self, queries, k, ef):
        self.index.hnsw.efSearch = ef
        return self.index.search(queries, k)[1]


class FaissFlat(Faiss):
    @staticmethod
    def make(faiss, dimensions, m, metric):
        return faiss.IndexHNSWFlat(dimensions, m, metric)


class FaissBytes(Faiss):
    @staticmethod
    def make(faiss, dimensions, m, metric):
        return faiss.IndexHNSWSQ(dimensions, faiss.ScalarQuantizer.QT_8bit, m, metric)


class Vsag:
    """Its graph over bytes, with the vectors to put what is found in order."""

    def __init__(self, job, base):
        import pyvsag
        pyvsag.set_logger_off()
        self.index = pyvsag.Index("hgraph", json.dumps({
            "dtype": "float32", "metric_type": {"l2": "l2", "cosine": "cosine"}[job["metric"]],
            "dim": base.shape[1],
            "index_param": {"base_quantization_type": "sq8_uniform", "use_reorder": True,
                            "precise_quantization_type": "fp32", "max_degree": 2 * job["m"],
                            "ef_construction": job["ef_construction"], "build_thread_count": job["threads"]}}))
        self.index.build(base.reshape(-1), numpy.arange(len(base), dtype=numpy.int64), len(base), base.shape[1])

    def search(self, queries, k, ef):
        parameters = json.dumps({"hgraph": {"ef_search": ef}})
        return numpy.array([self.index.knn_search(query, k, parameters)[0] for query in queries])


class Qdrant:
    """Its engine, without a server."""

    def __init__(self, job, base):
        import qdrant_edge as qdrant
        self.qdrant = qdrant
        metric = {"l2": qdrant.Distance.Euclid, "cosine": qdrant.Distance.Cosine}[job["metric"]]
        graph = qdrant.HnswIndexConfig(m=job["m"], ef_construct=job["ef_construction"], full_scan_threshold=10)
        self.folder = tempfile.TemporaryDirectory(dir=job["folder"])
        self.shard = qdrant.EdgeShard.create(self.folder.name, qdrant.EdgeConfig(
            vectors=qdrant.EdgeVectorParams(size=base.shape[1], distance=metric, hnsw_config=graph),
            hnsw_config=graph, max_search_threads=1,
            optimizers=qdrant.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1)))
        for first in range(0, len(base), 2000):
            self.shard.update(qdrant.UpdateOperation.upsert_points(
                [qdrant.Point(row, base[row].tolist(), {}) for row in range(first, min(first + 2000, len(base)))]))
        while self.shard.optimize():
            pass

    def search(self, queries, k, ef):
        parameters = self.qdrant.SearchParams(hnsw_ef=ef)
        found = [[point.id for point in self.shard.search(self.qdrant.SearchRequest(
            query=self.qdrant.Query.Nearest(query), limit=k, params=parameters))] for query in queries.tolist()]
        return numpy.array([ids + [-1] * (k - len(ids)) for ids in found])


LIBRARIES = {"SymphonyQG": SymphonyQG, "faiss, floats": FaissFlat, "faiss, bytes": FaissBytes, "vsag": Vsag,
             "Qdrant": Qdrant}


def recall(found, base, queries, truth, k):
    """By distance, so that equal vectors count as each other."""
    hits = 0
    for ids, query, nearest in zip(found, queries, truth):
        def apart(which):
            return numpy.square(base[which] - query).sum(axis=1, dtype=numpy.float64)
        hits += (apart(ids[ids >= 0]) <= apart(nearest[k - 1:k])[0] * (1 + 1e-6)).sum()
    return hits / (k * len(queries))


def main():
    job = json.loads(sys.stdin.readline())
    base, queries, truth = read(job["base"], "<f4"), read(job["queries"], "<f4"), read(job["truth"], "<i4")
    before = time.process_time()
    library = LIBRARIES[job["library"]](job, base)
    print(json.dumps({"build_cpu_seconds": time.process_time() - before}), flush=True)
    for line in sys.stdin:
        ef = json.loads(line)["ef"]
        found = numpy.asarray(library.search(queries, job["k"], ef)).astype(numpy.int64)
        times = []
        for _ in range(REPEATED):
            before = time.process_time_ns()
            library.search(queries, job["k"], ef)
            times.append(time.process_time_ns() - before)
        print(json.dumps({"recall": float(recall(found, base, queries, truth, job["k"])),
                          "cpu_us": min(times) / 1000 / len(queries)}), flush=True)


main()
