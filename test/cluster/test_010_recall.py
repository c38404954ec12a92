"""Answers through an index: nearly all of the true ones, at their exact distance, in order."""

import numpy as np
import pytest

import answers
import vectors

ROWS = 20000
DIMENSIONS = 128
QUERIES = 40
LIMIT = 10


@pytest.fixture(scope="module")
def loaded(prepared_template):
    from cluster import Cluster
    cluster = Cluster(prepared_template)
    try:
        cluster.start()
        # Queries are of the same clusters as the rows.
        points = vectors.clustered(ROWS + QUERIES, DIMENSIONS, seed=1)
        rows, queries = points[:ROWS], points[ROWS:]
        connection = cluster.connect()
        connection.execute(f"CREATE TABLE items (id integer, v vector({DIMENSIONS}))")
        vectors.copy_in(connection, "items", 0, rows)
        yield cluster, rows, queries
    finally:
        cluster.destroy()


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine", "l1"])
def test_recall(loaded, metric):
    cluster, rows, queries = loaded
    operator = vectors.OPERATORS[metric]
    connection = cluster.connect()
    connection.execute(f"CREATE INDEX ON items USING hnsw (v vector_{metric}_ops)")
    answers.force_index(connection, ef_search=200)
    answers.check_plan(connection, f"SELECT id FROM items ORDER BY v {operator} %s::vector LIMIT 1",
                       [vectors.text(rows[0])])

    found = 0
    for query in queries:
        exact = vectors.distances(metric, rows, query)
        wanted = set(np.argpartition(exact, LIMIT)[:LIMIT].tolist())
        hits = answers.nearest(connection, "items", query, LIMIT, operator)
        assert len(hits) == LIMIT
        assert len({hit[0] for hit in hits}) == LIMIT, f"a row came twice: {hits}"
        told = np.array([hit[1] for hit in hits])
        true = exact[[hit[0] for hit in hits]]
        assert np.allclose(told, true, rtol=1e-5, atol=1e-5), f"{told} is not {true}"
        assert np.all(np.diff(told) >= 0), f"not in order: {told}"
        found += len(wanted & {hit[0] for hit in hits})
    recall = found / (QUERIES * LIMIT)
    print(f"recall@{LIMIT} of {metric}: {recall:.4f}")
    connection.execute("DROP INDEX items_v_idx")
    assert recall >= 0.985, f"recall@{LIMIT} of {metric} is {recall:.4f}"


# (Halves of unit length are too coarse to order the angles of so many rows in three dimensions.)
@pytest.mark.parametrize("type_name, metric", [
    ("vector", "l2"), ("vector", "ip"), ("vector", "cosine"), ("vector", "l1"),
    ("halfvec", "l2"), ("halfvec", "ip")])
def test_recall_in_a_cube(loaded, type_name, metric):
    """At the default ef_search. By inner product few of the rows are ever an answer, and the graph has to
    lead to those."""
    cluster, _, _ = loaded
    operator = vectors.OPERATORS[metric]
    random = np.random.default_rng(3)
    rows = (random.random((5000, 3)) * random.random((5000, 3))).astype(np.float16).astype(np.float32)
    queries = random.random((QUERIES, 3)).astype(np.float16).astype(np.float32)
    limit = 20
    connection = cluster.connect()
    connection.execute(f"CREATE TABLE cube (id integer, v {type_name}(3))")
    try:
        connection.execute("CREATE TEMP TABLE loading (id integer, v vector(3))")
        vectors.copy_in(connection, "loading", 0, rows)
        connection.execute("INSERT INTO cube SELECT id, v FROM loading")
        connection.execute(f"CREATE INDEX ON cube USING hnsw (v {type_name}_{metric}_ops)")
        answers.force_index(connection, ef_search=40)
        statement = f"SELECT id FROM cube ORDER BY v {operator} %s::{type_name} LIMIT {limit}"
        answers.check_plan(connection, statement, [vectors.text(queries[0])])
        found = 0
        for query in queries:
            exact = vectors.distances(metric, rows, query)
            farthest = np.partition(exact, limit - 1)[limit - 1] + 1e-6
            ids = [row[0] for row in connection.execute(statement, [vectors.text(query)])]
            found += int(np.count_nonzero(exact[ids] <= farthest))
        recall = found / (QUERIES * limit)
        print(f"recall@{limit} of {type_name}, {metric}: {recall:.4f}")
        assert recall >= 0.985, f"recall@{limit} of {type_name}, {metric} is {recall:.4f}"
    finally:
        connection.execute("DROP TABLE cube")
