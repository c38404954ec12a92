"""A full disk is an error of the statement that needs the space, and of nothing else."""

import re

import psycopg
import pytest

import answers
import vectors
from cluster import children, wait_until
from worker import wait_until_linked

DIMENSIONS = 64


@pytest.fixture
def prepared(make_cluster):
    cluster = make_cluster(faults=True, dvec__log_segment_size="256kB", dvec__checkpoint_timeout="1s")
    rows = vectors.clustered(20000, DIMENSIONS, seed=60)
    vectors.make_table(cluster.connect(), rows[:500])
    return cluster, rows


def insert_until_refused(connection, rows, first_id):
    """Row by row, each a transaction. Returns how many went in."""
    for count, row in enumerate(rows):
        try:
            connection.execute("INSERT INTO items VALUES (%s, %s)", [first_id + count, vectors.text(row)])
        except psycopg.errors.DiskFull:
            return count
    raise AssertionError(f"{len(rows)} rows were inserted into a full disk")


@pytest.mark.parametrize("files", ["nodes", "log", ""], ids=["nodes", "log", "all"])
def test_insert_into_a_full_disk(prepared, files):
    cluster, rows = prepared
    writer, reader = cluster.connect(), cluster.connect()
    before = set(children(cluster.server.pid))
    with cluster.faults.in_force("no_space", files):
        inserted = insert_until_refused(writer, rows[500:], 1000)
        # The session lives, and so do the others; what is there is found.
        assert answers.check_complete(writer, "items", rows[0]) == 500 + inserted
        with pytest.raises(psycopg.errors.DiskFull):
            with reader.transaction():
                reader.execute("CREATE TABLE other (id integer)")
                for row in rows[:5000]:
                    reader.execute("INSERT INTO items VALUES (-1, %s)", [vectors.text(row)])
        assert answers.check_complete(reader, "items", rows[0]) == 500 + inserted
        # What needs no space goes on.
        writer.execute("DELETE FROM items WHERE id < 100")
        writer.execute("VACUUM items")
        assert answers.index_state(writer, "items_v_idx")["deleted"] >= 100
        assert answers.check_complete(reader, "items", rows[0]) == 400 + inserted
    assert before <= set(children(cluster.server.pid)), "a process of the server ended"
    vectors.copy_in(writer, "items", 50000, rows[5000:8000])
    assert answers.check_complete(writer, "items", rows[0]) == 3400 + inserted
    wait_until_linked(writer)
    cluster.kill()
    cluster.start()
    assert answers.check_complete(cluster.connect(), "items", rows[0]) == 3400 + inserted


def test_linking_into_a_full_disk(cluster_with_faults):
    """Links of the upper levels are the worker's; rows that it cannot link are found all the same."""
    cluster = cluster_with_faults
    rows = vectors.clustered(3000, DIMENSIONS, seed=61)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:0])
    with cluster.faults.in_force("no_space", "upper"):
        vectors.copy_in(connection, "items", 0, rows)
        wait_until(lambda: re.search("upper.*No space left", cluster.log_text()),
                   "the worker meets the full disk", 30)
        assert answers.check_complete(connection, "items", rows[0]) == 3000
        assert answers.index_state(connection, "items_v_idx")["tail"] > 0
    wait_until_linked(connection)
    assert answers.check_complete(connection, "items", rows[0]) == 3000
    answers.check_own_neighbours(connection, "items")


def test_create_index_on_a_full_disk(cluster_with_faults):
    cluster = cluster_with_faults
    rows = vectors.clustered(3000, DIMENSIONS, seed=61)
    connection = cluster.connect()
    connection.execute(f"CREATE TABLE items (id integer, v vector({DIMENSIONS}))")
    vectors.copy_in(connection, "items", 0, rows)
    with cluster.faults.in_force("no_space"):
        with pytest.raises(psycopg.errors.DiskFull):
            connection.execute("CREATE INDEX ON items USING hnsw (v vector_l2_ops)")
        assert connection.execute("SELECT count(*) FROM items").fetchall() == [(3000,)]
    connection.execute("CREATE INDEX ON items USING hnsw (v vector_l2_ops)")
    assert answers.check_complete(connection, "items", rows[0]) == 3000
    connection.execute("CHECKPOINT")
    wait_until(lambda: len(cluster.folders()) == 1, "what was begun is swept", 30)


def test_start_with_a_full_disk(prepared):
    """What the log has is replayed into space that the files have already."""
    cluster, rows = prepared
    vectors.copy_in(cluster.connect(), "items", 1000, rows[500:1500])
    cluster.kill()
    with cluster.faults.in_force("no_space"):
        cluster.start()
        connection = cluster.connect()
        assert answers.check_complete(connection, "items", rows[0]) == 1500
        inserted = insert_until_refused(connection, rows[1500:], 10000)
        assert answers.check_complete(connection, "items", rows[0]) == 1500 + inserted
        cluster.kill()
        cluster.start()
        assert answers.check_complete(cluster.connect(), "items", rows[0]) == 1500 + inserted
    connection = cluster.connect()
    vectors.copy_in(connection, "items", 50000, rows[5000:8000])
    assert answers.check_complete(connection, "items", rows[0]) == 4500 + inserted


@pytest.fixture
def cluster_with_faults(make_cluster):
    return make_cluster(faults=True, dvec__sweep_interval="1s")
