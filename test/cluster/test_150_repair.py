"""An index that has to be read from its table again: a process of its own does that, and nobody waits
who need not."""

import shutil
import threading
import time

import psycopg
import pytest

import answers
import repairs
import vectors
from cluster import wait_until
from worker import stop_in_its_sleep, stopped, wait_until_linked

SEARCH = "SELECT id FROM items WHERE gate(id) ORDER BY v <-> '{}' LIMIT 1"


@pytest.fixture
def lost(cluster):
    """A cluster whose table `items` has lost its index's files."""
    rows = vectors.clustered(400, 8, seed=150)
    repairs.make_gated_table(cluster.connect(), rows[:200])
    repairs.lose_folders(cluster, "items_v_idx")
    return cluster, rows


def search(rows, i):
    return SEARCH.format(vectors.text(rows[i]))


def check_all(connection, rows, count):
    """Every row comes through the index, once."""
    answers.force_index(connection)
    statement = f"SELECT id FROM items WHERE gate(id) ORDER BY v <-> '{vectors.text(rows[0])}'"
    answers.check_plan(connection, statement)
    found = sorted(id for [id] in connection.execute(statement))
    assert found == sorted(answers.ids_in_table(connection, "items"))
    assert len(found) == count


def test_queries_do_not_wait(lost):
    """Plans avoid the index while it is repaired, and come back to it afterwards, cached ones too."""
    cluster, rows = lost
    connection = cluster.connect()
    connection.execute("SET plan_cache_mode = force_generic_plan")
    connection.execute(f"PREPARE nearest AS {search(rows, 3)}")
    with repairs.closed_gate(cluster):
        assert "Index Scan" not in answers.plan_of(connection, "EXECUTE nearest")
        repairs.wait_for_state(connection, "items_v_idx", "repairing")
        wait_until(lambda: answers.index_state(connection, "items_v_idx")["repair_total"],
                   "the table is being read")
        # The gate opens only after these: who waited for the repair would wait for ever.
        connection.execute("SET statement_timeout = '60s'")
        assert connection.execute("EXECUTE nearest").fetchall() == [(3,)]
        assert "Index Scan" not in answers.plan_of(connection, search(rows, 4))
        assert connection.execute(search(rows, 4)).fetchall() == [(4,)]
        state = answers.index_state(connection, "items_v_idx")
        assert state["state"] == "repairing", "the repair was over too soon for this test"
        assert state["repair"] == "rebuild" and state["repair_reason"], state
        assert state["repair_total"] > 0, state
        assert state["repair_done"] < state["repair_total"], state
        assert state["repaired"] == 0, state
    repairs.wait_for_state(connection, "items_v_idx", "ready")
    connection.execute("SET enable_seqscan = off")
    plan = wait_until(lambda: "Index Scan" in answers.plan_of(connection, "EXECUTE nearest"),
                      "the cached plan is made anew")
    assert plan and connection.execute("EXECUTE nearest").fetchall() == [(3,)]
    state = answers.index_state(connection, "items_v_idx")
    assert (state["repair"], state["repair_reason"], state["repaired"]) == (None, None, 1), state
    assert (state["repair_added"], state["opened_by"]) == (200, "rebuild"), state
    check_all(connection, rows, 200)


def test_a_cached_plan_comes_back_by_itself(lost):
    """No setting is changed and nothing else happens to the table: the end of the repair is enough."""
    cluster, rows = lost
    connection = cluster.connect()
    answers.force_index(connection)
    connection.execute("SET plan_cache_mode = force_generic_plan")
    connection.execute(f"PREPARE nearest AS {search(rows, 3)}")
    with repairs.closed_gate(cluster):
        assert "Index Scan" not in answers.plan_of(connection, "EXECUTE nearest")
    repairs.wait_for_state(cluster.connect(), "items_v_idx", "ready")
    wait_until(lambda: "Index Scan" in answers.plan_of(connection, "EXECUTE nearest"),
               "the cached plan is made anew")


def test_other_queries_leave_the_index_alone(lost):
    """What cannot use the index neither opens it nor fails for it."""
    cluster, _ = lost
    connection = cluster.connect()
    assert connection.execute("SELECT count(*) FROM items WHERE id < 10").fetchall() == [(10,)]
    connection.execute("DELETE FROM items WHERE id < 10")
    connection.execute("ANALYZE items")
    assert answers.index_state(connection, "items_v_idx")["state"] == "closed"


@pytest.mark.parametrize("statement", ["INSERT INTO items VALUES (-1, (SELECT v FROM items LIMIT 1))",
                                       "VACUUM items"])
