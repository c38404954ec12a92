"""dvec.wal_sync = commit: when COMMIT returns, the sidecar log of the transaction's rows is on disk.

The worker would sync the log sooner or later; here its thresholds are far away, so that only the
sessions do."""

import threading

import psycopg
import pytest

import answers
import vectors
from worker import stop_in_its_sleep, stopped

LAZY_WORKER = {"dvec__log_flush_interval": "60s", "dvec__log_flush_threshold": "512MB",
               "dvec__log_buffer_limit": "512MB", "dvec__checkpoint_timeout": "1h"}
DIMENSIONS = 16
ROWS = vectors.clustered(2000, DIMENSIONS, seed=160)


def unsynced(connection, index="items_v_idx"):
    return answers.index_state(connection, index)["unsynced_log_bytes"]


def syncs(cluster):
    """By sessions, as the server's log tells at debug2."""
    return cluster.log_text().count("dvec: synced the log of index")


def insert(connection, id, table="items"):
    connection.execute(f"INSERT INTO {table} VALUES (%s, %s)", [id, vectors.text(ROWS[id])])


@pytest.fixture
def lazy(make_cluster):
    cluster = make_cluster(**LAZY_WORKER)
    vectors.make_table(cluster.connect(), ROWS[:10])
    return cluster


def test_buffered_does_not_wait(lazy):
    connection = lazy.connect()
    insert(connection, 10)
    assert unsynced(connection) > 0


def test_commit_syncs_what_the_transaction_inserted(lazy):
    connection = lazy.connect()
    connection.execute("SET dvec.wal_sync = commit")
    insert(connection, 10)
    assert unsynced(connection) == 0
    connection.execute("BEGIN")
    insert(connection, 11)
    assert unsynced(connection) > 0, "synced before the commit"
    connection.execute("COMMIT")
    assert unsynced(connection) == 0
    vectors.copy_in(connection, "items", 12, ROWS[12:500])
    assert unsynced(connection) == 0


def test_every_index_of_the_transaction_and_no_other(lazy):
    connection = lazy.connect()
    for table in ("b", "c"):
        vectors.make_table(connection, ROWS[:10], table)
    insert(connection, 10, "c")
    connection.execute("SET dvec.wal_sync = commit")
    connection.execute("BEGIN")
    insert(connection, 11)
    insert(connection, 11, "b")
    connection.execute("COMMIT")
    assert unsynced(connection) == 0
    assert unsynced(connection, "b_v_idx") == 0
    assert unsynced(connection, "c_v_idx") > 0


def test_the_setting_at_the_commit_decides(lazy):
    connection = lazy.connect()
    connection.execute("BEGIN")
    insert(connection, 10)
    connection.execute("SET LOCAL dvec.wal_sync = commit")
    connection.execute("COMMIT")
    assert unsynced(connection) == 0


def test_subtransactions(lazy):
    connection = lazy.connect()
    connection.execute("SET dvec.wal_sync = commit")
    # What was rolled back needs no sync ...
    connection.execute("BEGIN")
    connection.execute("SAVEPOINT a")
    insert(connection, 10)
    connection.execute("ROLLBACK TO a")
    connection.execute("COMMIT")
    assert unsynced(connection) > 0
    # ... what was released does, also when a later one was rolled back.
    connection.execute("BEGIN")
    connection.execute("SAVEPOINT a")
    connection.execute("SAVEPOINT b")
    insert(connection, 11)
    connection.execute("RELEASE b")
    connection.execute("RELEASE a")
    connection.execute("SAVEPOINT c")
    insert(connection, 12)
    connection.execute("ROLLBACK TO c")
    connection.execute("COMMIT")
    assert unsynced(connection) == 0


def test_rollback_does_not_sync(lazy):
    connection = lazy.connect()
    connection.execute("SET dvec.wal_sync = commit")
    connection.execute("BEGIN")
    insert(connection, 10)
    connection.execute("ROLLBACK")
    assert unsynced(connection) > 0
    # Nor is it remembered for the next transaction.
    connection.execute("BEGIN; COMMIT")
    assert unsynced(connection) > 0


