"""A standby answers by an index of its own, which follows the WAL that it replays."""

import os
import re
import signal

import pytest

import answers
import replicas
import vectors
from cluster import wait_until
from replicas import check_same, wait_until_followed, wait_until_replayed, wait_until_taken_in
from worker import stop_in_its_sleep, stopped

DIMENSIONS = 8
ROWS = vectors.clustered(4000, DIMENSIONS, seed=260)


@pytest.fixture
def primary(make_cluster):
    cluster = make_cluster(**replicas.PRIMARY)
    vectors.make_table(cluster.connect(), ROWS[:1000])
    return cluster


def follows(standby, query=ROWS[0]):
    """Returns the rows of the standby, compared, from an index."""
    rows, by_index = check_same(standby.connect(), "items", query)
    assert by_index
    return rows


def test_rows_that_come_and_go(primary, standbys):
    standby = standbys.make(primary)
    wait_until_followed(standby)
    assert follows(standby) == 1000
    assert answers.index_state(standby.connect(), "items_v_idx")["state"] == "following"
    connection = primary.connect()
    vectors.copy_in(connection, "items", 1000, ROWS[1000:1500])
    wait_until_replayed(standby, primary)
    assert follows(standby) == 1500
    connection.execute("DELETE FROM items WHERE id % 3 = 0")
    wait_until_replayed(standby, primary)
    assert follows(standby) == 1000
    connection.execute("VACUUM (INDEX_CLEANUP ON) items")
    vectors.copy_in(connection, "items", 1500, ROWS[1500:2500])  # takes line pointers of deleted rows
    connection.execute("UPDATE items SET v = (SELECT v FROM items WHERE id = 1) WHERE id % 50 = 1")
    wait_until_replayed(standby, primary)
    assert follows(standby) == 2000


def test_search_options_of_the_index(primary, standbys):
    """They are the primary's, as soon as they are replayed, in sessions that go on too."""
    standby = standbys.make(primary)
    wait_until_followed(standby)
    session = standby.connect()
    session.execute("SET enable_seqscan = off; SET enable_sort = off; SET hnsw.iterative_scan = off")
    for option, kept in (("SET (ef_search = 7)", 7), ("SET (ef_search = 9)", 9), ("RESET (ef_search)", 40)):
        primary.sql(f"ALTER INDEX items_v_idx {option}")
        wait_until_replayed(standby, primary)
        assert session.execute("SELECT dvec_ef_search('items_v_idx')").fetchall() == [(kept,)]
        assert len(session.execute("SELECT id FROM items ORDER BY v <-> (SELECT v FROM items WHERE id = 3)"
                                   ).fetchall()) == kept


def test_a_target_of_the_index(primary, standbys):
    """A standby measures its own copy of the index, and keeps what it has measured."""
    primary.sql("ALTER INDEX items_v_idx SET (target_recall = 0.9)")
    standby = standbys.make(primary)
    wait_until_followed(standby)
    session = standby.connect()
    session.execute("SET enable_seqscan = off; SET enable_sort = off")
    session.execute("SELECT id FROM items ORDER BY v <-> (SELECT v FROM items WHERE id = 3) LIMIT 5")

    def curve(connection):
        return connection.execute("SELECT * FROM dvec_recall_curve('items_v_idx')").fetchall()

    found = wait_until(lambda: curve(session), "the curve is measured", 120)
    [(kept,)] = session.execute("SELECT dvec_ef_search('items_v_idx', 5)").fetchall()
    session.execute("SELECT id FROM items ORDER BY v <-> (SELECT v FROM items WHERE id = 3) LIMIT 5")
    assert session.execute("SELECT ef_search FROM dvec_last_searches()").fetchall() in ([(kept,)], [(None,)])
    assert curve(primary.connect()) == []
    standby.restart()
    wait_until_followed(standby)
    assert curve(standby.connect()) == found


