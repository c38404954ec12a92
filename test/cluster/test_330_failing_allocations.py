"""Wherever C++ code has no memory left, a statement fails, and nothing else does.

Each statement is run again and again in fresh sessions; the first time its first allocation fails, then
its second, and so on, until one run needs no more of them than were granted.
"""

import contextlib
import shutil

import psycopg
import pytest

import answers
import repairs
import vectors
from cluster import children, wait_until
from worker import wait_until_linked

DIMENSIONS = 8
ROWS = 300
# Allocations that all sessions make are struck one by one, those of long loops here and there.
STRIDES = [1] * 120 + [7] * 40 + [61] * 1000


@pytest.fixture
def prepared(make_cluster):
    cluster = make_cluster(faults=True, dvec__log_segment_size="256kB")
    rows = vectors.clustered(2000, DIMENSIONS, seed=330)
    vectors.make_table(cluster.connect(), rows[:ROWS])
    return cluster, rows


def run(cluster, number, statements):
    """Returns whether the allocation of that number was needed."""
    connection = cluster.connect_for_thread()
    with contextlib.closing(connection):
        answers.force_index(connection)
        with cluster.faults.failing_allocation(connection.info.backend_pid, number) as struck:
            try:
                with connection.transaction():
                    for statement in statements:
                        connection.execute(statement)
            except psycopg.errors.OutOfMemory:
                assert struck()
            except psycopg.Error as failure:
                raise AssertionError(f"allocation {number} of {statements}: {failure!r}") from failure
            needed = struck()
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    return needed


def strike_each(cluster, statements, between=lambda: None):
    """Returns how many allocations were struck."""
    number = 0
    for count, stride in enumerate(STRIDES):
        between()
        if not run(cluster, number, statements):
            return count
        number += stride
    raise AssertionError(f"{statements}: more than {number} allocations")


def check_server(cluster, before):
    assert before <= set(children(cluster.server.pid)), cluster.log_tail()
    assert "was terminated by signal" not in cluster.log_text()


def test_statements(prepared):
    cluster, rows = prepared
    before = set(children(cluster.server.pid)) & {cluster.worker_pid()}
    q = vectors.text(rows[0])
    struck = {}
    for name, statements in {
        "search": [f"SELECT id FROM items ORDER BY v <-> '{q}' LIMIT 10"],
        "search to the end": [f"SELECT id FROM items ORDER BY v <-> '{q}'"],
        "explain": [f"EXPLAIN SELECT id FROM items ORDER BY v <-> '{q}' LIMIT 10"],
        "insert": [f"INSERT INTO items VALUES (-1, '{q}')"],
        "commit": ["SET dvec.wal_sync = commit", f"INSERT INTO items VALUES (-1, '{q}')"],
        "build": ["CREATE TABLE other AS SELECT * FROM items LIMIT 50",
                  "SET max_parallel_maintenance_workers = 4", "CREATE INDEX ON other USING hnsw (v vector_l2_ops)", "DROP TABLE other"],
        "check": ["SELECT * FROM dvec_check('items_v_idx')"],
        "view": ["SELECT * FROM dvec_indexes"],
    }.items():
        struck[name] = strike_each(cluster, statements)
    # An interposition that does not work would pass everything.
    assert min(struck[name] for name in ("insert", "build", "check")) >= 5, struck
    assert struck["search"] >= 1, struck
    check_server(cluster, before)
    connection = cluster.connect()
    connection.execute("DELETE FROM items WHERE id = -1")
    assert answers.check_complete(connection, "items", rows[0]) == ROWS
    cluster.restart()
    assert answers.check_complete(cluster.connect(), "items", rows[0]) == ROWS


def test_vacuum(prepared):
    cluster, rows = prepared
    connection = cluster.connect()
    before = set(children(cluster.server.pid)) & {cluster.worker_pid()}
    number = 0
    while True:
        connection.execute("DELETE FROM items WHERE id = %s", [number])
        session = cluster.connect_for_thread()
        with contextlib.closing(session), \
                cluster.faults.failing_allocation(session.info.backend_pid, number) as struck:
            try:
                session.execute("VACUUM items")
            except psycopg.errors.OutOfMemory:
                assert struck()
            if not struck():
                break
        number += 1
    assert number >= 5
    check_server(cluster, before)
    assert answers.check_complete(connection, "items", rows[0]) == ROWS - number - 1


@pytest.mark.parametrize("how", ["replay", "rebuild"])
def test_opening_and_repair(prepared, how):
    """What failed is done again by the next session."""
    cluster, rows = prepared
    vectors.copy_in(cluster.connect(), "items", ROWS, rows[ROWS:2 * ROWS])
    folder = cluster.folder_of("items_v_idx")
    cluster.kill()
    if how == "rebuild":
        shutil.rmtree(folder)
    cluster.start()
    before = set(children(cluster.server.pid)) & {cluster.worker_pid()}
    # The background process cannot read a table that is locked, so that the session has to.
    lock = "LOCK TABLE items IN ACCESS EXCLUSIVE MODE"
    insert = f"INSERT INTO items VALUES (-1, '{vectors.text(rows[0])}')"
    struck = strike_each(cluster, [lock, insert] if how == "rebuild" else [insert])
    assert struck >= 20
    check_server(cluster, before)
    connection = cluster.connect()
    connection.execute("DELETE FROM items WHERE id = -1")
    repairs.wait_for_state(connection, "items_v_idx", "ready")
    assert answers.check_complete(connection, "items", rows[0]) == 2 * ROWS


def test_worker(prepared):
    """It may have to begin anew; sessions do not notice."""
    cluster, rows = prepared
    connection = cluster.connect()
    struck = 0
    for number in (0, 1, 2, 3, 5, 8, 13, 40):
        pid = cluster.worker_pid()
        with cluster.faults.failing_allocation(pid, number) as has_struck:
            connection.execute("DELETE FROM items WHERE id >= 1000")
            vectors.copy_in(connection, "items", 1000, rows[1000:1100])
            with contextlib.suppress(AssertionError):
                wait_until(has_struck, "the worker's allocation fails", 5)
            struck += has_struck()
    assert struck >= 4
    assert "was terminated by signal" not in cluster.log_text()
    wait_until_linked(connection)
    assert answers.check_complete(connection, "items", rows[0]) == ROWS + 100
    answers.check_own_neighbours(connection, "items")
