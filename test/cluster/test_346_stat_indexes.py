"""dvec_stat_indexes counts what was done with an index: as much as was done, and from zero after a reset."""

import contextlib
import threading

import psycopg
import pytest

import vectors
from cluster import wait_until
from worker import stop_in_its_sleep, stopped

ROWS = vectors.clustered(3000, 32, seed=346)


def counters(connection, index="items_v_idx"):
    cursor = connection.execute("SELECT * FROM dvec_stat_indexes WHERE index = %s::regclass", [index])
    names = [column.name for column in cursor.description]
    [row] = cursor.fetchall()
    return dict(zip(names, row))


def search(connection, number, limit):
    return connection.execute(f"SELECT id FROM items ORDER BY v <-> '{vectors.text(ROWS[number])}' LIMIT {limit}").fetchall()


def wait_for_counters(connection, met):
    return wait_until(lambda: met(now := counters(connection)) and now, "it is counted")


def test_searches_are_those_of_all_sessions(cluster):
    connection = cluster.connect()
    vectors.make_table(connection, ROWS)
    connection.execute("SET enable_seqscan = off")
    other = cluster.connect()
    other.execute("SET enable_seqscan = off")
    sums = {}
    for session, limit in ((connection, 5), (other, 60), (connection, 1)):
        search(session, limit, limit)
        cursor = session.execute("SELECT searches, rows, distances, nodes, rounds, tail, refused, exact_searches "
                                 "FROM dvec_last_searches()")
        for column, value in zip(cursor.description, cursor.fetchone()):
            sums[column.name] = sums.get(column.name, 0) + value
    counted = counters(connection)
    assert {name: counted[name] for name in sums} == sums
    assert counted["searches"] == 3 and counted["rows"] == 66 and counted["stats_reset"] is None
    # A scan that is not at its end counts when it is.
    with connection.transaction():
        connection.execute(f"DECLARE c CURSOR FOR SELECT id FROM items ORDER BY v <-> '{vectors.text(ROWS[9])}' LIMIT 7")
        connection.execute("FETCH 2 FROM c")
        assert counters(other)["searches"] == 3
    assert counters(other)["searches"] == 4


def test_writes(make_cluster):
    cluster = make_cluster(dvec__log_flush_interval="10ms")
    connection = cluster.connect()
    vectors.make_table(connection, ROWS[:1000])
    vectors.copy_in(connection, "items", 5000, ROWS[1000:])
    # The worker counts what it has done a moment after it can be seen.
    before = wait_for_counters(connection, lambda now: now["links"] == 2000)
    assert before["inserts"] == 2000 and before["link_time"] > 0
    connection.execute("SET dvec.wal_sync = commit")
    connection.execute("INSERT INTO items VALUES (9999, %s)", [vectors.text(ROWS[0])])
    after = wait_for_counters(connection, lambda now: now["syncs"] > before["syncs"])
    assert after["inserts"] == 2001
    # One sync may take less than the microseconds that are counted.
    assert after["sync_time"] >= before["sync_time"] and after["sync_time"] > 0
    assert (after["removals"], after["compactions"], after["checkpoint_waits"]) == (0, 0, 0)
    connection.execute("DELETE FROM items WHERE id < 5500")
    connection.execute("VACUUM (INDEX_CLEANUP on) items")
    gone = wait_for_counters(connection, lambda now: now["compactions"] > 0 and now["compaction_time"] > 0
                             and now["checkpoints"] > 0)
    assert gone["removals"] == 1500 and gone["checkpoint_time"] > 0
    # VACUUM has waited for the compaction, unless that was faster.
    assert (gone["compaction_waits"] > 0) == (gone["compaction_wait_time"] > 0)


def test_waits_for_linking(make_cluster):
    cluster = make_cluster(dvec__tail_limit="64kB")
    connection = cluster.connect()
    vectors.make_table(connection, ROWS[:0])
    writer = cluster.connect_for_thread()

    def write():
        with contextlib.suppress(psycopg.errors.QueryCanceled):
            vectors.copy_in(writer, "items", 0, ROWS)

    with stopped(cluster.worker_pid(), stop_in_its_sleep):
        thread = threading.Thread(target=write)
        thread.start()
        wait_until(lambda: connection.execute(
            "SELECT FROM dvec_indexes WHERE waiting > 0 OR waits > 0").fetchall(), "it waits")
        # A wait that is cancelled counts too, at its end.
        connection.execute("SELECT pg_cancel_backend(%s)", [writer.info.backend_pid])
        thread.join()
    counted = counters(connection)
    assert counted["linking_waits"] > 0 and counted["linking_wait_time"] > 0 and counted["inserts"] > 0


def test_reset(cluster):
    connection = cluster.connect()
    vectors.make_table(connection, ROWS[:100])
    connection.execute("CREATE INDEX by_cosine ON items USING hnsw (v vector_cosine_ops)")
    connection.execute("SET enable_seqscan = off")
    for operator in ("<->", "<=>"):
        connection.execute(f"SELECT id FROM items ORDER BY v {operator} '{vectors.text(ROWS[0])}' LIMIT 3")
    connection.execute("SELECT dvec_stat_reset('by_cosine')")
    assert counters(connection)["searches"] == 1 and counters(connection)["stats_reset"] is None
    reset = counters(connection, "by_cosine")
    assert reset["stats_reset"] is not None
    assert all(value == 0 for name, value in reset.items() if name not in ("index", "table", "stats_reset")), reset
    connection.execute("SELECT dvec_stat_reset()")
    assert counters(connection)["searches"] == 0 and counters(connection)["stats_reset"] is not None
    connection.execute("CREATE ROLE somebody")
    connection.execute("SET ROLE somebody")
    assert counters(connection)["searches"] == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT dvec_stat_reset()")


def test_nothing_is_lost_between_sessions(cluster):
    connection = cluster.connect()
    vectors.make_table(connection, ROWS[:500])
    # While one session opens the index the others would read the table.
    connection.execute("SET enable_seqscan = off")
    search(connection, 0, 3)
    sessions = [cluster.connect_for_thread() for _ in range(4)]

    def work(session):
        session.execute("SET enable_seqscan = off")
        for number in range(100):
            search(session, number, 3)

    threads = [threading.Thread(target=work, args=[session]) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = counters(connection)
    assert (counted["searches"], counted["rows"]) == (401, 1203)
