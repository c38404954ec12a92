"""Whoever adds rows to an index that consists of deleted entries for the most part, or vacuums it, waits for its
compaction, and it can be seen that he does."""

import contextlib
import threading

import psycopg
import pytest

import answers
import vectors
from cluster import wait_until
from worker import cancelled_in_its_wait, compact_at, compact_no_more, stop_in_its_sleep, stopped

DIMENSIONS = 16


def index_state(connection):
    return answers.index_state(connection, "items_v_idx")


@pytest.fixture
def cluster(make_cluster):
    """A compaction that begins before VACUUM has marked all entries keeps those that are marked later: none begins before
    a test lets it."""
    return make_cluster(faults=True, dvec__checkpoint_timeout="1d", dvec__compact_threshold="0")


def test_waits_for_compaction(cluster):
    connection = cluster.connect()
    rows = vectors.clustered(2500, DIMENSIONS, seed=336)
    vectors.make_table(connection, rows[:2000])
    errors = []

    def insert():
        try:
            vectors.copy_in(cluster.connect(), "items", 2000, rows[2000:])
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)

    # Where little is left to be done, it is synced, and there this compaction stands still.
    connection.execute("DELETE FROM items WHERE id < 1500")
    connection.execute("VACUUM items")
    with cluster.faults.in_force("stall_sync", "nodes.2"):
        compact_at(connection, 25)
        wait_until(lambda: index_state(connection)["compact_total"] is not None, "the compaction is under way")
        state = index_state(connection)
        assert (state["deleted"], state["compactions"]) == (1500, 0), state
        waits = state["waits"]
        writer = threading.Thread(target=insert)
        writer.start()
        # A few are admitted for what it has linked; the others come when it is seen not to get on.
        wait_until(lambda: index_state(connection)["waits"] > waits, "the session waits")
        writer.join()
        state = index_state(connection)
        assert (state["nodes"], state["waiting"], state["waiting_for"]) == (2500, 0, None), state
    wait_until(lambda: index_state(connection)["compactions"] == 1, "the compaction ends")
    state = index_state(connection)
    assert (state["compact_done"], state["compact_total"]) == (None, None), state
    assert not errors, errors
    assert answers.check_complete(connection, "items", rows[0]) == 1000


def test_a_wait_that_is_broken_off_is_over(cluster):
    connection = cluster.connect()
    rows = vectors.clustered(4000, DIMENSIONS, seed=337)
    vectors.make_table(connection, rows[:2000])
    connection.execute("DELETE FROM items WHERE id < 1500")
    connection.execute("VACUUM items")
    with cluster.faults.in_force("stall_sync", "nodes.2"):
        compact_at(connection, 25)
        wait_until(lambda: index_state(connection)["compact_total"] is not None, "the compaction is under way")
        cancelled_in_its_wait(cluster, "items_v_idx", lambda session: vectors.copy_in(session, "items", 2000, rows[2000:2500]))
        state = index_state(connection)
        assert state["waits"] > 0 and state["waiting"] == 0, state

        victim = cluster.connect_for_thread()
        before = state["waits"]

        def insert():
            with contextlib.suppress(psycopg.Error):
                vectors.copy_in(victim, "items", 2500, rows[2500:3000])

        writer = threading.Thread(target=insert)
        writer.start()
        wait_until(lambda: index_state(connection)["waits"] > before, "the session waits")
        connection.execute("SELECT pg_terminate_backend(%s)", [victim.info.backend_pid])
        writer.join()
        wait_until(lambda: index_state(connection)["waiting"] == 0, "nobody waits")
    assert answers.check_complete(connection, "items", rows[0]) == connection.execute(
        "SELECT count(*) FROM items").fetchone()[0]


def test_vacuum_waits_for_compaction(cluster):
    connection = cluster.connect()
    rows = vectors.clustered(2000, DIMENSIONS, seed=338)
    vectors.make_table(connection, rows)
    vacuuming = cluster.connect()
    connection.execute("UPDATE items SET id = id + 2000")
    vacuuming.execute("VACUUM items")
    state = index_state(connection)
    assert (state["waiting"], state["deleted"], state["compactions"]) == (0, 2000, 0), state
    with cluster.faults.in_force("stall_sync", "nodes.2"):
        compact_at(connection, 25)
        vacuuming.execute("SET statement_timeout = '1s'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            vacuuming.execute("VACUUM items")
        state = index_state(connection)
        assert (state["waiting"], state["deleted"], state["compactions"]) == (0, 2000, 0), state
        # It returns when the worker is seen not to get on.
        vacuuming.execute("RESET statement_timeout")
        waits = state["waits"]
        vacuuming.execute("VACUUM items")
        state = index_state(connection)
        assert (state["nodes"], state["deleted"], state["compactions"]) == (4000, 2000, 0), state
        assert state["waits"] > waits
    wait_until(lambda: index_state(connection)["compactions"] == 1, "the compaction ends")
    assert index_state(connection)["nodes"] == 2000
    waits = index_state(connection)["waits"]
    # Nothing is to be waited for where less is deleted, or nobody compacts.
    compact_no_more(cluster, connection)
    connection.execute("DELETE FROM items WHERE id < 2700")
    connection.execute("VACUUM items")
    with stopped(cluster.worker_pid(), stop_in_its_sleep):
        compact_at(connection, 25)
        connection.execute("VACUUM items")
        state = index_state(connection)
        assert (state["deleted"], state["waits"]) == (700, waits), state
    wait_until(lambda: index_state(connection)["compactions"] == 2, "the smaller compaction ends")
    compact_no_more(cluster, connection)
    connection.execute("DELETE FROM items WHERE id < 3900")
    connection.execute("VACUUM items")
    state = index_state(connection)
    assert (state["deleted"], state["waits"]) == (1200, waits), state
    assert answers.check_complete(connection, "items", rows[0]) == 100
