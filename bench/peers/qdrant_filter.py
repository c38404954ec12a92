"""Qdrant's engine in a process of its own, for bench/harness/qdrant.py: needs the package qdrant-edge-py.

A line of JSON with the job comes first, then one for each question; a line of JSON answers each. Vectors are read from
a file; payloads are two integers, `number` and `region`, with an index each, made before the graph is.
"""

import json
import pathlib
import sys
import tempfile
import time

import qdrant_edge as qdrant

BATCH = 2000
METRICS = {"l2": qdrant.Distance.Euclid, "cosine": qdrant.Distance.Cosine}


def vectors(path):
    with open(path, "rb") as file:
        while head := file.read(4):
            yield list(memoryview(file.read(4 * int.from_bytes(head, "little"))).cast("f"))


def make(job, folder):
    graph = qdrant.HnswIndexConfig(m=job["m"], ef_construct=job["ef_construction"], full_scan_threshold=10_000)
    shard = qdrant.EdgeShard.create(folder, qdrant.EdgeConfig(
        vectors=qdrant.EdgeVectorParams(size=job["dimensions"], distance=METRICS[job["metric"]], hnsw_config=graph),
        hnsw_config=graph, max_search_threads=1,
        optimizers=qdrant.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1)))
    for name in ("number", "region"):
        shard.update(qdrant.UpdateOperation.create_field_index(name, qdrant.PayloadSchemaType.Integer))
    batch = []
    payloads = zip(job["ids"], job["numbers"], job["regions"], vectors(job["base"]), strict=True)
    for row, number, region, vector in payloads:
        batch.append(qdrant.Point(row, vector, {"number": number, "region": region}))
        if len(batch) == BATCH:
            shard.update(qdrant.UpdateOperation.upsert_points(batch))
            batch = []
    if batch:
        shard.update(qdrant.UpdateOperation.upsert_points(batch))
    while shard.optimize():
        pass
    return shard


def filter_of(condition):
    if not condition:
        return None
    if "below" in condition:
        return qdrant.Filter(must=[qdrant.FieldCondition("number", range=qdrant.RangeFloat(lt=condition["below"]))])
    return qdrant.Filter(must=[qdrant.FieldCondition("region", match=qdrant.MatchAny(condition["regions"]))])


def answer(shard, job, question):
    """Ids for each vector, and processor time of one answer in microseconds, all threads together: of each the least
    of some repetitions."""
    requests = [qdrant.SearchRequest(query=qdrant.Query.Nearest(vector), limit=job["k"], filter=filter_of(condition),
                                     params=qdrant.SearchParams(hnsw_ef=question["ef"]))
                for vector, condition in zip(question["vectors"], question["conditions"], strict=True)]
    found = [[point.id for point in shard.search(request)] for request in requests]
    used = 0
    for request in requests:
        times = []
        for _ in range(job["repeated"]):
            before = time.process_time_ns()
            shard.search(request)
            times.append(time.process_time_ns() - before)
        used += min(times)
    return {"ids": found, "cpu_us": used / 1000 / len(requests)}


def main():
    job = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory(dir=job["folder"]) as folder:
        shard = make(job, str(pathlib.Path(folder)))
        print(json.dumps({"points": shard.info().points_count, "indexed": shard.info().indexed_vectors_count}), flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(shard, job, json.loads(line))), flush=True)


main()
