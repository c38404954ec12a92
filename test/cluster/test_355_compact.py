"""An index that holds vectors compact answers as one that holds them: in the order and with the distances of the table,
and without a loss whatever happens to the server."""

import numpy as np
import pytest

import answers
import pgvector_beside
import replicas
import vectors
from cluster import wait_until
from worker import wait_until_linked

DIMENSIONS = 128
COUNT = 6_000
ROWS = vectors.clustered(COUNT, DIMENSIONS, seed=355, clusters=200)
QUERIES = vectors.clustered(30, DIMENSIONS, seed=355, clusters=200)
BITS = (8, 4, 1)
# What a search has to keep for ten rows, by the bits that an element has.
EF = {8: 60, 4: 80, 1: 240}


def make(cluster, bits, rows=ROWS, columns=""):
    connection = cluster.connect()
    connection.execute(f"CREATE TABLE t (id integer PRIMARY KEY, v vector({DIMENSIONS}))")
    vectors.copy_in(connection, "t", 0, rows)
    connection.execute(f"CREATE INDEX t_v_idx ON t USING hnsw (v vector_l2_ops{columns}) "
                       f"WITH (storage = compact, bits = {bits})")
    return session(cluster, bits, connection)


def session(cluster, bits, connection=None):
    connection = connection or cluster.connect()
    connection.execute("SET enable_seqscan = off")
    connection.execute(f"SET hnsw.ef_search = {EF[bits]}")
    return connection


def nearest(connection, query, limit=10):
    text = vectors.text(query)
    return connection.execute("SELECT id, v <-> %s FROM t ORDER BY v <-> %s LIMIT %s", [text, text, limit]).fetchall()


def recall(connection, rows, limit=10):
    """Of `rows`, a dict of vectors by id, the share of the nearest that is found. What is found is in order, with
    the table's distances."""
    ids = np.array(list(rows))
    matrix = np.array(list(rows.values()))
    hits = 0
    for query in QUERIES:
        distances = vectors.distances("l2", matrix, query)
        truth = np.sort(distances)[limit - 1] * (1 + 1e-6)
        found = nearest(connection, query, limit)
        assert len(found) == limit and {row for row, _ in found} <= set(ids.tolist())
        given = [distance for _, distance in found]
        assert given == sorted(given)
        for row, distance in found:
            exact = vectors.distances("l2", rows[row][None], query)[0]
            assert abs(distance - exact) <= 1e-5 * (1 + exact)
            hits += exact <= truth
    return hits / (limit * len(QUERIES))


def counts(connection, query):
    """Of a search: distances that compact vectors told, and rows that were measured in the table."""
    nearest(connection, query)
    [found] = connection.execute("SELECT estimates, distances FROM dvec_last_searches()").fetchall()
    return found


def numbered(rows, first=0):
    return {first + i: vector for i, vector in enumerate(rows)}


@pytest.mark.parametrize("bits", BITS)
def test_a_table_that_changes(make_cluster, bits):
    cluster = make_cluster()
    connection = make(cluster, bits)
    rows = numbered(ROWS)
    assert recall(connection, rows) > 0.95
    estimates, distances = counts(connection, QUERIES[0])
    assert 10 <= distances < EF[bits] + 10 < estimates < COUNT
    # Rows are found at once, in the tail and linked.
    more = vectors.clustered(600, DIMENSIONS, seed=356, clusters=200)
    vectors.copy_in(connection, "t", COUNT, more)
    rows |= numbered(more, COUNT)
    for linked in (False, True):
        if linked:
            wait_until_linked(connection, "t_v_idx")
        assert sum(nearest(connection, more[i], 1)[0][0] == COUNT + i for i in range(600)) >= 594
    # A row that moves has its new vector, one that only changes keeps its place.
    connection.execute("UPDATE t SET v = (SELECT v FROM t WHERE id = 5) WHERE id = 7")
    rows[7] = rows[5]
    assert {row for row, _ in nearest(connection, rows[5], 2)} == {5, 7}
    connection.execute("DELETE FROM t WHERE id % 2 = 0")
    rows = {row: vector for row, vector in rows.items() if row % 2}
    assert recall(connection, rows) > 0.95
    connection.execute("VACUUM (INDEX_CLEANUP ON) t")
    wait_until(lambda: answers.index_state(connection, "t_v_idx")["compactions"] >= 1, "it is compacted", 120)
    assert recall(connection, rows) > 0.95
    every = connection.execute("SELECT id FROM t ORDER BY v <-> %s", [vectors.text(QUERIES[0])]).fetchall()
    assert len(every) == len(rows) and {row for [row] in every} == set(rows)
    assert connection.execute("SELECT problem FROM dvec_check('t_v_idx')").fetchall() == []