def test_conditions_that_the_index_checks(primary, standbys):
    """Columns behind the vector and an expression: of entries as of rows that are read in the table."""
    connection = primary.connect()
    connection.execute("ALTER TABLE items ADD n integer, ADD label text")
    connection.execute("UPDATE items SET n = id % 7, label = 'label ' || id % 5")
    connection.execute("DROP INDEX items_v_idx")
    connection.execute("CREATE INDEX items_v_idx ON items USING hnsw (v vector_l2_ops, n, upper(label))")
    standby = standbys.make(primary)
    wait_until_followed(standby)
    where = "WHERE n = 3 AND upper(label) = 'LABEL 2'"

    def check():
        wait_until_replayed(standby, primary)
        rows, by_index = check_same(standby.connect(), "items", ROWS[0], where)
        assert by_index
        assert rows == primary.sql(f"SELECT count(*) FROM items {where}")[0][0] > 0

    check()
    vectors.copy_in(connection, "items", 1000, ROWS[1000:1500])
    connection.execute("UPDATE items SET n = id % 7, label = 'label ' || id % 5 WHERE n IS NULL")
    check()
    connection.execute("UPDATE items SET n = 3 WHERE id % 10 = 2")
    check()
    connection.execute("DELETE FROM items WHERE id % 3 = 0")
    connection.execute("VACUUM (INDEX_CLEANUP ON) items")
    vectors.copy_in(connection, "items", 1500, ROWS[1500:2000])
    connection.execute("UPDATE items SET n = id % 7, label = 'label ' || id % 5 WHERE id >= 1500")
    check()
    wait_until_taken_in(standby, primary)
    check()


def test_pages_behind_are_taken_in(primary, standbys):
    """In the end searches read nothing in the table any more."""
    standby = standbys.make(primary)
    wait_until_followed(standby)
    vectors.copy_in(primary.connect(), "items", 1000, ROWS[1000:3000])
    wait_until_taken_in(standby, primary)
    assert follows(standby) == 3000
    [[position]] = primary.sql("SELECT pg_current_wal_insert_lsn()")
    connection = standby.connect()
    wait_until(lambda: connection.execute(
        "SELECT reconcile_lsn >= %s FROM dvec_indexes WHERE index = 'items_v_idx'::regclass",
        [position]).fetchone() == (True,), "the view says that everything is in the index")


def churn(connection, first):
    """Rows come, change their vectors, go, and leave room for others."""
    vectors.copy_in(connection, "items", first, ROWS[first:first + 300])
    connection.execute("UPDATE items SET v = (SELECT v FROM items WHERE id = 1) WHERE id % 97 = 1")
    connection.execute("DELETE FROM items WHERE id % 11 = 0")
    connection.execute("VACUUM (INDEX_CLEANUP ON) items")
    vectors.copy_in(connection, "items", first + 300, ROWS[first + 300:first + 500])


def check_promoted(server, expected):
    connection = server.connect()
    assert sorted(answers.ids_in_table(connection, "items")) == expected
    assert answers.check_complete(connection, "items", ROWS[0]) == len(expected)
    vectors.copy_in(connection, "items", 10**6, ROWS[:200])
    connection.execute("DELETE FROM items WHERE id % 7 = 0")
    connection.execute("VACUUM (INDEX_CLEANUP ON) items")
    rows = answers.check_complete(connection, "items", ROWS[0])
    server.kill()
    server.start()
    assert answers.check_complete(server.connect(), "items", ROWS[0]) == rows