def test_who_must_wait_can_be_cancelled(lost, statement):
    cluster, rows = lost
    connection = cluster.connect()
    connection.execute("DELETE FROM items WHERE id < 20")
    with repairs.closed_gate(cluster):
        connection.execute(search(rows, 30))
        repairs.wait_for_state(connection, "items_v_idx", "repairing")
        connection.execute("SET statement_timeout = '300ms'")
        with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            connection.execute(statement)
        connection.execute("SET statement_timeout = 0")
        assert answers.index_state(connection, "items_v_idx")["state"] == "repairing"
    connection.execute(statement)
    check_all(connection, rows, 180 + statement.startswith("INSERT"))
    assert answers.index_state(connection, "items_v_idx")["repaired"] == 1


def test_waiting_inserts_go_on_when_it_is_over(lost):
    cluster, rows = lost
    sessions = [cluster.connect() for _ in range(4)]
    observer = cluster.connect()
    failures = []

    def insert(lane):
        try:
            vectors.copy_in(sessions[lane], "items", 1000 + 50 * lane, rows[200 + 50 * lane:][:50])
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=insert, args=[lane]) for lane in range(4)]
    with repairs.closed_gate(cluster):
        for thread in threads:
            thread.start()
        repairs.wait_for_state(observer, "items_v_idx", "repairing")
        time.sleep(0.2)
        assert all(thread.is_alive() for thread in threads)
    for thread in threads:
        thread.join(20)
    assert not failures and not any(thread.is_alive() for thread in threads), failures
    check_all(observer, rows, 400)
    assert answers.index_state(observer, "items_v_idx")["repaired"] == 1


def test_session_with_an_exclusive_lock(lost):
    """The background process cannot read a table that the waiting session has locked: no deadlock, the
    session does it itself."""
    cluster, rows = lost
    connection = cluster.connect()
    connection.execute("SET statement_timeout = '60s'")
    with connection.transaction():
        connection.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        vectors.copy_in(connection, "items", 200, rows[200:])
    assert "its table is locked" in cluster.log_text()
    check_all(connection, rows, 400)


def test_index_of_the_same_transaction(cluster):
    """An index that nobody else can see yet is repaired by its own session."""
    rows = vectors.clustered(100, 8, seed=151)
    connection = cluster.connect()
    connection.execute("SET statement_timeout = '60s'")
    with connection.transaction():
        vectors.make_table(connection, rows[:50])
        shutil.rmtree(repairs.path_of(cluster, connection, "items_v_idx"))
        vectors.copy_in(connection, "items", 50, rows[50:])
    assert answers.check_complete(connection, "items", rows[0]) == 100
    assert "no committed index has this file" in cluster.log_text()


def test_no_free_background_worker(make_cluster):
    cluster = make_cluster(max_worker_processes="1", max_logical_replication_workers="0")
    rows = vectors.clustered(200, 8, seed=152)
    vectors.make_table(cluster.connect(), rows[:100])
    repairs.lose_folders(cluster, "items_v_idx")
    connection = cluster.connect()
    connection.execute("SET statement_timeout = '60s'")
    vectors.copy_in(connection, "items", 100, rows[100:])
    assert "no background worker is free" in cluster.log_text()
    assert answers.check_complete(connection, "items", rows[0]) == 200


def wait_until_ready_for_newcomers(cluster, dbname, index):
    """Asks over a new connection each time. Up to PostgreSQL 15 a postmaster that learns of a worker's
    end while it is busy sleeps for up to a minute before it starts the next, unless somebody connects."""
    def ready():
        with cluster.connect(dbname) as connection:
            return answers.index_state(connection, index)["state"] == "ready"
    wait_until(ready, f"{index} is ready", 120, 0.2)


