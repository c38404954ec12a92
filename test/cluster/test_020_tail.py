"""Rows that the worker has not linked yet are found all the same, by exact search."""

import os
import signal
import time

import numpy as np
import psycopg
import pytest

import answers
import vectors
from cluster import wait_until


def test_rows_in_the_tail_are_found_exactly(make_cluster):
    cluster = make_cluster(dvec__log_buffer_limit="64MB")
    rows = vectors.clustered(4000, 32, seed=3)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:1000])
    answers.force_index(connection, ef_search=100)
    worker = cluster.worker_pid()
    os.kill(worker, signal.SIGSTOP)
    try:
        vectors.copy_in(connection, "items", 1000, rows[1000:])
        state = answers.index_state(connection, "items_v_idx")
        assert state["tail"] == 3000 and state["nodes"] == 4000, state

        for query in vectors.clustered(20, 32, seed=4):
            exact = vectors.distances("l2", rows, query)
            in_tail = 1000 + np.argsort(exact[1000:], kind="stable")
            hits = [id for id, _ in answers.nearest(connection, "items", query, 20)]
            hits_in_tail = [id for id in hits if id >= 1000]
            assert hits_in_tail == in_tail[:len(hits_in_tail)].tolist()
            # Nothing of the tail is left out that is nearer than the farthest hit.
            farthest = exact[hits[-1]]
            assert len(hits_in_tail) == int((exact[1000:] <= farthest).sum())
        assert answers.check_complete(connection, "items", rows[0]) == 4000

        connection.execute("DELETE FROM items WHERE id % 10 = 3")
        connection.execute("VACUUM items")
        assert answers.check_complete(connection, "items", rows[0]) == 3600
    finally:
        os.kill(worker, signal.SIGCONT)

    wait_until(lambda: answers.index_state(connection, "items_v_idx")["tail"] == 0,
               "the tail is linked")
    assert answers.check_complete(connection, "items", rows[0]) == 3600
    answers.check_own_neighbours(connection, "items")


def test_sessions_wait_for_a_long_tail_and_can_be_cancelled(make_cluster):
    cluster = make_cluster(dvec__tail_limit="64kB")
    rows = vectors.clustered(1000, 128, seed=5)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:0])
    worker = cluster.worker_pid()
    connection.execute("SET statement_timeout = '500ms'")
    os.kill(worker, signal.SIGSTOP)
    try:
        with pytest.raises(psycopg.errors.QueryCanceled):
            vectors.copy_in(connection, "items", 0, rows)
    finally:
        os.kill(worker, signal.SIGCONT)
    connection.execute("SET statement_timeout = 0")
    vectors.copy_in(connection, "items", 1000, rows)
    assert answers.check_complete(connection, "items", rows[0]) == 1000


def test_the_tail_stays_short_while_it_is_searched(make_cluster):
    cluster = make_cluster(dvec__tail_limit="800kB")
    rows = vectors.clustered(900, 128, seed=6)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:100])
    answers.force_index(connection, ef_search=40)
    worker = cluster.worker_pid()
    connection.execute("SET statement_timeout = '300ms'")
    os.kill(worker, signal.SIGSTOP)
    try:
        answers.nearest(connection, "items", rows[0], 10)
        # An eighth of the limit has room for 200 rows.
        with pytest.raises(psycopg.errors.QueryCanceled):
            vectors.copy_in(connection, "items", 100, rows[100:400])
        tail = answers.index_state(connection, "items_v_idx")["tail"]
        assert 190 <= tail <= 210, tail
        # A second after the last search the whole of it may be used.
        time.sleep(1.1)
        connection.execute("SET statement_timeout = '10s'")
        vectors.copy_in(connection, "items", 400, rows[400:])
    finally:
        os.kill(worker, signal.SIGCONT)
    connection.execute("SET statement_timeout = 0")
    assert answers.check_complete(connection, "items", rows[0]) == 600


def test_the_worker_runs_at_a_lower_priority(make_cluster):
    cluster = make_cluster()
    session = cluster.connect()
    backend, worker = session.info.backend_pid, cluster.worker_pid()

    def niceness(pid):
        return os.getpriority(os.PRIO_PROCESS, pid)

    # The worker is there before it has come to that.
    wait_until(lambda: niceness(worker) == niceness(backend) + 5, "the worker yields")
