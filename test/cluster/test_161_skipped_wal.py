"""wal_level = minimal: rows of a table that was made or rewritten in the same transaction have no WAL,
and their pages no LSN. So their sidecar log is on disk before COMMIT returns, whatever dvec.wal_sync
says, and no crash takes them."""

import pytest

import answers
import vectors
from test_160_wal_sync import LAZY_WORKER, insert, unsynced

DIMENSIONS = 16
ROWS = vectors.clustered(900, DIMENSIONS, seed=161)


@pytest.fixture
def minimal(make_cluster):
    return make_cluster(wal_level="minimal", max_wal_senders="0", wal_skip_threshold="0",
                        **LAZY_WORKER)


def check_after_kill(cluster, count):
    """At once after the commit, so that nobody else has synced anything."""
    # An index that was only built is not open yet.
    assert unsynced(cluster.connect()) in (None, 0)
    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", ROWS[0]) == count
    answers.check_own_neighbours(connection, "items")
    # TIDs and LSNs go on behind what was recovered.
    vectors.copy_in(connection, "items", 800, ROWS[800:])
    assert answers.check_complete(connection, "items", ROWS[0]) == count + 100


def make_empty(connection):
    vectors.make_table(connection, ROWS[:0])


def test_table_index_and_rows_in_one_transaction(minimal):
    connection = minimal.connect(autocommit=False)
    make_empty(connection)
    vectors.copy_in(connection, "items", 0, ROWS[:400])
    assert unsynced(connection) > 0
    connection.commit()
    check_after_kill(minimal, 400)


def test_truncate_and_copy(minimal):
    connection = minimal.connect()
    vectors.make_table(connection, ROWS[:100])
    connection.execute("BEGIN")
    connection.execute("TRUNCATE items")
    vectors.copy_in(connection, "items", 100, ROWS[100:500])
    connection.execute("COMMIT")
    check_after_kill(minimal, 400)


def test_rows_of_a_savepoint(minimal):
    connection = minimal.connect()
    connection.execute("BEGIN")
    make_empty(connection)
    connection.execute("SAVEPOINT a")
    vectors.copy_in(connection, "items", 0, ROWS[:100])
    connection.execute("RELEASE a")
    connection.execute("SAVEPOINT b")
    vectors.copy_in(connection, "items", 100, ROWS[100:200])
    connection.execute("ROLLBACK TO b")
    vectors.copy_in(connection, "items", 200, ROWS[200:300])
    connection.execute("COMMIT")
    check_after_kill(minimal, 200)


def test_vacuum_full(minimal):
    connection = minimal.connect()
    vectors.make_table(connection, ROWS[:300])
    connection.execute("DELETE FROM items WHERE id < 100")
    connection.execute("VACUUM FULL items")
    check_after_kill(minimal, 200)


@pytest.fixture
def tablespace(minimal):
    place = minimal.home / "space"
    place.mkdir()
    minimal.sql(f"CREATE TABLESPACE space LOCATION '{place}'")
    return "space"


def test_table_moved_to_another_tablespace(minimal, tablespace):
    """The table has a new file, whose WAL is skipped; its index keeps the old one."""
    connection = minimal.connect()
    vectors.make_table(connection, ROWS[:100])
    connection.execute("BEGIN")
    connection.execute(f"ALTER TABLE items SET TABLESPACE {tablespace}")
    vectors.copy_in(connection, "items", 100, ROWS[100:400])
    connection.execute("COMMIT")
    check_after_kill(minimal, 400)


def test_index_moved_to_another_tablespace(minimal, tablespace):
    """Here the index has a new file and the table keeps its own: the rows have WAL."""
    connection = minimal.connect()
    vectors.make_table(connection, ROWS[:100])
    connection.execute("BEGIN")
    connection.execute(f"ALTER INDEX items_v_idx SET TABLESPACE {tablespace}")
    vectors.copy_in(connection, "items", 100, ROWS[100:400])
    connection.execute("COMMIT")
    minimal.kill()
    minimal.start()
    assert answers.check_complete(minimal.connect(), "items", ROWS[0]) == 400


def test_rows_with_wal_are_not_synced_for_it(minimal):
    connection = minimal.connect()
    vectors.make_table(connection, ROWS[:100])
    insert(connection, 100)
    assert unsynced(connection) > 0


def test_made_without_wal_and_rolled_back(minimal):
    connection = minimal.connect()
    vectors.make_table(connection, ROWS[:100])
    connection.execute("BEGIN")
    connection.execute("TRUNCATE items")
    vectors.copy_in(connection, "items", 100, ROWS[100:400])
    connection.execute("ROLLBACK")
    minimal.kill()
    minimal.start()
    connection = minimal.connect()
    assert answers.check_complete(connection, "items", ROWS[0]) == 100
    vectors.copy_in(connection, "items", 400, ROWS[400:500])
    assert answers.check_complete(connection, "items", ROWS[0]) == 200