def test_no_free_background_worker_and_nobody_who_writes(make_cluster):
    """The worker repairs what else nobody would, however many there are, and complains once."""
    cluster = make_cluster(max_worker_processes="1", max_logical_replication_workers="0")
    rows = vectors.clustered(300, 8, seed=157)
    cluster.sql("CREATE DATABASE other")
    cluster.sql("CREATE EXTENSION dvec", dbname="other")
    tables = [f"t{i}" for i in range(4)]
    folders = []
    for dbname in ("postgres", "other"):
        connection = cluster.connect(dbname)
        for table in tables:
            vectors.make_table(connection, rows, table)
            folders.append(cluster.folder_of(f"{table}_v_idx", dbname))
    cluster.stop()
    for folder in folders:
        shutil.rmtree(folder)
    cluster.start()
    for dbname in ("postgres", "other"):
        connection = cluster.connect(dbname)
        for table in tables:
            answers.plan_of(connection, f"SELECT id FROM {table} ORDER BY v <-> '{vectors.text(rows[0])}'")
    for dbname in ("postgres", "other"):
        for table in tables:
            wait_until_ready_for_newcomers(cluster, dbname, f"{table}_v_idx")
        connection = cluster.connect(dbname)
        for table in tables:
            assert answers.check_complete(connection, table, rows[0]) == 300
    assert cluster.log_text().count("WARNING:  dvec: no background worker is free") == 1
    # It is there again, and links.
    vectors.copy_in(connection, "t0", 1000, rows[:100] + 9)
    wait_until_linked(connection, "t0_v_idx")


def test_temporary_table(cluster):
    """Nobody but its session can repair it, so the first query does."""
    rows = vectors.clustered(200, 8, seed=153)
    connection = cluster.connect()
    connection.execute("CREATE TEMPORARY TABLE items (id integer, v vector(8))")
    vectors.copy_in(connection, "items", 0, rows)
    connection.execute("CREATE INDEX ON items USING hnsw (v vector_l2_ops)")
    [folder] = [name for name in cluster.folders() if "_t" in name]
    shutil.rmtree(cluster.data / "dvec" / folder)
    assert answers.check_complete(connection, "items", rows[0]) == 200
    assert answers.index_state(connection, "items_v_idx")["opened_by"] == "rebuild"


def repair_pid(cluster):
    found = cluster.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'dvec repair'")
    return found[0][0] if found else None


@pytest.mark.parametrize("afterwards", ["nothing", "insert"])
def test_terminated_repair_is_done_again(lost, afterwards):
    """By the worker after a while, or by the first session that needs the index, at once."""
    cluster, rows = lost
    connection = cluster.connect()
    with repairs.closed_gate(cluster):
        connection.execute(search(rows, 3))
        repairs.wait_for_state(connection, "items_v_idx", "repairing")
        pid = repair_pid(cluster)
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])
        repairs.wait_for_state(connection, "items_v_idx", "needs_repair")
    if afterwards == "insert":
        # Without the worker, so that it is the session that begins it.
        with stopped(cluster.worker_pid(), stop_in_its_sleep):
            vectors.copy_in(connection, "items", 200, rows[200:])
        check_all(connection, rows, 400)
    else:
        repairs.wait_for_state(connection, "items_v_idx", "ready")
        check_all(connection, rows, 200)


def test_cancelled_session_leaves_the_repair_to_others(lost):
    """A session that repairs in the foreground is cancelled in the middle."""
    cluster, rows = lost
    session, observer = cluster.connect_for_thread(), cluster.connect()
    failures = []

    def insert():
        try:
            with session.transaction():
                session.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
                vectors.copy_in(session, "items", 1000, rows[200:])
        except psycopg.Error as failure:
            failures.append(failure)

    thread = threading.Thread(target=insert)
    with repairs.closed_gate(cluster):
        thread.start()
        # Nobody else can read the table.
        wait_until(lambda: "rebuilding the files" in cluster.log_text(), "the session repairs the index")
        observer.execute("SELECT pg_cancel_backend(%s)", [session.info.backend_pid])
        thread.join(20)
        assert [type(failure) for failure in failures] == [psycopg.errors.QueryCanceled], failures
        state = answers.index_state(observer, "items_v_idx")
        assert state["state"] == "needs_repair" and state["repair"] == "rebuild", state
    session.close()
    vectors.copy_in(observer, "items", 200, rows[200:])
    check_all(observer, rows, 400)


def test_rows_of_transactions_in_progress(lost):
    """A repair reads rows that are not committed. They are in the index once in the end, whatever order
    things happened in, and not at all when they are rolled back."""
    cluster, rows = lost
    early, aborting = cluster.connect(autocommit=False), cluster.connect(autocommit=False)
    updating, deleting = cluster.connect(autocommit=False), cluster.connect(autocommit=False)
    connection = cluster.connect()
    connection.execute("ALTER TABLE items ADD COLUMN note text")
    for session in (early, aborting):
        session.execute("SELECT pg_current_xact_id()")
    # Updates in place: two versions of a row under one TID, both there when the repair comes by.
    updating.execute("UPDATE items SET note = 'x' WHERE id >= 195")
    deleting.execute("DELETE FROM items WHERE id < 5")

    def insert(session, first):
        vectors.copy_in(session, "items", first, rows[200:230])

    repairs.begin_during_repair(cluster, connection, "items_v_idx",
                                lambda: insert(early, 1000), lambda: insert(aborting, 2000))
    repairs.wait_for_state(connection, "items_v_idx", "ready")
    insert(early, 1100)
    insert(aborting, 2100)
    aborting.rollback()
    updating.commit()
    deleting.rollback()
    early.commit()
    insert(connection, 3000)
    check_all(connection, rows, 200 + 60 + 30)
    connection.execute("DELETE FROM items WHERE id >= 195 AND id < 200")
    connection.execute("VACUUM items")
    insert(connection, 4000)
    check_all(connection, rows, 200 - 5 + 60 + 60)


