"""kill -9 of any process at any moment: what was committed is found, once, and nothing else is."""

import contextlib
import os
import random
import signal
import threading
import time

import psycopg
import pytest

import answers
import vectors
from cluster import children, wait_until
from worker import wait_until_linked

DIMENSIONS = 16


class Inserter(threading.Thread):
    """Inserts and deletes in transactions of several rows until the server is gone, remembering which
    were acknowledged. Ids are `lane` + 10 * n."""

    def __init__(self, cluster, lane, seed, start, settings=()):
        super().__init__(daemon=True)
        self.connection = cluster.connect_for_thread(autocommit=False)
        for setting in settings:
            self.connection.execute(setting)
        self.connection.commit()
        self.lane, self.next, self.random = lane, start, random.Random(seed)
        self.acknowledged = set()
        self.deleted = set()
        self.unsure = set()  # of the transaction under way
        self.ready = threading.Event()

    def vector(self):
        return "[" + ",".join(f"{self.random.gauss(0, 1):.6f}" for _ in range(DIMENSIONS)) + "]"

    def run(self):
        with contextlib.suppress(psycopg.Error):
            while True:
                ids = [self.lane + 10 * (self.next + i) for i in range(self.random.randint(1, 8))]
                self.next += len(ids)
                victims = set(self.random.sample(sorted(self.acknowledged - self.deleted), 1)
                              if len(self.acknowledged) > 20 and self.random.random() < 0.3 else [])
                self.unsure = set(ids) | victims
                for id in ids:
                    self.connection.execute("INSERT INTO items VALUES (%s, %s)", [id, self.vector()])
                for id in victims:
                    self.connection.execute("DELETE FROM items WHERE id = %s", [id])
                if self.random.random() < 0.1:
                    self.connection.rollback()
                    self.unsure = set()
                    continue
                self.connection.commit()
                self.acknowledged |= set(ids)
                self.deleted |= victims
                self.unsure = set()
                if len(self.acknowledged) > 40:
                    self.ready.set()
        self.connection.close()


def insert_until(cluster, seed, start, blow, settings=()):
    """Lets four sessions insert, strikes, and returns the sessions when they have noticed."""
    inserters = [Inserter(cluster, lane, seed * 10 + lane, start, settings) for lane in range(4)]
    for inserter in inserters:
        inserter.start()
    for inserter in inserters:
        assert inserter.ready.wait(30), "no progress"
    time.sleep(random.Random(seed).random() * 0.2)
    blow()
    for inserter in inserters:
        inserter.join(30)
        assert not inserter.is_alive(), "a session hangs"
    return inserters


def check_survivors(connection, inserters):
    """Durable commits are all there; the index agrees with the table."""
    there = set(answers.ids_in_table(connection, "items"))
    for inserter in inserters:
        lost = inserter.acknowledged - inserter.deleted - there - inserter.unsure
        assert not lost, f"the table lost committed rows: {sorted(lost)[:10]}"
        risen = (inserter.deleted & there) - inserter.unsure
        assert not risen, f"deleted rows came back: {sorted(risen)[:10]}"
    check_index(connection)


def check_index(connection):
    answers.check_complete(connection, "items", [0.0] * DIMENSIONS)
    wait_until_linked(connection)
    answers.check_complete(connection, "items", [0.0] * DIMENSIONS)
    answers.check_own_neighbours(connection, "items")


def make_items(cluster, seed):
    vectors.make_table(cluster.connect(), vectors.clustered(50, DIMENSIONS, seed=seed),
                       first_id=-50)


@pytest.mark.parametrize("commit", ["on", "off"])
def test_kill_of_the_whole_server(make_cluster, commit):
    # Small segments: the log changes them, and checkpoints cut it, while the sessions insert.
    cluster = make_cluster(dvec__log_segment_size="256kB", dvec__checkpoint_timeout="1s",
                           synchronous_commit=commit)
    make_items(cluster, 9)
    start = 0
    for seed in range(3):
        inserters = insert_until(cluster, 20 + seed, start, cluster.kill)
        start = max(inserter.next for inserter in inserters)
        cluster.start()
        connection = cluster.connect()
        if commit == "on":
            check_survivors(connection, inserters)
        else:
            check_index(connection)
        connection.execute("VACUUM items")
        check_index(connection)
        state = answers.index_state(connection, "items_v_idx")
        assert state["opened_by"] == "replay", state


def test_kill_of_the_postmaster_alone(cluster):
    make_items(cluster, 10)
    inserters = insert_until(cluster, 30, 0, cluster.kill_postmaster)
    cluster.start()
    check_survivors(cluster.connect(), inserters)


def test_kill_of_a_backend(cluster):
    make_items(cluster, 11)

    def blow():
        [[pid]] = wait_until(
            lambda: cluster.sql("SELECT pid FROM pg_stat_activity WHERE query LIKE 'INSERT%' LIMIT 1"), "a session inserts")
        os.kill(pid, signal.SIGKILL)

    inserters = insert_until(cluster, 40, 0, blow)
    connection = cluster.connect_when_up()
    check_survivors(connection, inserters)


def test_kill_of_the_worker(cluster):
    make_items(cluster, 12)
    inserters = insert_until(cluster, 50, 0,
                             lambda: os.kill(cluster.worker_pid(), signal.SIGKILL))
    connection = cluster.connect_when_up()
    check_survivors(connection, inserters)


def test_terminated_worker_comes_back(cluster):
    """SIGTERM to the worker alone is no crash: it leaves when the last user has, and returns."""
    make_items(cluster, 13)
    worker = cluster.worker_pid()
    os.kill(worker, signal.SIGTERM)
    wait_until(lambda: worker not in children(cluster.server.pid), "the worker left")
    connection = cluster.connect()
    vectors.copy_in(connection, "items", 1000, vectors.clustered(500, DIMENSIONS, seed=14))
    cluster.worker_pid()
    check_index(connection)


def test_kill_during_recovery_and_vacuum(make_cluster):
    cluster = make_cluster(dvec__checkpoint_timeout="1h")
    make_items(cluster, 15)
    connection = cluster.connect()
    vectors.copy_in(connection, "items", 0, vectors.clustered(3000, DIMENSIONS, seed=16))
    connection.execute("DELETE FROM items WHERE id % 3 = 1")
    for seed in range(3):
        delay = random.Random(seed).random() * 0.05

        def work():
            with contextlib.suppress(psycopg.Error):
                other = cluster.connect()
                answers.force_index(other)
                answers.nearest(other, "items", [0.0] * DIMENSIONS, 1)
                other.execute("VACUUM items")

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        time.sleep(0.02 + delay)
        cluster.kill()
        thread.join(30)
        cluster.start()
    connection = cluster.connect()
    check_index(connection)
    assert len(answers.ids_in_table(connection, "items")) == 2050