@pytest.mark.parametrize("end", ["promoted", "killed at once", "killed before"])
def test_promotion(primary, standbys, end):
    """A session that has searched the standby writes to the new primary. Nothing that was replayed is
    missing, and only pages that changed are read."""
    standby = standbys.make(primary)
    wait_until_followed(standby)
    session = standby.connect()
    check_same(session, "items", ROWS[0])
    churn(primary.connect(), 1000)
    wait_until_replayed(standby, primary)
    expected = sorted(answers.ids_in_table(primary.connect(), "items"))
    if end == "promoted":
        wait_until_taken_in(standby, primary)
    primary.stop()
    if end == "killed before":
        standby.kill()
        (standby.data / "standby.signal").unlink()
        standby.start()
    else:
        standby.sql("SELECT pg_promote()")
        if end == "promoted":
            session.execute("INSERT INTO items VALUES (-1, (SELECT v FROM items WHERE id = 2))")
            expected = [-1, *expected]
            state = answers.index_state(session, "items_v_idx")
            assert state["state"] == "ready" and state["repaired"] > 0
            [(read, pages)] = re.findall(r"reconcile of (\d+) of (\d+) pages", standby.log_text())
            assert int(read) < int(pages) / 2
        else:
            standby.kill()
            standby.start()
    check_promoted(standby, expected)


def test_restart(primary, standbys):
    """Other ends, and what is read then: test_266_replica_restart.py."""
    standby = standbys.make(primary)
    wait_until_followed(standby)
    connection = primary.connect()
    churn(connection, 1000)
    standby.kill()
    churn(connection, 1500)
    standby.start()
    churn(connection, 2000)
    wait_until_followed(standby)
    wait_until_replayed(standby, primary)
    assert follows(standby) == len(answers.ids_in_table(primary.connect(), "items"))


def test_follower_that_ends_is_followed_by_another(primary, standbys):
    standby = standbys.make(primary)
    wait_until_followed(standby)
    first = standby.child("dvec follower")
    standby.sql("SELECT pg_terminate_backend(%s)", [first])
    churn(primary.connect(), 1000)
    wait_until_replayed(standby, primary)
    assert follows(standby) == len(answers.ids_in_table(primary.connect(), "items"))
    wait_until(lambda: standby.child("dvec follower") != first, "another follower")
    wait_until_taken_in(standby, primary)
    assert follows(standby) == len(answers.ids_in_table(primary.connect(), "items"))


def test_stopped_follower(primary, standbys):
    """What it does not read, searches read themselves."""
    standby = standbys.make(primary)
    wait_until_followed(standby)
    with stopped(standby.child("dvec follower"), stop_in_its_sleep):
        churn(primary.connect(), 1000)
        wait_until_replayed(standby, primary)
        assert follows(standby) == len(answers.ids_in_table(primary.connect(), "items"))


def test_dropped(primary, standbys):
    standby = standbys.make(primary, dvec__sweep_interval="1s")
    wait_until_followed(standby)
    assert len(standby.folders()) == 1
    primary.sql("DROP TABLE items")
    wait_until(lambda: not standby.folders(), "the folder goes", 60)
    vectors.make_table(primary.connect(), ROWS[:500])
    wait_until_replayed(standby, primary)
    wait_until_followed(standby)
    assert follows(standby) == 500


def test_dropped_database(primary, standbys):
    """Replay does not wait for a follower that is connected to it."""
    primary.sql("CREATE DATABASE other")
    primary.sql("CREATE EXTENSION dvec", dbname="other")
    vectors.make_table(primary.connect("other"), ROWS[:500])
    standby = standbys.make(primary, max_standby_streaming_delay="-1", dvec__sweep_interval="1s")
    wait_until_followed(standby)
    wait_until_followed(standby, dbname="other")
    primary.forget_connections()
    primary.sql("DROP DATABASE other")
    wait_until_replayed(standby, primary)
    assert follows(standby) == 1000
    wait_until(lambda: len(standby.folders()) == 1, "the folder goes", 60)


