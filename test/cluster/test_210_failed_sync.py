"""A sync that failed is never tried again, since the kernel may have dropped what it could not write:
the index is given up and made good from the table. Whatever was acknowledged stays."""

import contextlib
import re

import psycopg
import pytest

import answers
import vectors
from cluster import wait_until

DIMENSIONS = 32


@pytest.fixture
def prepared(make_cluster):
    cluster = make_cluster(faults=True, dvec__log_segment_size="16MB", dvec__checkpoint_timeout="1s",
                           dvec__log_flush_interval="20ms")
    cluster.rows = vectors.clustered(8000, DIMENSIONS, seed=62)
    # The log is begun, so that it is the syncs of its bytes that fail, not that of a new segment.
    vectors.make_table(cluster.connect(), cluster.rows[:490])
    vectors.copy_in(cluster.connect(), "items", 490, cluster.rows[490:500])
    return cluster


def insert_until_it_fails(cluster, files, first_id):
    """Inserts while syncs fail until the server has said so. Returns how many rows were acknowledged:
    a statement may fail too, when it is its own sync that failed."""
    connection = cluster.connect()
    said = cluster.log_text().count("could not sync")
    acknowledged = 0
    with cluster.faults.in_force("fail_sync", files):
        for attempt, row in enumerate(cluster.rows[500:]):
            with contextlib.suppress(psycopg.errors.IoError):
                connection.execute("INSERT INTO items VALUES (%s, %s)",
                                   [first_id + attempt, vectors.text(row)])
                acknowledged += 1
            if cluster.log_text().count("could not sync") > said:
                break
        wait_until(lambda: cluster.log_text().count("could not sync") > said, "a sync fails")
    return acknowledged


def failed_files(cluster):
    """The kinds of files, as "log" or "nodes", of whose syncs the server has said that they failed."""
    return re.findall(r'could not sync file "dvec/[^/]+/([a-z]+)', cluster.log_text())


@pytest.mark.parametrize("files", ["log", "nodes", "upper", "checkpoint", ""],
                         ids=["log", "nodes", "upper", "checkpoint", "all"])
def test_rows_outlive_a_failed_sync(prepared, files):
    cluster = prepared
    acknowledged = insert_until_it_fails(cluster, files, 1000)
    connection = cluster.connect()
    expected = 500 + acknowledged
    assert not files or set(failed_files(cluster)) == {files}
    assert answers.check_complete(connection, "items", cluster.rows[0]) == expected
    # Made good from the table: whatever the disk did with what it failed to write, this is whole.
    # But for the checkpoint, which is simply written once more, whole.
    given_up = any(name != "checkpoint" for name in failed_files(cluster))

    def is_good():
        state = answers.index_state(connection, "items_v_idx")
        return state["state"] == "ready" and not (given_up and state["opened_by"] == "clean start")

    wait_until(is_good, "made good from the table", 30)
    vectors.copy_in(connection, "items", 100000, cluster.rows[:300] + 0.01)
    connection.execute("DELETE FROM items WHERE id < 100")
    connection.execute("VACUUM items")
    assert answers.check_complete(connection, "items", cluster.rows[0]) == expected + 200
    for stop in (cluster.kill, cluster.stop):
        stop()
        cluster.start()
        assert answers.check_complete(cluster.connect(), "items", cluster.rows[0]) == expected + 200
    answers.check_own_neighbours(cluster.connect(), "items")


def test_vacuum_whose_sync_fails(prepared):
    """Vacuum must not free a row's place for others while the removal of its entry is not certain."""
    cluster = prepared
    connection = cluster.connect()
    connection.execute("DELETE FROM items WHERE id % 2 = 0")
    with cluster.faults.in_force("fail_sync", "log"):
        with contextlib.suppress(psycopg.errors.IoError):
            connection.execute("VACUUM (INDEX_CLEANUP ON) items")
    vectors.copy_in(connection, "items", 1000, cluster.rows[1000:1400])
    assert answers.check_complete(connection, "items", cluster.rows[0]) == 650
    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", cluster.rows[0]) == 650
    connection.execute("VACUUM (INDEX_CLEANUP ON) items")
    vectors.copy_in(connection, "items", 2000, cluster.rows[2000:2400])
    assert answers.check_complete(connection, "items", cluster.rows[0]) == 1050
    answers.check_own_neighbours(connection, "items")


def test_create_index_whose_sync_fails(make_cluster):
    cluster = make_cluster(faults=True)
    rows = vectors.clustered(1000, DIMENSIONS, seed=63)
    connection = cluster.connect()
    connection.execute(f"CREATE TABLE items (id integer, v vector({DIMENSIONS}))")
    vectors.copy_in(connection, "items", 0, rows)
    with cluster.faults.in_force("fail_sync", "nodes"):
        with pytest.raises(psycopg.errors.IoError):
            connection.execute("CREATE INDEX ON items USING hnsw (v vector_l2_ops)")
    connection.execute("CREATE INDEX ON items USING hnsw (v vector_l2_ops)")
    assert answers.check_complete(connection, "items", rows[0]) == 1000
