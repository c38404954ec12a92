"""The sidecar log is bounded whatever the worker does: what a restart would have to read of it stays
below dvec.log_max_size, and nothing is lost for it."""

import threading

import psycopg
import pytest

import answers
import vectors
from cluster import wait_until
from worker import cancelled_in_its_wait, stop_in_its_sleep, stopped

MB = 1 << 20
DIMENSIONS = 64
ROWS = vectors.clustered(20000, DIMENSIONS, seed=163)  # 6 MB of log
LIMIT = 2 * MB
PATIENCE = 5  # seconds that a session waits for a worker without progress
# The limit counts log that is needed; the files begin and end at segments, one of them prepared.
MOST_BYTES = LIMIT + 3 * MB // 4
SETTINGS = {"dvec__log_max_size": "2MB", "dvec__log_segment_size": "256kB",
            "dvec__checkpoint_timeout": "1h", "dvec__tail_limit": "1GB"}


class Watch(threading.Thread):
    """The largest the log has been, in bytes on disk."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.folder = cluster.folder_of("items_v_idx")
        self.largest = 0
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.002):
            total = 0
            for path in self.folder.glob("log.*"):
                try:
                    total += path.stat().st_size
                except FileNotFoundError:
                    pass
            self.largest = max(self.largest, total)

    def stop(self):
        self.over.set()
        self.join()
        return self.largest


@pytest.fixture
def bounded(make_cluster):
    cluster = make_cluster(**SETTINGS)
    connection = cluster.connect()
    vectors.make_table(connection, ROWS[:99])
    vectors.copy_in(connection, "items", 99, ROWS[99:100])  # opens it
    return cluster


def idle_worker_stopped(cluster):
    """For a `with`: it had nothing left to do before."""
    connection = cluster.connect()

    def idle():
        state = answers.index_state(connection, "items_v_idx")
        return state["tail"] == 0 and state["unsynced_log_bytes"] == 0

    wait_until(idle, "the worker is idle")
    return stopped(cluster.worker_pid(), stop_in_its_sleep)


def checkpoint_waits(connection):
    """How often sessions waited for a checkpoint, and how many seconds in all."""
    [waits] = connection.execute("""SELECT checkpoint_waits, checkpoint_wait_time / 1000 FROM dvec_stat_indexes
        WHERE index = 'items_v_idx'::regclass""")
    return waits


def check_nothing_lost(cluster, count):
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", ROWS[0]) == count
    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", ROWS[0]) == count
    replayed = answers.index_state(connection, "items_v_idx")["replayed_records"]
    assert replayed * 4 * DIMENSIONS <= LIMIT


def test_with_a_working_worker(bounded):
    """It takes checkpoints early enough that nobody has to wait for one."""
    watch = Watch(bounded)
    watch.start()
    connection = bounded.connect()
    for start in range(100, 20000, 1000):
        vectors.copy_in(connection, "items", start, ROWS[start:start + 1000])
    assert 0 < watch.stop() <= MOST_BYTES
    state = answers.index_state(connection, "items_v_idx")
    assert state["checkpoints"] >= 2, state
    check_nothing_lost(bounded, len(range(100, 20000, 1000)) * 1000)


def test_with_a_stopped_worker(bounded):
    watch = Watch(bounded)
    watch.start()
    errors = []

    def insert(lane):
        try:
            vectors.copy_in(bounded.connect(), "items", 100 + 9900 * lane,
                            ROWS[100 + 9900 * lane:10000 + 9900 * lane])
        except psycopg.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=insert, args=[lane]) for lane in range(2)]
    with idle_worker_stopped(bounded):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors
        # A session waits in vain once, not at each row or each checkpoint.
        waits, seconds = checkpoint_waits(bounded.connect())
        assert waits > 2 and seconds < PATIENCE * waits, (waits, seconds)
        assert 0 < watch.stop() <= MOST_BYTES
        state = answers.index_state(bounded.connect(), "items_v_idx")
        assert state["checkpoints"] >= 2, state
    check_nothing_lost(bounded, 19900)


def test_waiting_can_be_cancelled(bounded):
    with idle_worker_stopped(bounded):
        cancelled_in_its_wait(bounded, "items_v_idx", lambda session: vectors.copy_in(session, "items", 100, ROWS[100:]))
        # It was the wait that was cancelled, not what comes after it.
        waits, seconds = checkpoint_waits(bounded.connect())
        assert waits == 1 and seconds < PATIENCE, (waits, seconds)


def test_vacuum_of_many_rows_with_a_stopped_worker(make_cluster):
    """Deletions are logged too, 32 bytes for each."""
    cluster = make_cluster(**{**SETTINGS, "dvec__log_max_size": "1MB"})
    connection = cluster.connect()
    rows = vectors.clustered(70000, 2, seed=164)
    vectors.make_table(connection, rows)
    vectors.copy_in(connection, "items", 70000, rows[:1])
    connection.execute("DELETE FROM items WHERE id >= 100")
    watch = Watch(cluster)
    watch.start()
    with idle_worker_stopped(cluster):
        connection.execute("VACUUM items")
        assert 0 < watch.stop() <= MOST_BYTES - MB
        state = answers.index_state(connection, "items_v_idx")
        assert state["deleted"] == 69901 and state["checkpoints"] >= 1, state
        cluster.kill()
    cluster.start()
    connection = cluster.connect()
    vectors.copy_in(connection, "items", 80000, rows[100:200])
    assert answers.check_complete(connection, "items", rows[0]) == 200
