"""The power goes: of what no sync has made certain any part may be lost, page by page; see power.py.
What was committed is found all the same, since the table has it."""

import random
import threading
import time

import psycopg
import pytest

import answers
import vectors
from torture import is_crash
from worker import wait_until_linked

DIMENSIONS = 16
EVERYTHING_LOST = 0.0
NOTHING_LOST = 1.0


@pytest.fixture
def start(make_cluster):
    """A server whose power can be cut, with 600 rows in an index."""
    def make(**settings):
        settings = {"dvec__log_segment_size": "256kB", "dvec__checkpoint_timeout": "1s", **settings}
        cluster = make_cluster(start=False, faults=True, **settings)
        cluster.remember_disk()
        cluster.start()
        cluster.rows = vectors.clustered(6000, DIMENSIONS, seed=64)
        vectors.make_table(cluster.connect(), cluster.rows[:600])
        return cluster
    return make


def check(cluster, expected):
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", cluster.rows[0]) == expected
    wait_until_linked(connection)
    assert answers.check_complete(connection, "items", cluster.rows[0]) == expected
    answers.check_own_neighbours(connection, "items")
    return answers.index_state(connection, "items_v_idx")


class Load(threading.Thread):
    """One of several sessions that insert, delete and vacuum until the server is gone."""

    def __init__(self, cluster, lane, seed):
        super().__init__(daemon=True)
        self.cluster, self.lane, self.random = cluster, lane, random.Random(f"{seed} {lane} {cluster.losses}")
        self.connection = cluster.connect_for_thread()
        self.rows = set()
        self.unsure = set()
        self.failure = None

    def run(self):
        try:
            for count in range(100000):
                self.step(count)
        except psycopg.Error as error:
            if not is_crash(error, self.connection):
                self.failure = error
        except Exception as error:
            self.failure = error
        finally:
            self.connection.close()

    def step(self, count):
        if self.random.random() < 0.03:
            self.connection.execute("VACUUM (INDEX_CLEANUP ON) items")
        elif self.random.random() < 0.3 and self.rows:
            id = self.random.choice(sorted(self.rows))
            self.unsure = {id}
            self.connection.execute("DELETE FROM items WHERE id = %s", [id])
            self.rows.remove(id)
        else:
            id = 1000 + self.lane + 10 * count + 1000000 * self.cluster.losses
            self.unsure = {id}
            vector = [self.random.gauss(0, 1) for _ in range(DIMENSIONS)]
            self.connection.execute("INSERT INTO items VALUES (%s, %s)", [id, vectors.text(vector)])
            self.rows.add(id)
        self.unsure = set()


@pytest.mark.parametrize("seed", range(6))
def test_under_load(start, seed):
    cluster = start()
    committed = set(range(600))
    for cluster.losses in range(2):
        sessions = [Load(cluster, lane, seed) for lane in range(4)]
        for session in sessions:
            session.start()
        time.sleep(0.2 + random.Random(seed).random())
        lost = cluster.power_loss(seed)
        for session in sessions:
            session.join(30)
            assert session.failure is None, session.failure
            committed |= session.rows
        unsure = set().union(*(session.unsure for session in sessions))
        cluster.start()
        there = set(answers.ids_in_table(cluster.connect(), "items"))
        assert there - unsure == committed - unsure, f"seed {seed}, lost {lost}"
        committed = there
        check(cluster, len(there))


def test_right_after_create_index(start):
    cluster = start()
    lost = cluster.power_loss(1, EVERYTHING_LOST)
    cluster.start()
    check(cluster, 600)
    # The end of CREATE INDEX has made certain all that matters.
    assert lost.get("names", 0) == 0, lost


def test_right_after_vacuum(start):
    """Entries of removed rows are gone for certain when others get their places."""
    cluster = start(dvec__checkpoint_timeout="1h")
    connection = cluster.connect()
    connection.execute("DELETE FROM items WHERE id % 3 = 0")
    connection.execute("VACUUM (INDEX_CLEANUP ON) items")
    vectors.copy_in(connection, "items", 1000, cluster.rows[1000:1150])
    cluster.power_loss(2, EVERYTHING_LOST)
    cluster.start()
    check(cluster, 550)


@pytest.mark.parametrize("keep", [EVERYTHING_LOST, NOTHING_LOST], ids=["all lost", "nothing lost"])
def test_inserts_without_any_sync(start, keep):
    """Nobody syncs: all of them may be gone from the sidecar."""
    cluster = start(dvec__checkpoint_timeout="1h", dvec__log_flush_interval="60s",
                    dvec__log_flush_threshold="1GB", dvec__log_buffer_limit="1GB")
    vectors.copy_in(cluster.connect(), "items", 1000, cluster.rows[1000:3000])
    cluster.power_loss(3, keep)
    cluster.start()
    check(cluster, 2600)


def test_commit_with_synced_log(start):
    """Each commit has synced the log: replay brings every row, though nothing else was synced."""
    cluster = start(dvec__checkpoint_timeout="1h", dvec__log_flush_interval="60s",
                    dvec__log_flush_threshold="1GB", dvec__log_buffer_limit="1GB")
    connection = cluster.connect()
    if not connection.execute("SELECT 1 FROM pg_settings WHERE name = 'dvec.wal_sync'").fetchall():
        pytest.skip("dvec.wal_sync is not there")
    connection.execute("SET dvec.wal_sync = commit")
    vectors.copy_in(connection, "items", 1000, cluster.rows[1000:1300])
    for id in range(2000, 2030):
        connection.execute("INSERT INTO items VALUES (%s, %s)", [id, vectors.text(cluster.rows[id])])
    cluster.power_loss(6, EVERYTHING_LOST)
    cluster.start()
    assert check(cluster, 930)["replayed_records"] >= 330


def test_lost_again_before_anyone_looked(start):
    """Starts between which nobody uses the index, each on another boot."""
    cluster = start()
    vectors.copy_in(cluster.connect(), "items", 1000, cluster.rows[1000:2000])
    for seed in range(3):
        cluster.power_loss(10 + seed)
        cluster.start()
        cluster.sql("INSERT INTO items SELECT -1, NULL")
    cluster.power_loss(20)
    cluster.start()
    connection = cluster.connect()
    connection.execute("DELETE FROM items WHERE v IS NULL")
    check(cluster, 1600)


def test_power_lost_after_a_clean_stop(start):
    """A clean folder is all on disk; it is believed on any boot."""
    cluster = start()
    vectors.copy_in(cluster.connect(), "items", 1000, cluster.rows[1000:2000])
    cluster.stop()
    lost = cluster.power_loss(4, EVERYTHING_LOST)
    cluster.start()
    assert check(cluster, 1600)["opened_by"] == "clean start", lost


def test_power_lost_while_it_comes_up(start):
    cluster = start()
    expected = 600
    for seed in range(4):
        vectors.copy_in(cluster.connect(), "items", 1000 + 1000 * seed,
                        cluster.rows[1000 + 500 * seed:1500 + 500 * seed])
        expected += 500
        cluster.power_loss(30 + seed)
        cluster.start()
        opener = threading.Thread(target=search_until_cut, args=[cluster, cluster.connect_for_thread()], daemon=True)
        opener.start()
        time.sleep(random.Random(seed).random() * 0.1)
        cluster.power_loss(40 + seed)
        opener.join(30)
        cluster.start()
        check(cluster, expected)


def search_until_cut(cluster, connection):
    try:
        answers.force_index(connection)
        while True:
            answers.nearest(connection, "items", cluster.rows[0], 10)
    except psycopg.OperationalError:
        connection.close()