def test_index_that_went_with_the_transaction(lazy):
    """Made, dropped, emptied or rolled back in it: there is nothing to sync, and nothing fails."""
    connection = lazy.connect()
    connection.execute("SET dvec.wal_sync = commit")
    connection.execute("BEGIN")
    vectors.make_table(connection, ROWS[:10], "gone")
    insert(connection, 10, "gone")
    connection.execute("DROP TABLE gone")
    connection.execute("COMMIT")
    connection.execute("BEGIN")
    insert(connection, 10)
    connection.execute("TRUNCATE items")
    insert(connection, 11)
    connection.execute("SAVEPOINT a")
    vectors.make_table(connection, ROWS[:10], "never")
    insert(connection, 10, "never")
    connection.execute("ROLLBACK TO a")
    connection.execute("TRUNCATE items")
    insert(connection, 12)
    connection.execute("COMMIT")
    assert unsynced(connection) == 0
    assert answers.check_complete(connection, "items", ROWS[0]) == 1


@pytest.mark.parametrize("kind", ["TEMP", "UNLOGGED"])
def test_what_no_crash_spares_is_not_synced(lazy, kind):
    connection = lazy.connect()
    connection.execute("SET dvec.wal_sync = commit")
    connection.execute(f"CREATE {kind} TABLE passing (id integer, v vector({DIMENSIONS}))")
    connection.execute("CREATE INDEX ON passing USING hnsw (v vector_l2_ops)")
    before = syncs(lazy)
    connection.execute("SET log_min_messages = debug2")
    insert(connection, 10, "passing")
    assert syncs(lazy) == before


def test_prepared_transaction(lazy):
    connection = lazy.connect()
    connection.execute("SET dvec.wal_sync = commit")
    connection.execute("BEGIN")
    insert(connection, 10)
    connection.execute("PREPARE TRANSACTION 'p'")
    assert unsynced(connection) == 0
    lazy.kill()
    lazy.start()
    connection = lazy.connect()
    connection.execute("COMMIT PREPARED 'p'")
    assert answers.check_complete(connection, "items", ROWS[0]) == 11


def test_concurrent_committers_share_syncs(make_cluster):
    """After each COMMIT the log is durable up to the row, and committers that meet wait for one sync."""
    cluster = make_cluster(**LAZY_WORKER, log_min_messages="debug2")
    connection = cluster.connect()
    connection.execute(f"CREATE TABLE items (id integer, v vector({DIMENSIONS}))")
    connection.execute("CREATE INDEX ON items USING hnsw (v vector_l2_ops)")
    sessions, commits = 16, 40
    failures = []

    def work(lane):
        try:
            session = cluster.connect()
            session.execute("SET dvec.wal_sync = commit")
            for i in range(commits):
                insert(session, lane + sessions * i)
        except Exception as error:
            failures.append(error)

    before = syncs(cluster)
    threads = [threading.Thread(target=work, args=[lane]) for lane in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures, failures
    assert unsynced(connection) == 0
    done = syncs(cluster) - before
    print(f"{sessions * commits} commits, {done} syncs")
    assert 0 < done < sessions * commits
    cluster.kill()
    cluster.start()
    assert answers.check_complete(cluster.connect(), "items", ROWS[0]) == sessions * commits


def test_failed_sync_fails_the_transaction(lazy):
    """The log's segment cannot be opened any more: COMMIT is an error, the row is not there, and the
    index is made anew from the table."""
    connection = lazy.connect()
    connection.execute("SET dvec.wal_sync = commit")
    insert(connection, 10)
    connection.execute("BEGIN")
    insert(connection, 11)
    [segment] = lazy.folder_of("items_v_idx").glob("log.*")
    segment.unlink()
    with pytest.raises(psycopg.Error):
        connection.execute("COMMIT")
    assert answers.ids_in_table(connection, "items") == list(range(11))
    assert answers.check_complete(connection, "items", ROWS[0]) == 11
    insert(connection, 12)
    assert unsynced(connection) == 0
    assert answers.check_complete(connection, "items", ROWS[0]) == 12


def test_stopped_worker_is_not_needed(lazy):
    connection = lazy.connect()
    with stopped(lazy.worker_pid(), stop_in_its_sleep):
        connection.execute("SET dvec.wal_sync = commit")
        insert(connection, 10)
        assert unsynced(connection) == 0
