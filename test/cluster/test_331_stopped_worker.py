"""A worker that is stopped in the middle of its work keeps nobody from being cancelled, and nothing that
is given to others meanwhile is written to when it goes on."""

import contextlib
import os
import shutil
import threading

import psycopg
import pytest

import answers
import repairs
import vectors
from cluster import wait_until
from worker import stopped, wait_until_linked

DIMENSIONS = 64
# Whoever cannot be interrupted stays for good.
FOR_GOOD = 20


@pytest.fixture
def prepared(make_cluster):
    # Nobody syncs the log: a worker that is stopped is not in the middle of that.
    cluster = make_cluster(faults=True, dvec__log_segment_size="256kB", dvec__link_threads="1",
                           dvec__tail_limit="1GB", dvec__sweep_interval="1d",
                           dvec__checkpoint_timeout="1d", dvec__log_flush_threshold="1GB",
                           dvec__log_flush_interval="60s", dvec__log_buffer_limit="1GB")
    rows = vectors.clustered(12000, DIMENSIONS, seed=331)
    vectors.make_table(cluster.connect(), rows[:500])
    return cluster, rows


@contextlib.contextmanager
def worker_stopped_while_linking(cluster, connection, rows):
    vectors.copy_in(connection, "items", 1000, rows[500:])
    wait_until(lambda: 0 < answers.index_state(connection, "items_v_idx")["tail"] < len(rows) - 600,
               "the worker links", 30, 0.005)
    with stopped(cluster.worker_pid()):
        assert answers.index_state(connection, "items_v_idx")["tail"] > 0
        yield


def in_thread(connection, statement):
    """Runs it; returns the thread and a list that gets what it raised, or None."""
    outcome = []

    def run():
        try:
            connection.execute(statement)
            outcome.append(None)
        except psycopg.Error as failure:
            outcome.append(failure)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, outcome


def check_interruptible(cluster, statement):
    """Neither statement_timeout nor pg_terminate_backend is in vain."""
    patient, waiting = cluster.connect_for_thread(), cluster.connect_for_thread()
    patient.execute("SET statement_timeout = '1s'")
    thread, outcome = in_thread(patient, statement)
    thread.join(FOR_GOOD)
    assert not thread.is_alive(), "statement_timeout does not reach it"
    assert isinstance(outcome[0], psycopg.errors.QueryCanceled), outcome
    thread, outcome = in_thread(waiting, statement)
    event = "DvecLock" if waiting.info.server_version >= 170000 else "Extension"
    wait_until(lambda: cluster.sql("SELECT wait_event FROM pg_stat_activity WHERE pid = %s",
                                   [waiting.info.backend_pid]) == [(event,)], "it waits")
    assert thread.is_alive()
    cluster.sql("SELECT pg_terminate_backend(%s)", [waiting.info.backend_pid])
    thread.join(FOR_GOOD)
    assert not thread.is_alive(), "pg_terminate_backend does not reach it"
    assert isinstance(outcome[0], (psycopg.errors.AdminShutdown, psycopg.OperationalError)), outcome
    for connection in (patient, waiting):
        connection.close()


def test_wait_for_the_end_of_linking(prepared):
    cluster, rows = prepared
    connection = cluster.connect()
    with worker_stopped_while_linking(cluster, connection, rows), cluster.faults.in_force("no_space", "log"):
        # The log has no space for removals: a checkpoint has to make them durable, for which nothing
        # may be linked.
        with pytest.raises(psycopg.errors.DiskFull):
            for i in range(5000):
                connection.execute("INSERT INTO items VALUES (%s, %s)", [50000 + i, vectors.text(rows[i])])
        connection.execute("DELETE FROM items WHERE id < 100")
        check_interruptible(cluster, "VACUUM (INDEX_CLEANUP on) items")
    connection.execute("VACUUM (INDEX_CLEANUP on) items")
    assert answers.index_state(connection, "items_v_idx")["deleted"] >= 100
    wait_until_linked(connection)
    answers.check_complete(connection, "items", rows[0])


def test_wait_for_a_stuck_disk(prepared):
    """The worker takes a checkpoint, and its sync does not return: nobody can add to the files."""
    cluster, rows = prepared
    connection = cluster.connect()
    connection.execute("CREATE TABLE source AS SELECT i AS id, (SELECT v FROM items LIMIT 1) AS v "
                       "FROM generate_series(1, 20000) i")
    # Whoever writes first leaves the clean state, which is written to that file too.
    connection.execute("INSERT INTO items VALUES (998, %s)", [vectors.text(rows[0])])
    with cluster.faults.in_force("stall_sync", "checkpoint"):
        cluster.configure(dvec__checkpoint_timeout="1s")
        cluster.sql("SELECT pg_reload_conf()")
        connection.execute("INSERT INTO items VALUES (999, %s)", [vectors.text(rows[0])])
        wait_until(lambda: has_checkpoint_open(cluster.worker_pid()), "the worker waits for the disk")
        check_interruptible(cluster, "INSERT INTO items SELECT * FROM source")
    connection.execute("INSERT INTO items SELECT * FROM source WHERE id <= 3000")
    assert answers.check_complete(connection, "items", rows[0]) == 3502


def has_checkpoint_open(worker):
    """Whether a checkpoint file is open there: only while one is read or written."""
    with contextlib.suppress(OSError):
        links = [os.readlink(f"/proc/{worker}/fd/{number}") for number in os.listdir(f"/proc/{worker}/fd")]
        return any(link.endswith("/checkpoint") for link in links)
    return False


def test_swept_by_another(prepared):
    """The index that the worker is at work on is dropped, and a session that rebuilds another one
    sweeps. Its entry in the registry must not be another index's before the worker lets go of it."""
    cluster, rows = prepared
    connection = cluster.connect()
    vectors.make_table(connection, rows[:200], "broken")
    repairs.lose_folders(cluster, "broken_v_idx")
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == 500
    with worker_stopped_while_linking(cluster, connection, rows):
        shutil.rmtree(cluster.folder_of("items_v_idx"))
        connection.execute("DROP TABLE items")
        connection.execute("CHECKPOINT")
        connection.execute("INSERT INTO broken VALUES (1000, %s)", [vectors.text(rows[0])])
        assert "rebuilding the files" in cluster.log_text()
        # It gets the first entry that is free.
        vectors.make_table(connection, rows[:1400], "other")
        assert answers.check_complete(connection, "other", rows[0]) == 1400
    vectors.copy_in(connection, "other", 5000, rows[2000:2100])
    wait_until_linked(connection, "other_v_idx")
    state = answers.index_state(connection, "other_v_idx")
    assert state["nodes"] == 1500 and state["state"] == "ready", state
    assert answers.check_complete(connection, "other", rows[0]) == 1500
    assert answers.check_complete(connection, "broken", rows[0]) == 201
