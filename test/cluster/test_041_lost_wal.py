"""Rows whose WAL a crash lost are gone from the table; the sidecar, which knew them, must forget them
too: their TIDs are used again by other rows, and their LSNs by other records."""

import contextlib
import threading

import psycopg
import pytest

import answers
import vectors
from cluster import wait_until
from worker import stop_in_its_sleep

DIMENSIONS = 8
OPTIONS = {"synchronous_commit": "off", "bgwriter_lru_maxpages": "0"}


def hold_wal_back(cluster):
    """From now on WAL stays in shared memory unless somebody flushes it on purpose."""
    stop_in_its_sleep(cluster.child("walwriter"))


def lose_rows(cluster, rows):
    """Commits rows whose WAL stays in memory, then loses that."""
    connection = cluster.connect()
    hold_wal_back(cluster)
    vectors.copy_in(connection, "items", 1000, rows)
    assert len(answers.ids_in_table(connection, "items")) == 300
    cluster.kill()


def advance_wal(cluster):
    """Writes WAL that goes beyond the lost rows' LSNs without touching the index."""
    cluster.sql("SELECT pg_logical_emit_message(false, 'x', repeat('x', 500000))")
    cluster.sql("CHECKPOINT")


def check(cluster, rows):
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == 100
    # New rows take the TIDs of the lost ones.
    vectors.copy_in(connection, "items", 2000, rows[300:400])
    assert answers.check_complete(connection, "items", rows[0]) == 200
    answers.check_own_neighbours(connection, "items")


@pytest.fixture
def prepared(make_cluster):
    cluster = make_cluster(**OPTIONS)
    rows = vectors.clustered(400, DIMENSIONS, seed=18)
    vectors.make_table(cluster.connect(), rows[:100])
    cluster.sql("CHECKPOINT")
    return cluster, rows


def test_rows_lost_with_their_wal(prepared):
    cluster, rows = prepared
    lose_rows(cluster, rows[100:300])
    cluster.start()
    check(cluster, rows)
    state = answers.index_state(cluster.connect(), "items_v_idx")
    assert state["dropped_records"] == 200, state


@pytest.mark.parametrize("between", ["clean shutdown", "second crash"])
def test_index_not_used_until_after_another_restart(prepared, between):
    cluster, rows = prepared
    lose_rows(cluster, rows[100:300])
    cluster.start()
    advance_wal(cluster)
    cluster.stop() if between == "clean shutdown" else cluster.kill()
    cluster.start()
    check(cluster, rows)


def test_uncommitted_rows(prepared):
    """The WAL survived, the transaction did not: the rows are dead until vacuum, then gone."""
    cluster, rows = prepared
    connection = cluster.connect(autocommit=False)
    vectors.copy_in(connection, "items", 1000, rows[100:300])
    cluster.sql("SELECT pg_switch_wal()")
    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == 100
    connection.execute("VACUUM items")
    check(cluster, rows)


def test_deletions_lost_with_their_wal(prepared):
    """A row whose deletion was committed asynchronously comes back when the WAL of that commit is lost.
    So before vacuum takes it out of the index, the WAL must be durable."""
    cluster, rows = prepared
    connection = cluster.connect()
    # The second index holds vacuum up between the hnsw index and everything that follows: for a tenth of a second, at
    # least, at each of its pages.
    connection.execute("CREATE INDEX slow ON items (id) WITH (fillfactor = 10)")
    cluster.sql("CHECKPOINT")
    hold_wal_back(cluster)
    connection.execute("DELETE FROM items WHERE id < 50")
    connection.execute("SET vacuum_cost_limit = 1; SET vacuum_cost_delay = '100ms'")

    def vacuum():
        with contextlib.suppress(psycopg.Error):
            connection.execute("VACUUM items")

    thread = threading.Thread(target=vacuum)
    observer = cluster.connect()
    thread.start()
    wait_until(lambda: answers.index_state(observer, "items_v_idx")["deleted"] == 50,
               "vacuum has done the index", pause=0.005)
    assert thread.is_alive(), "vacuum was over too soon for this test"
    cluster.kill()
    thread.join(20)
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == 50
    connection.execute("VACUUM items")
    vectors.copy_in(connection, "items", 2000, rows[100:200])
    assert answers.check_complete(connection, "items", rows[0]) == 150


@pytest.mark.parametrize("how", ["kill", "immediate"])
def test_table_made_without_wal(make_cluster, how):
    """wal_level = minimal: rows of a table made in the same transaction have no WAL at all."""
    cluster = make_cluster(wal_level="minimal", max_wal_senders="0", wal_skip_threshold="0")
    rows = vectors.clustered(200, DIMENSIONS, seed=48)
    connection = cluster.connect()
    connection.execute("BEGIN")
    vectors.make_table(connection, rows[:50])
    vectors.copy_in(connection, "items", 50, rows[50:100])
    connection.execute("COMMIT")
    connection.execute("BEGIN")
    connection.execute("TRUNCATE items")
    vectors.copy_in(connection, "items", 100, rows[100:150])
    connection.execute("COMMIT")
    vectors.copy_in(connection, "items", 150, rows[150:])
    if how == "kill":
        cluster.kill()
    else:
        cluster.stop("immediate")
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == 100
    answers.check_own_neighbours(connection, "items")