def test_cascade(primary, standbys):
    middle = standbys.make(primary)
    last = standbys.make(middle)
    for standby in (middle, last):
        wait_until_followed(standby)
    churn(primary.connect(), 1000)
    for standby in (middle, last):
        wait_until_replayed(standby, primary)
        assert follows(standby) == len(answers.ids_in_table(primary.connect(), "items"))
    # The timeline changes.
    expected = len(answers.ids_in_table(primary.connect(), "items"))
    primary.stop()
    middle.sql("SELECT pg_promote()")
    assert answers.check_complete(middle.connect(), "items", ROWS[0]) == expected
    churn(middle.connect(), 1500)
    wait_until_replayed(last, middle)
    assert follows(last) == len(answers.ids_in_table(middle.connect(), "items"))


def test_table_that_moves(primary, standbys):
    """Its file is another then, and the index's is not."""
    primary.configure(allow_in_place_tablespaces="on")
    primary.restart()
    connection = primary.connect()
    connection.execute("CREATE TABLESPACE place LOCATION ''")
    standby = standbys.make(primary, allow_in_place_tablespaces="on")
    wait_until_followed(standby)
    connection.execute("ALTER TABLE items SET TABLESPACE place")
    churn(connection, 1000)
    wait_until_replayed(standby, primary)
    check_same(standby.connect(), "items", ROWS[0])
    wait_until_followed(standby)
    churn(connection, 1500)
    wait_until_replayed(standby, primary)
    assert follows(standby) == len(answers.ids_in_table(primary.connect(), "items"))


def test_end_of_table_is_cut(primary, standbys):
    standby = standbys.make(primary)
    wait_until_followed(standby)
    connection = primary.connect()
    for first in (1000, 2000):
        vectors.copy_in(connection, "items", first, ROWS[first:first + 1000])
        wait_until_replayed(standby, primary)
        assert follows(standby) == first + 1000 - (first - 1000)
        connection.execute("DELETE FROM items WHERE id >= 1000")
        connection.execute("VACUUM (TRUNCATE ON, INDEX_CLEANUP ON) items")
        wait_until_replayed(standby, primary)
        assert follows(standby) == 1000


def test_standby_without_the_library(primary, standbys):
    standby = standbys.make(primary, shared_preload_libraries="")
    churn(primary.connect(), 1000)
    wait_until_replayed(standby, primary)
    rows, by_index = check_same(standby.connect(), "items", ROWS[0])
    assert rows == len(answers.ids_in_table(primary.connect(), "items")) and not by_index


def test_worker_that_ends(primary, standbys):
    """The next one leaves the indexes to the follower that they have: two would both add a row."""
    standby = standbys.make(primary)
    wait_until_followed(standby)
    follower = standby.child("dvec follower")
    first = standby.worker_pid()
    os.kill(first, signal.SIGTERM)
    wait_until(lambda: standby.worker_pid() != first, "another worker")
    churn(primary.connect(), 1000)
    wait_until_taken_in(standby, primary)
    assert follows(standby) == len(answers.ids_in_table(primary.connect(), "items"))
    assert standby.child("dvec follower") == follower


def test_archive_without_streaming(make_cluster, standbys):
    """WAL comes in whole segments, from elsewhere."""
    primary = make_cluster(start=False, **replicas.PRIMARY)
    archive = primary.home / "archive"
    archive.mkdir()
    primary.configure(archive_mode="on", archive_command=f"cp %p {archive}/%f")
    primary.start()
    connection = primary.connect()
    vectors.make_table(connection, ROWS[:1000])
    standby = standbys.make(primary, start=False)
    standby.configure(primary_conninfo=None, restore_command=f"cp {archive}/%f %p")
    standby.start()
    wait_until_followed(standby)
    for first in (1000, 1500, 2000):
        churn(connection, first)
        [[position]] = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchall()
        connection.execute("SELECT pg_switch_wal()")
        if first > 1000:
            standby.restart("immediate")
            wait_until_followed(standby)
        wait_until(lambda: standby.sql("SELECT pg_last_wal_replay_lsn() >= %s", [position]) == [(True,)],
                   "the segment is replayed")
        assert follows(standby) == len(answers.ids_in_table(connection, "items"))
