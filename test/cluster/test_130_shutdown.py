"""The server stops in every mode while sessions insert, and comes back complete."""

import contextlib
import threading

import psycopg
import pytest

import answers
import vectors
from cluster import wait_until


class Writer(threading.Thread):
    def __init__(self, cluster, lane):
        super().__init__(daemon=True)
        self.connection = cluster.connect()
        self.lane = lane
        self.count = 0
        self.stop = threading.Event()
        self.rows = vectors.clustered(20000, 8, seed=50 + lane)

    def run(self):
        with contextlib.suppress(psycopg.Error):
            while not self.stop.is_set():
                self.connection.execute(
                    "INSERT INTO items VALUES (%s, %s)",
                    [self.lane + 10 * self.count, vectors.text(self.rows[self.count])])
                self.count += 1
        self.connection.close()


@pytest.mark.parametrize("mode", ["smart", "fast", "immediate"])
def test_shutdown_while_sessions_insert(cluster, mode):
    vectors.make_table(cluster.connect(), vectors.clustered(0, 8, seed=0))
    cluster.forget_connections()
    writers = [Writer(cluster, lane) for lane in range(4)]
    for writer in writers:
        writer.start()
    wait_until(lambda: all(writer.count > 0 for writer in writers), "all have inserted rows")
    cluster.signal_stop(mode)
    if mode == "smart":
        # It waits for the sessions, which go on meanwhile.
        wait_until(lambda: "received smart shutdown request" in cluster.log_text(), "the server has heard")
        counts = [writer.count for writer in writers]
        wait_until(lambda: all(writer.count > count + 1 for writer, count in zip(writers, counts)),
                   "all go on inserting")
        assert cluster.server.poll() is None
        for writer in writers:
            writer.stop.set()
    cluster.wait_for_exit()
    for writer in writers:
        writer.join(10)
        assert writer.count > 0
    cluster.start()
    connection = cluster.connect()
    there = answers.check_complete(connection, "items", writers[0].rows[0])
    assert there >= sum(writer.count for writer in writers)
    state = answers.index_state(connection, "items_v_idx")
    assert state["opened_by"] == ("replay" if mode == "immediate" else "clean start"), state
    log = cluster.log_text()
    assert "PANIC" not in log and "WARNING" not in log.replace("WARNING:  terminating", ""), log
