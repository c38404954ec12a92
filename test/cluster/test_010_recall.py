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
        assert np.all(np.diff(told) >= -1e-5 * np.abs(told[1:])), f"not in order: {told}"
        found += len(wanted & {hit[0] for hit in hits})
    recall = found / (QUERIES * LIMIT)
    connection.execute("DROP INDEX items_v_idx")
    assert recall >= 0.98, f"recall@{LIMIT} of {metric} is {recall:.4f}"
