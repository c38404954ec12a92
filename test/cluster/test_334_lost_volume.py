"""The page cache lives as long as the file system is mounted, not as long as the machine runs."""

import os
import signal

import pytest

import answers
import vectors
from cluster import wait_until
from worker import wait_until_linked

DIMENSIONS = 16


def start(make_cluster, mount):
    cluster = make_cluster(start=False, faults=True, dvec__log_segment_size="256kB",
                           dvec__log_flush_interval="60s", dvec__checkpoint_timeout="1d")
    cluster.faults.mount(mount)
    cluster.remember_disk()
    return cluster.start()


@pytest.mark.parametrize("seed", range(3))
def test_snapshot_on_the_same_boot(make_cluster, seed):
    cluster = start(make_cluster, 100)
    rows = vectors.clustered(2000, DIMENSIONS, seed=334)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:1000])
    for step in range(2):
        connection = cluster.connect()
        vectors.copy_in(connection, "items", 2000 + 100 * step, rows[1000 + 100 * step:][:100])
        wait_until_linked(connection)
        vectors.copy_in(connection, "items", 5000 + 10 * step, rows[1500 + 10 * step:][:10])
        lost = cluster.lost_volume(10 * seed + step, 101 + step)
        cluster.start()
        connection = cluster.connect()
        assert answers.check_complete(connection, "items", rows[0]) == 1000 + 110 * (step + 1), lost
        assert "mounted anew" in cluster.log_text()
        answers.check_own_neighbours(connection, "items")


def opened_by(cluster):
    connection = cluster.connect()
    answers.force_index(connection)
    answers.plan_of(connection, f"SELECT id FROM items ORDER BY v <-> '{vectors.text([0] * DIMENSIONS)}'")
    wait_until(lambda: answers.index_state(connection, "items_v_idx")["state"] == "ready", "ready")
    return answers.index_state(connection, "items_v_idx")["opened_by"]


def test_same_mount(make_cluster):
    cluster = start(make_cluster, 100)
    rows = vectors.clustered(300, DIMENSIONS, seed=335)
    vectors.make_table(cluster.connect(), rows)
    vectors.copy_in(cluster.connect(), "items", 1000, rows)
    cluster.kill()
    cluster.start()
    assert opened_by(cluster) == "replay"


def test_system_that_cannot_tell(make_cluster):
    """The postmaster itself is the witness, as long as it lives."""
    cluster = start(make_cluster, 0)
    rows = vectors.clustered(300, DIMENSIONS, seed=335)
    vectors.make_table(cluster.connect(), rows)
    vectors.copy_in(cluster.connect(), "items", 1000, rows)
    victim = cluster.connect()
    crashes = cluster.log_text().count("database system is ready to accept connections")
    os.kill(victim.info.backend_pid, signal.SIGKILL)
    wait_until(lambda: cluster.log_text().count("database system is ready to accept connections") > crashes,
               "the server recovers")
    cluster.forget_connections()
    assert opened_by(cluster) == "replay"
    vectors.copy_in(cluster.connect(), "items", 2000, rows)
    cluster.kill()
    cluster.start()
    assert opened_by(cluster) == "reconcile"
    assert answers.check_complete(cluster.connect(), "items", rows[0]) == 900
    assert "not known whether its file system stayed mounted" in cluster.log_text()
