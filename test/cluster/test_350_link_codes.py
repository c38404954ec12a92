"""An index with link codes answers as one without, whatever happens to it, and measures fewer rows for it."""

import numpy as np
import pytest

import answers
import replicas
import vectors
from cluster import wait_until
from worker import wait_until_linked

DIMENSIONS = 64
COUNT = 12_000  # codes are made from 10,000 on
ROWS = vectors.clustered(COUNT, DIMENSIONS, seed=350, clusters=300)
QUERIES = vectors.clustered(30, DIMENSIONS, seed=350, clusters=300)
NEAREST = "SELECT id FROM t ORDER BY v <-> %s LIMIT 10"


def make(cluster, options="WITH (link_codes = on)"):
    connection = cluster.connect()
    connection.execute(f"CREATE TABLE t (id integer PRIMARY KEY, v vector({DIMENSIONS}))")
    vectors.copy_in(connection, "t", 0, ROWS)
    connection.execute(f"CREATE INDEX t_v_idx ON t USING hnsw (v vector_l2_ops) {options}")
    connection.execute("SET enable_seqscan = off")
    return connection


def nearest(connection, query):
    return [row for [row] in connection.execute(NEAREST, [vectors.text(query)]).fetchall()]


def measured(connection, query=QUERIES[0]):
    nearest(connection, query)
    [[distances]] = connection.execute("SELECT distances FROM dvec_last_searches()").fetchall()
    return distances


def bytes_of_codes(connection):
    [[size]] = connection.execute("SELECT bytes FROM dvec_index_size('t_v_idx') WHERE part = 'link_codes'").fetchall()
    return size


def without_codes(connection):
    """What a walk by links measures."""
    connection.execute("ALTER INDEX t_v_idx SET (link_codes = off)")
    distances = measured(connection)
    connection.execute("ALTER INDEX t_v_idx SET (link_codes = on)")
    return distances


