"""Builds and searches can be stopped at any time, and nothing is left in disorder."""

import shutil
import threading
import time

import psycopg
import pytest

import answers
import vectors
from cluster import wait_until

ROWS = 30000


@pytest.fixture(scope="module")
def big(prepared_template):
    from cluster import Cluster
    cluster = Cluster(prepared_template, dvec__sweep_interval="1s")
    try:
        cluster.start()
        rows = vectors.clustered(ROWS, 64, seed=44)
        connection = cluster.connect()
        connection.execute("CREATE TABLE items (id integer, v vector(64))")
        vectors.copy_in(connection, "items", 0, rows)
        connection.execute("CREATE TABLE small (id integer, v vector(64))")
        vectors.copy_in(connection, "small", 0, rows[:2000])
        connection.execute("CREATE INDEX ON small USING hnsw (v vector_l2_ops)")
        yield cluster, rows
    finally:
        cluster.destroy()


def building(cluster):
    """In the middle of linking."""
    return cluster.sql("SELECT pid FROM pg_stat_progress_create_index WHERE tuples_done > 100")


def check_health(cluster, rows):
    connection = cluster.connect()
    assert answers.check_complete(connection, "small", rows[0]) == 2000
    assert connection.execute(
        "SELECT count(*) FROM pg_class WHERE relname = 'items_v_idx' AND relkind = 'i'"
    ).fetchall() == [(0,)]
    connection.execute("CHECKPOINT")
    wait_until(lambda: len(cluster.folders()) == 1, "the unfinished folder is swept", 20, 0.1)


def test_statement_timeout_in_create_index(big):
    cluster, rows = big
    connection = cluster.connect()
    connection.execute("SET statement_timeout = '400ms'")
    begin = time.monotonic()
    with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
        connection.execute("CREATE INDEX ON items USING hnsw (v vector_l2_ops) WITH (ef_construction = 400)")
    assert time.monotonic() - begin < 10
    assert connection.execute("SELECT 1").fetchall() == [(1,)]
    check_health(cluster, rows)


@pytest.mark.parametrize("how", ["cancel", "terminate"])
def test_end_of_create_index(big, how):
    cluster, rows = big
    connection = cluster.connect()
    failures = []

    def build():
        try:
            connection.execute(
                "CREATE INDEX ON items USING hnsw (v vector_l2_ops) WITH (ef_construction = 400)")
        except psycopg.Error as failure:
            failures.append(failure)

    thread = threading.Thread(target=build)
    thread.start()
    [[pid]] = wait_until(lambda: building(cluster), "the build is under way")
    if how == "cancel":
        connection.cancel()
    else:
        cluster.sql("SELECT pg_terminate_backend(%s)", [pid])
    thread.join(20)
    assert not thread.is_alive() and failures, "the build was not stopped"
    wanted = "canceling statement due to user request" if how == "cancel" else "terminating connection"
    assert wanted in str(failures[0])
    check_health(cluster, rows)


def test_statement_timeout_in_a_search(big):
    """A search over everything, again and again, stops in the middle."""
    cluster, rows = big
    connection = cluster.connect()
    answers.force_index(connection)
    connection.execute("SET statement_timeout = '300ms'")
    begin = time.monotonic()
    with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
        connection.execute("""SELECT count(*) FROM items a CROSS JOIN LATERAL
            (SELECT id FROM small b ORDER BY b.v <-> a.v LIMIT 2000) n""")
    assert time.monotonic() - begin < 5
    connection.execute("SET statement_timeout = 0")
    assert answers.check_complete(connection, "small", rows[0]) == 2000


SLOW_ROWS = 200
SLOW_SEARCH = "SELECT id FROM large WHERE slow(id) ORDER BY v <-> %s::vector"


def lose_slow_index(cluster, rows):
    """A table whose index has to be rebuilt; in a session named 'slow' that takes two seconds, whatever
    the machine, since the index's predicate takes its time there."""
    connection = cluster.connect()
    connection.execute("""CREATE OR REPLACE FUNCTION slow(integer) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
        BEGIN
            IF current_setting('application_name') = 'slow' THEN PERFORM pg_sleep(0.01); END IF;
            RETURN true;
        END $$""")
    connection.execute("CREATE TABLE large (id integer, v vector(64))")
    vectors.copy_in(connection, "large", 0, rows[:SLOW_ROWS])
    connection.execute("CREATE INDEX large_v_idx ON large USING hnsw (v vector_l2_ops) WHERE slow(id)")
    folder = cluster.folder_of("large_v_idx")
    cluster.stop()
    shutil.rmtree(folder)
    cluster.start()


def slow_session(cluster):
    connection = cluster.connect()
    connection.execute("SET application_name = 'slow'")
    answers.force_index(connection)
    return connection


def test_cancelled_rebuild_starts_over(big):
    """A session that rebuilds a lost index is cancelled; the next one does it."""
    cluster, rows = big
    lose_slow_index(cluster, rows)
    connection = slow_session(cluster)
    connection.execute("SET statement_timeout = '150ms'")
    with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
        connection.execute(SLOW_SEARCH, [vectors.text(rows[0])])
    state = answers.index_state(connection, "large_v_idx")
    assert state["state"] == "closed", state
    connection.execute("SET statement_timeout = 0")
    connection.execute("SET application_name = ''")
    found = [id for [id] in connection.execute(SLOW_SEARCH, [vectors.text(rows[0])])]
    assert found[0] == 0 and sorted(found) == list(range(SLOW_ROWS))
    assert answers.index_state(connection, "large_v_idx")["opened_by"] == "rebuild"
    connection.execute("DROP TABLE large")


def test_the_planner_avoids_an_index_being_rebuilt(big):
    """Other sessions are not held up: they search exactly."""
    cluster, rows = big
    lose_slow_index(cluster, rows)
    rebuilding, observer = slow_session(cluster), cluster.connect()
    failures = []

    def search():
        try:
            rebuilding.execute(SLOW_SEARCH, [vectors.text(rows[0])])
        except psycopg.Error as failure:
            failures.append(failure)

    def state():
        return answers.index_state(observer, "large_v_idx")["state"]

    thread = threading.Thread(target=search)
    thread.start()
    wait_until(lambda: state() == "opening", "the rebuild is under way", pause=0.002)
    nearest = SLOW_SEARCH + " LIMIT 1"
    plan = observer.execute("EXPLAIN " + nearest, [vectors.text(rows[3])]).fetchall()
    found = observer.execute(nearest, [vectors.text(rows[3])]).fetchall()
    # An insert has to wait, but not without end.
    observer.execute("SET statement_timeout = '200ms'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        observer.execute("INSERT INTO large VALUES (-1, %s)", [vectors.text(rows[3])])
    assert state() == "opening", "the rebuild was over too soon for this test"
    assert not any("Index Scan" in line for [line] in plan), plan
    assert found == [(3,)]
    rebuilding.cancel()
    thread.join(20)
    assert failures and isinstance(failures[0], psycopg.errors.QueryCanceled), failures
    observer.execute("SET statement_timeout = 0")
    observer.execute("DROP TABLE large")
    assert answers.check_complete(observer, "small", rows[0]) == 2000