def test_many_at_once(cluster):
    """More indexes than may be repaired at one time; all are, without anybody waiting for them."""
    rows = vectors.clustered(300, 8, seed=154)
    connection = cluster.connect()
    tables = [f"t{i}" for i in range(6)]
    for table in tables:
        vectors.make_table(connection, rows, table)
    repairs.lose_folders(cluster, *[f"{table}_v_idx" for table in tables])
    connection = cluster.connect()
    for table in tables:
        answers.plan_of(connection, f"SELECT id FROM {table} ORDER BY v <-> '{vectors.text(rows[0])}'")
    for table in tables:
        repairs.wait_for_state(connection, f"{table}_v_idx", "ready")
        assert answers.check_complete(connection, table, rows[0]) == 300


def test_database_of_the_repair_can_be_dropped(cluster):
    """A repair under way keeps nobody from dropping its database by force."""
    cluster.sql("CREATE DATABASE other")
    connection = cluster.connect("other")
    connection.execute("CREATE EXTENSION dvec")
    rows = vectors.clustered(200, 8, seed=155)
    repairs.make_gated_table(connection, rows)
    folder = repairs.path_of(cluster, connection, "items_v_idx")
    cluster.stop()
    shutil.rmtree(folder)
    cluster.start()
    holder = cluster.connect("other")
    holder.execute("SELECT pg_advisory_lock(%s)", [repairs.GATE])
    holder.execute(SEARCH.format(vectors.text(rows[0])))
    repairs.wait_for_state(holder, "items_v_idx", "repairing")
    cluster.sql("DROP DATABASE other WITH (FORCE)")
    assert cluster.sql("SELECT count(*) FROM pg_database WHERE datname = 'other'") == [(0,)]


def test_index_given_up_while_in_use(cluster):
    """A log that cannot be synced makes the index worthless from one moment to the next. Sessions that
    had it open do without, or wait if they must, and get the new one."""
    rows = vectors.clustered(400, 8, seed=156)
    connection, other = cluster.connect(), cluster.connect()
    repairs.make_gated_table(connection, rows[:200])
    folder = repairs.path_of(cluster, connection, "items_v_idx")
    check_all(connection, rows, 200)
    answers.force_index(other)
    other.execute("SET plan_cache_mode = force_generic_plan")
    other.execute(f"PREPARE nearest AS {search(rows, 3)}")
    assert other.execute("EXECUTE nearest").fetchall() == [(3,)]
    for session, first in (connection, 200), (other, 250):
        vectors.copy_in(session, "items", first, rows[first:first + 50])
    wait_until(lambda: answers.index_state(connection, "items_v_idx")["unsynced_log_bytes"] == 0,
               "the log is synced")
    [segment] = folder.glob("log.*")
    with repairs.closed_gate(cluster):
        connection.execute("DELETE FROM items WHERE id < 3")
        segment.unlink()
        with pytest.raises(psycopg.Error, match="log"):
            connection.execute("VACUUM items")
        repairs.wait_for_state(connection, "items_v_idx", "repairing")
        assert answers.index_state(connection, "items_v_idx")["repair"] == "rebuild"
        # A plan that was made before has to wait.
        other.execute("SET statement_timeout = '300ms'")
        with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            other.execute("EXECUTE nearest")
        other.execute("SET statement_timeout = 0")
        assert answers.index_state(connection, "items_v_idx")["state"] == "repairing"
    assert other.execute("EXECUTE nearest").fetchall() == [(3,)]
    vectors.copy_in(other, "items", 300, rows[300:])
    check_all(connection, rows, 397)
    check_all(other, rows, 397)
    connection.execute("VACUUM items")
    cluster.kill()
    cluster.start()
    check_all(cluster.connect(), rows, 397)