def wait_for_codes(connection, without):
    [[nodes]] = connection.execute("SELECT nodes FROM dvec_indexes WHERE index = 't_v_idx'::regclass").fetchall()
    block = 32 * (3 * 4 + DIMENSIONS // 8)

    def coded():
        return measured(connection) < 0.8 * without and bytes_of_codes(connection) >= nodes * block

    wait_until(coded, "links are coded", 60)


def recall(connection, rows):
    """Of `rows`, a dict of vectors by id, the share of the ten nearest that is found."""
    ids = np.array(list(rows))
    matrix = np.array(list(rows.values()))
    hits = 0
    for query in QUERIES:
        truth = np.sort(vectors.distances("l2", matrix, query))[9]
        found = nearest(connection, query)
        assert len(found) == 10 and set(found) <= set(ids.tolist())
        hits += sum(vectors.distances("l2", rows[row][None], query)[0] <= truth for row in found)
    return hits / (10 * len(QUERIES))


def all_rows():
    return dict(enumerate(ROWS))


def test_answers_of_a_table_that_changes(make_cluster):
    cluster = make_cluster(dvec__compact_threshold="0")
    connection = make(cluster)
    without = without_codes(connection)
    wait_for_codes(connection, without)
    rows = all_rows()
    assert recall(connection, rows) > 0.97
    # Rows that come are found at once, in the tail and when they are linked, before and after links are coded anew.
    more = vectors.clustered(600, DIMENSIONS, seed=351, clusters=300)
    for at in range(0, 600, 200):
        vectors.copy_in(connection, "t", COUNT + at, more[at:at + 200])
        rows |= {COUNT + at + i: more[at + i] for i in range(200)}
        for i in range(at, at + 200, 7):
            assert nearest(connection, more[i])[0] == COUNT + i
        wait_until_linked(connection, "t_v_idx")
        assert sum(nearest(connection, more[i])[0] == COUNT + i for i in range(at, at + 200)) >= 198
    # Rows that go are not found.
    connection.execute("DELETE FROM t WHERE id % 5 = 0")
    connection.execute("VACUUM (INDEX_CLEANUP ON) t")
    rows = {row: vector for row, vector in rows.items() if row % 5}
    assert recall(connection, rows) > 0.97
    # More rows than the walk keeps, and all of them.
    many = connection.execute("SELECT id FROM t ORDER BY v <-> %s LIMIT 500", [vectors.text(QUERIES[0])]).fetchall()
    assert len({row for [row] in many}) == 500
    every = connection.execute("SELECT id FROM t ORDER BY v <-> %s", [vectors.text(QUERIES[0])]).fetchall()
    assert {row for [row] in every} == set(rows) and len(every) == len(rows)


def test_guesses_are_shown(make_cluster):
    """By dvec_last_searches() and by EXPLAIN below a VectorSearch, which every version shows."""
    cluster = make_cluster()
    connection = make(cluster)
    without = without_codes(connection)
    assert connection.execute("SELECT estimates FROM dvec_last_searches()").fetchall() == [(0,)]
    wait_for_codes(connection, without)
    nearest(connection, QUERIES[0])
    [[estimates, distances]] = connection.execute(
        "SELECT estimates, distances FROM dvec_last_searches()").fetchall()
    assert estimates > distances and estimates % 32 == 0
    # With it the planner knows that the condition leaves no row out.
    connection.execute("ANALYZE t")
    [[[plan]]] = connection.execute(
        "EXPLAIN (ANALYZE, FORMAT JSON) SELECT id FROM t WHERE id >= 0 ORDER BY v <-> %s LIMIT 10",
        [vectors.text(QUERIES[0])]).fetchall()
    [search] = plan["Plan"]["Plans"]
    [[estimates]] = connection.execute("SELECT estimates FROM dvec_last_searches()").fetchall()
    assert search["Node Type"] == "Custom Scan" and search["Index Estimates"] == estimates > 0


def test_they_come_and_go(make_cluster):
    cluster = make_cluster()
    connection = make(cluster, "")
    without = measured(connection)
    assert bytes_of_codes(connection) == 0
    for _ in range(2):
        connection.execute("ALTER INDEX t_v_idx SET (link_codes = on)")
        wait_for_codes(connection, without)
        assert bytes_of_codes(connection) > 0
        connection.execute("ALTER INDEX t_v_idx SET (link_codes = off)")
        assert measured(connection) == without

        def gone():
            measured(connection)
            return bytes_of_codes(connection) == 0

        wait_until(gone, "the codes are removed", 60)


@pytest.mark.parametrize("end", ["restart", "kill"])
def test_after_a_start(make_cluster, end):
    cluster = make_cluster()
    connection = make(cluster)
    without = without_codes(connection)
    wait_for_codes(connection, without)
    more = vectors.clustered(300, DIMENSIONS, seed=352, clusters=300)
    vectors.copy_in(connection, "t", COUNT, more)
    if end == "restart":
        cluster.restart()
    else:
        cluster.kill_postmaster()
        cluster.start()
    connection = cluster.connect()
    connection.execute("SET enable_seqscan = off")
    rows = all_rows() | {COUNT + i: vector for i, vector in enumerate(more)}
    assert recall(connection, rows) > 0.97
    wait_for_codes(connection, without)
    assert recall(connection, rows) > 0.97
    assert sum(nearest(connection, more[i])[0] == COUNT + i for i in range(300)) >= 297


def test_compaction(make_cluster):
    cluster = make_cluster()
    connection = make(cluster)
    without = without_codes(connection)
    wait_for_codes(connection, without)
    more = vectors.clustered(3 * COUNT, DIMENSIONS, seed=350, clusters=300)[COUNT:]
    vectors.copy_in(connection, "t", COUNT, more)
    connection.execute("DELETE FROM t WHERE id < %s", [2 * COUNT])
    connection.execute("VACUUM (INDEX_CLEANUP ON) t")
    wait_until(lambda: answers.index_state(connection, "t_v_idx")["compactions"] >= 1, "it is compacted", 120)
    rows = {COUNT + i: vector for i, vector in enumerate(more) if i >= COUNT}
    connection.execute("ALTER INDEX t_v_idx SET (link_codes = off)")
    usual = recall(connection, rows)
    wait_for_codes(connection, without_codes(connection))
    assert recall(connection, rows) > usual - 0.02


def test_on_a_standby(make_cluster, standbys):
    primary = make_cluster(**replicas.PRIMARY)
    connection = make(primary)
    without = without_codes(connection)
    standby = standbys.make(primary)
    replicas.wait_until_followed(standby, "t")
    other = standby.connect()
    other.execute("SET enable_seqscan = off")
    wait_for_codes(other, without)
    assert recall(other, all_rows()) > 0.97
