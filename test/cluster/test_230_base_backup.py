"""A copy of the whole data directory, made file by file while sessions write, holds sidecar files of
different moments. What starts from it has every row of the copied table in its indexes."""

import contextlib
import threading
import time

import psycopg
import pytest

import answers
import vectors
from cluster import Cluster, wait_until

DIMENSIONS = 16


class Writer(threading.Thread):
    def __init__(self, cluster, lane):
        super().__init__(daemon=True)
        self.connection = cluster.connect_for_thread()
        self.lane, self.count = lane, 0
        self.leave = threading.Event()
        self.rows = vectors.clustered(30000, DIMENSIONS, seed=70 + lane)

    def run(self):
        while not self.leave.is_set():
            id = self.lane + 10 * self.count
            self.connection.execute("INSERT INTO items VALUES (%s, %s)",
                                    [id, vectors.text(self.rows[self.count])])
            if self.count % 5 == 4:
                self.connection.execute("DELETE FROM items WHERE id = %s", [id - 20])
            if self.count % 100 == 99 and self.lane == 0:
                self.connection.execute("VACUUM (INDEX_CLEANUP ON) items")
            self.count += 1
        self.connection.close()


@contextlib.contextmanager
def writing(cluster):
    writers = [Writer(cluster, lane) for lane in range(3)]
    for writer in writers:
        writer.start()
    wait_until(lambda: all(writer.count > 50 for writer in writers), "progress")
    try:
        yield writers
    finally:
        for writer in writers:
            writer.leave.set()
        for writer in writers:
            writer.join(30)


@pytest.fixture
def primary(make_cluster):
    cluster = make_cluster(dvec__log_segment_size="256kB", dvec__checkpoint_timeout="1s",
                           wal_keep_size="64MB")
    vectors.make_table(cluster.connect(), vectors.clustered(2000, DIMENSIONS, seed=69), first_id=-2000)
    return cluster


@pytest.fixture
def started_from():
    """A server on a copy of a backup."""
    clusters = []

    def start(backup):
        cluster = Cluster(backup)
        clusters.append(cluster)
        return cluster.start()

    yield start
    for cluster in clusters:
        cluster.destroy()


def check(cluster, at_least):
    connection = cluster.connect()
    rows = answers.check_complete(connection, "items", [0.0] * DIMENSIONS)
    assert rows >= at_least
    answers.check_own_neighbours(connection, "items")
    # And it goes on as an ordinary index.
    vectors.copy_in(connection, "items", 10**6, vectors.clustered(300, DIMENSIONS, seed=75))
    connection.execute("DELETE FROM items WHERE id < -1500")
    connection.execute("VACUUM (INDEX_CLEANUP ON) items")
    [[deleted]] = connection.execute("SELECT count(*) FROM items WHERE id < -1500").fetchall()
    assert deleted == 0
    now = answers.check_complete(connection, "items", [0.0] * DIMENSIONS)
    cluster.kill()
    cluster.start()
    assert answers.check_complete(cluster.connect(), "items", [0.0] * DIMENSIONS) == now


def count_rows(cluster):
    return cluster.sql("SELECT count(*) FROM items")[0][0]


def test_backup_while_sessions_write(primary, started_from):
    with writing(primary):
        time.sleep(0.3)
        primary.program("pg_basebackup", "-D", primary.home / "backup", "-X", "stream", "-c", "fast",
                        dbname="")
    copy = started_from(primary.home / "backup")
    check(copy, 2000)
    answers.check_complete(primary.connect(), "items", [0.0] * DIMENSIONS)


def test_promoted_standby(primary, started_from):
    """It has replayed WAL for rows that its sidecar, a copy, never saw."""
    with writing(primary):
        primary.program("pg_basebackup", "-D", primary.home / "backup", "-X", "stream", "-c", "fast", "-R",
                        dbname="")
        standby = started_from(primary.home / "backup")
        time.sleep(0.5)
    expected = count_rows(primary)
    wait_until(lambda: count_rows(standby) == expected, "the standby catches up")
    # Whatever the session set, its queries are planned without the index; nothing else can read it.
    connection = standby.connect()
    connection.execute("SET enable_seqscan = off")
    assert len(connection.execute("SELECT id FROM items ORDER BY v <-> (SELECT v FROM items LIMIT 1)"
                                  " LIMIT 5").fetchall()) == 5
    with pytest.raises(psycopg.errors.FeatureNotSupported) as raised:
        connection.execute("SELECT * FROM dvec_check('items_v_idx')")
    assert "promotion" in raised.value.diag.message_hint
    standby.sql("SELECT pg_promote()")
    check(standby, expected)


def test_copy_of_a_stopped_server_over_the_original(primary):
    """Restored in place, each file written over its former self: same inodes, older contents."""
    primary.stop()
    backup = Cluster(primary.data)
    try:
        primary.start()
        vectors.copy_in(primary.connect(), "items", 0, vectors.clustered(500, DIMENSIONS, seed=76))
        primary.stop()
        primary.program("psql", "--version")
        for name in ("global", "base", "pg_wal", "pg_xact", "pg_multixact", "dvec"):
            restore_over(primary.data / name, backup.data / name)
        primary.start()
        check(primary, 2000)
    finally:
        backup.destroy()


def restore_over(target, source):
    """As `rsync --inplace --delete` would."""
    for path in sorted(target.rglob("*"), reverse=True):
        if not (source / path.relative_to(target)).exists():
            path.rmdir() if path.is_dir() else path.unlink()
    for path in sorted(source.rglob("*")):
        there = target / path.relative_to(source)
        if path.is_dir():
            there.mkdir(exist_ok=True)
            continue
        with open(there, "r+b" if there.exists() else "wb") as file:
            file.write(path.read_bytes())
            file.truncate()
