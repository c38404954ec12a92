"""Rows that the worker has not linked yet are found all the same, by exact search."""

import contextlib
import os
import threading
import time

import numpy as np
import pytest

import answers
import vectors
from cluster import wait_until
from worker import cancelled_in_its_wait, stop_in_its_sleep, stopped, wait_until_linked


def test_rows_in_the_tail_are_found_exactly(make_cluster):
    cluster = make_cluster(dvec__log_buffer_limit="64MB")
    rows = vectors.clustered(4000, 32, seed=3)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:1000])
    answers.force_index(connection, ef_search=100)
    with stopped(cluster.worker_pid(), stop_in_its_sleep):
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

    wait_until_linked(connection)
    assert answers.check_complete(connection, "items", rows[0]) == 3600
    answers.check_own_neighbours(connection, "items")


def test_sessions_wait_for_a_long_tail_and_can_be_cancelled(make_cluster):
    cluster = make_cluster(dvec__tail_limit="64kB")
    rows = vectors.clustered(1000, 128, seed=5)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:0])
    with stopped(cluster.worker_pid(), stop_in_its_sleep):
        cancelled_in_its_wait(cluster, "items_v_idx", lambda session: vectors.copy_in(session, "items", 0, rows))
    vectors.copy_in(connection, "items", 1000, rows)
    assert answers.check_complete(connection, "items", rows[0]) == 1000


@contextlib.contextmanager
def searched(cluster, query):
    """Somebody searches meanwhile, again and again."""
    session, over = cluster.connect_for_thread(), threading.Event()
    answers.force_index(session, ef_search=40)

    def search():
        answers.nearest(session, "items", query, 10)

    def search_until_over():
        while not over.wait(0.05):
            search()

    search()
    thread = threading.Thread(target=search_until_over)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        session.close()


def test_the_tail_stays_short_while_it_is_searched(make_cluster):
    cluster = make_cluster(dvec__tail_limit="800kB")
    rows = vectors.clustered(900, 128, seed=6)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:100])

    def waits():
        return answers.index_state(connection, "items_v_idx")["waits"]

    with stopped(cluster.worker_pid(), stop_in_its_sleep):
        with searched(cluster, rows[0]):
            # An eighth of the limit has room for 200 rows.
            state = cancelled_in_its_wait(cluster, "items_v_idx",
                                          lambda session: vectors.copy_in(session, "items", 100, rows[100:400]))
        assert 190 <= state["tail"] <= 210, state
        # A second after the last search the whole of it may be used.
        time.sleep(1.1)
        before = waits()
        vectors.copy_in(connection, "items", 400, rows[400:])
        assert waits() == before
    assert answers.check_complete(connection, "items", rows[0]) == 600


def test_the_worker_runs_at_a_lower_priority(make_cluster):
    cluster = make_cluster()
    session = cluster.connect()
    backend, worker = session.info.backend_pid, cluster.worker_pid()

    def niceness(pid):
        return os.getpriority(os.PRIO_PROCESS, pid)

    # The worker is there before it has come to that.
    wait_until(lambda: niceness(worker) == niceness(backend) + 5, "the worker yields")


@pytest.mark.parametrize("options", ["", "WITH (storage = compact, bits = 4)",
                                     "WITH (storage = compact, bits = 1)", "WITH (link_codes = on)"])
def test_rows_in_the_tail_do_not_stand_in_for_nearer_ones(make_cluster, options):
    """Where a condition takes away most of what the walk has found, the tail has enough rows that pass:
    they are farther than linked rows that a further round, or the exact search, would find."""
    cluster = make_cluster(dvec__log_buffer_limit="64MB")
    connection = cluster.connect()
    rows = np.random.default_rng(20).random((12600, 16), dtype=np.float32)
    vectors.make_table(connection, rows[:12000], options=options)
    connection.execute("ANALYZE items")
    with stopped(cluster.worker_pid(), stop_in_its_sleep):
        vectors.copy_in(connection, "items", 12000, rows[12000:])
        assert answers.index_state(connection, "items_v_idx")["tail"] == 600
        connection.execute("SET enable_seqscan = off")
        found = wanted = 0
        for query in np.random.default_rng(21).random((20, 16), dtype=np.float32):
            passing = np.arange(len(rows)) % 20 == 3
            nearest = np.argsort(np.where(passing, vectors.distances("l2", rows, query), np.inf), kind="stable")
            statement = f"SELECT id FROM items WHERE id % 20 = 3 ORDER BY v <-> '{vectors.text(query)}' LIMIT 10"
            assert "VectorSearch" in answers.plan_of(connection, statement)
            ids = [row[0] for row in connection.execute(statement)]
            assert len(ids) == 10
            found += len(set(ids) & set(nearest[:10].tolist()))
            wanted += 10
        assert found >= 0.9 * wanted
