"""Recall does not get worse by little: at an ef_search so small that every link counts, against what it was when
this was written, for a graph that CREATE INDEX built and for one that the worker linked. One thread links, and
the data come from seeds."""

import numpy as np
import pytest

import answers
import vectors
from cluster import Cluster
from worker import wait_until_linked

ROWS = 4000
DIMENSIONS = 16
QUERIES = 200
LIMIT = 10
RECALL = {"built": 0.9115, "inserted": 0.9115}
ROUNDING = 0.01   # batches end where rows happened to be when the linker looked
LOSS = 0.02       # that must be noticed


@pytest.fixture(scope="module")
def loaded(prepared_template):
    cluster = Cluster(prepared_template, dvec__link_threads=1)
    try:
        cluster.start()
        points = np.random.default_rng(11).normal(size=(ROWS + QUERIES, DIMENSIONS)).astype(np.float32)
        yield cluster, points[:ROWS], points[ROWS:]
    finally:
        cluster.destroy()


def recall_of_index(loaded, way, options=""):
    cluster, rows, queries = loaded
    connection = cluster.connect()
    connection.execute("SET max_parallel_maintenance_workers = 0")
    connection.execute(f"CREATE TABLE items (id integer, v vector({DIMENSIONS}))")
    try:
        index = f"CREATE INDEX ON items USING hnsw (v vector_l2_ops) {options}"
        if way == "inserted":
            connection.execute(index)
        vectors.copy_in(connection, "items", 0, rows)
        if way == "built":
            connection.execute(index)
        answers.force_index(connection, ef_search=LIMIT)
        connection.execute("SET hnsw.iterative_scan = off")  # else it would keep more than the LIMIT
        answers.nearest(connection, "items", rows[0], 1)  # opens the index, so that its state is shown
        wait_until_linked(connection)
        found = 0
        for query in queries:
            exact = vectors.distances("l2", rows, query)
            wanted = set(exact.argsort(kind="stable")[:LIMIT].tolist())
            found += len(wanted & {hit[0] for hit in answers.nearest(connection, "items", query, LIMIT, "<->")})
        print(f"recall@{LIMIT}, {way}, {options or 'usual options'}: {found / (QUERIES * LIMIT):.4f}")
        return found / (QUERIES * LIMIT)
    finally:
        connection.execute("DROP TABLE items")


@pytest.mark.parametrize("way", ["built", "inserted"])
def test_recall_is_as_it_was(loaded, way):
    assert recall_of_index(loaded, way) == pytest.approx(RECALL[way], abs=ROUNDING)


@pytest.mark.parametrize("way", ["built", "inserted"])
@pytest.mark.parametrize("options", ["WITH (m = 12)", "WITH (m = 12, ef_construction = 24)"])
def test_loss_is_noticed(loaded, way, options):
    assert recall_of_index(loaded, way, options) < RECALL[way] - LOSS