@pytest.mark.parametrize("bits", BITS)
def test_more_rows_than_candidates(make_cluster, bits):
    """Whatever hnsw.ef_search says, a search has several candidates for each row that is wanted. A cursor's rows, of which
    nobody says how many are wanted, come in order as well, each once."""
    connection = make(make_cluster(), bits)
    connection.execute("SET hnsw.ef_search = 40")
    assert recall(connection, numbered(ROWS), 100) > 0.9
    with connection.transaction():
        connection.execute("DECLARE c CURSOR FOR SELECT id, v <-> %s FROM t ORDER BY v <-> %s", [vectors.text(QUERIES[0])] * 2)
        rows = connection.execute("FETCH 300 FROM c").fetchall()
    given = [distance for _, distance in rows]
    assert len({row for row, _ in rows}) == 300 and given == sorted(given)


def test_rows_that_are_read_count(make_cluster):
    """No row passes a condition that the index does not know. With 1 bit a search would read hundreds of rows in the
    table for each that it hands out; it gives up for what these cost, too."""
    connection = make(make_cluster(), 1)
    connection.execute("SET hnsw.ef_search = 40")
    connection.execute("ANALYZE t")
    read = 0
    for query in QUERIES:
        assert connection.execute("SELECT id FROM t WHERE id %% 1000 = -1 ORDER BY v <-> %s LIMIT 10",
                                  [vectors.text(query)]).fetchall() == []
        read += connection.execute("SELECT distances FROM dvec_last_searches()").fetchone()[0]
    assert read <= 250 * len(QUERIES)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("end", ["restart", "kill"])
def test_after_a_start(make_cluster, bits, end):
    cluster = make_cluster()
    connection = make(cluster, bits)
    more = vectors.clustered(400, DIMENSIONS, seed=357, clusters=200)
    vectors.copy_in(connection, "t", COUNT, more)
    connection.execute("DELETE FROM t WHERE id < 100")
    if end == "restart":
        cluster.restart()
    else:
        cluster.kill_postmaster()
        cluster.start()
    connection = session(cluster, bits)
    rows = {row: vector for row, vector in (numbered(ROWS) | numbered(more, COUNT)).items() if row >= 100}
    assert recall(connection, rows) > 0.95
    assert sum(nearest(connection, more[i], 1)[0][0] == COUNT + i for i in range(400)) >= 396
    assert connection.execute("SELECT problem FROM dvec_check('t_v_idx')").fetchall() == []


def test_a_lost_folder_is_made_anew(make_cluster):
    cluster = make_cluster()
    connection = make(cluster, 4)
    folder = cluster.folder_of("t_v_idx")
    cluster.stop()
    for file in folder.iterdir():
        file.unlink()
    cluster.start()
    connection = session(cluster, 4)
    nearest(connection, QUERIES[0])
    wait_until(lambda: answers.index_state(connection, "t_v_idx")["state"] == "ready", "it is repaired", 60)
    assert recall(connection, numbered(ROWS)) > 0.95


def test_on_a_standby(make_cluster, standbys):
    primary = make_cluster(**replicas.PRIMARY)
    connection = make(primary, 8)
    standby = standbys.make(primary)
    replicas.wait_until_followed(standby, "t")
    more = vectors.clustered(300, DIMENSIONS, seed=358, clusters=200)
    vectors.copy_in(connection, "t", COUNT, more)
    replicas.wait_until_followed(standby, "t")
    assert recall(session(standby, 8), numbered(ROWS) | numbered(more, COUNT)) > 0.95


