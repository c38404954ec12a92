"""The background worker, and what else works behind the sessions, where a test wants it: it stands still, is waited for, or
compacts when it is told to."""

import contextlib
import os
import pathlib
import signal
import threading

import psycopg

import answers
from cluster import state_of, wait_until


def wait_until_linked(connection, index="items_v_idx"):
    wait_until(lambda: answers.index_state(connection, index)["tail"] == 0, "all is linked", 60)


def sleeps(pid):
    """Whether a process waits for its latch, as it does between two pieces of work, where it holds no lock. Where the
    system does not tell what a process waits for: whether it waits."""
    try:
        where = pathlib.Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        where = ""
    return state_of(pid) == "S" and (where in ("", "0") or "poll" in where)


def stop(pid):
    """Wherever it is."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state_of(pid) == "T", "the process stands still")


def stop_in_its_sleep(pid):
    """So that nobody waits for what it holds."""
    wait_until(lambda: sleeps(pid), "the process sleeps", pause=0.001)
    stop(pid)


@contextlib.contextmanager
def stopped(pid, how=stop):
    """A process that does nothing meanwhile."""
    how(pid)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def cancelled_in_its_wait(cluster, index, work):
    """Gives `work` a session, and cancels it as soon as it waits for the worker. Returns what dvec_indexes showed of the
    index at that moment."""
    observer, session = cluster.connect(), cluster.connect_for_thread()
    failures = []

    def run():
        try:
            work(session)
        except psycopg.Error as failure:
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        state = wait_until(lambda: (now := answers.index_state(observer, index))["waiting"] and now, "the session waits")
    finally:
        observer.execute("SELECT pg_cancel_backend(%s)", [session.info.backend_pid])
        thread.join()
        session.close()
    assert [type(failure) for failure in failures] == [psycopg.errors.QueryCanceled], failures
    return state


def compact_at(connection, threshold):
    """Sets dvec.compact_threshold, a percentage of deleted entries, for everybody."""
    connection.execute(f"ALTER SYSTEM SET dvec.compact_threshold = {threshold}")
    connection.execute("SELECT pg_reload_conf()")
    wait_until(lambda: connection.execute("SHOW dvec.compact_threshold").fetchone()[0] == str(threshold),
               "the threshold is known")


def compact_no_more(cluster, connection):
    compact_at(connection, 0)
    # The signal has woken it, so it has read its settings when it sleeps again.
    wait_until(lambda: sleeps(cluster.worker_pid()), "the worker knows")


def vacuum_and_compact(cluster, connection, table):
    """A compaction that begins while VACUUM marks entries keeps those that are marked later; here none begins before all
    are marked."""
    [[threshold]] = connection.execute("SHOW dvec.compact_threshold").fetchall()
    compact_no_more(cluster, connection)
    connection.execute(f"VACUUM (INDEX_CLEANUP ON) {table}")
    compact_at(connection, threshold)
