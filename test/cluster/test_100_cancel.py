"""Builds and searches can be stopped at any time, and nothing is left in disorder."""

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