def test_it_takes_what_its_bits_take(make_cluster):
    """Bytes per row, upper levels and the unfilled end of a file included."""
    cluster = make_cluster()
    connection = cluster.connect()
    connection.execute("CREATE TABLE t (id integer, v vector(768))")
    vectors.copy_in(connection, "t", 0, vectors.clustered(4_000, 768, seed=359, clusters=50))
    sizes = {}
    for bits in BITS:
        connection.execute(f"CREATE INDEX t_v_idx ON t USING hnsw (v vector_cosine_ops) WITH (storage = compact, bits = {bits})")
        [[sizes[bits]]] = connection.execute("SELECT sum(bytes) / 4000.0 FROM dvec_index_size('t_v_idx') "
                                             "WHERE part <> 'log'").fetchall()
        connection.execute("DROP INDEX t_v_idx")
    for bits, wanted in zip(BITS, (960, 576, 320)):
        assert wanted <= sizes[bits] <= 1.1 * wanted + 10, sizes


def test_many_copies_and_vectors_of_one_direction(make_cluster):
    """What compact vectors tell apart badly comes in the table's order all the same."""
    cluster = make_cluster()
    for bits in BITS:
        one = vectors.clustered(40, DIMENSIONS, seed=360, clusters=40)
        rows = np.concatenate([np.repeat(one, 30, axis=0), one[0] * np.linspace(0.5, 2, 300)[:, None],
                               np.float32(1e-3) * one, np.zeros((20, DIMENSIONS))]).astype(np.float32)
        connection = make(cluster, bits, rows)
        connection.execute("SET hnsw.ef_search = 400")
        for query in one[:10]:
            distances = [distance for _, distance in nearest(connection, query, 40)]
            assert distances == sorted(distances)
            assert distances[29] == 0
        count = len(connection.execute("SELECT id FROM t ORDER BY v <-> %s", [vectors.text(one[0])]).fetchall())
        assert count == len(rows)
        connection.execute("DROP TABLE t")


@pgvector_beside.needs_pgvector
def test_by_the_operators_of_pgvector(make_cluster):
    connection = make_cluster(beside=True).connect()
    connection.execute(f"CREATE TABLE t (id integer PRIMARY KEY, v vector({DIMENSIONS}))")
    vectors.copy_in(connection, "t", 0, ROWS)
    connection.execute("CREATE INDEX t_v_idx ON t USING dvec (v vector_l2_ops) WITH (storage = compact, bits = 4)")
    connection.execute("SET enable_seqscan = off")
    connection.execute(f"SET dvec.ef_search = {EF[4]}")
    assert recall(connection, numbered(ROWS)) > 0.95


def test_vectors_out_of_line(make_cluster):
    """A session that has read from the disk, as each has when it begins, requests what is stored out of line before it
    reads it; the next search of the session does not. Both answer alike."""
    cluster = make_cluster(shared_buffers="1MB")
    connection = cluster.connect()
    rows = vectors.clustered(1_500, 768, seed=361, clusters=30)
    connection.execute("CREATE TABLE t (id integer PRIMARY KEY, note integer, v vector(768))")
    vectors.copy_in(connection, "t", 0, rows)
    assert connection.execute("SELECT pg_relation_size(reltoastrelid) > 1500 * 3072 FROM pg_class WHERE oid = 't'::regclass"
                              ).fetchall() == [(True,)]
    connection.execute("CREATE INDEX t_v_idx ON t USING hnsw (v vector_l2_ops) WITH (storage = compact, bits = 4)")
    connection.execute("UPDATE t SET note = 1 WHERE id % 2 = 0")
    connection.execute("DELETE FROM t WHERE id % 5 = 0")
    for key in ("v", "(v::halfvec(768))"):
        if key != "v":
            connection.execute("DROP INDEX t_v_idx")
            connection.execute(f"CREATE INDEX t_v_idx ON t USING hnsw ({key} halfvec_l2_ops) WITH (storage = compact)")
        for query in rows[1:100:11]:
            statement = f"SELECT id, {key} <-> %(q)s FROM t ORDER BY {key} <-> %(q)s LIMIT 10"
            parameters = {"q": vectors.text(query)}
            asking = cluster.connect()
            asking.execute("SET enable_seqscan = off; SET hnsw.ef_search = 200")
            answers.check_plan(asking, statement, parameters)
            found = [asking.execute(statement, parameters).fetchall() for _ in range(2)]
            asking.execute("SET enable_indexscan = off; SET enable_seqscan = on")
            assert found[0] == found[1] == asking.execute(statement, parameters).fetchall()
            asking.close()
