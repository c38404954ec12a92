"""CREATE INDEX CONCURRENTLY adds rows that other transactions inserted long ago: a later search for
changed pages would not look at theirs. So they are on disk before the index becomes valid."""

import contextlib
import threading

import psycopg
import pytest

import answers
import vectors
from cluster import wait_until
from test_160_wal_sync import LAZY_WORKER, unsynced

DIMENSIONS = 16
ROWS = vectors.clustered(6000, DIMENSIONS, seed=162)


def begin_insert(cluster, id):
    session = cluster.connect()
    session.execute("BEGIN")
    session.execute("INSERT INTO items VALUES (%s, %s)", [id, vectors.text(ROWS[id])])
    return session


def wait_for_phase(cluster, phase):
    wait_until(lambda: cluster.sql("SELECT 1 FROM pg_stat_progress_create_index WHERE phase = %s",
                                   [phase]), phase)


def test_validated_rows_are_synced(make_cluster):
    cluster = make_cluster(**LAZY_WORKER)
    connection = cluster.connect()
    connection.execute(f"CREATE TABLE items (id integer, v vector({DIMENSIONS}))")
    vectors.copy_in(connection, "items", 0, ROWS[:100])
    # The first holds the build up before its scan. The second inserts meanwhile, when the index is
    # known but takes no rows yet, and is still under way during the scan.
    first = begin_insert(cluster, 100)
    errors = []

    def build():
        try:
            connection.execute("CREATE INDEX CONCURRENTLY ON items USING hnsw (v vector_l2_ops)")
        except psycopg.Error as error:
            errors.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    wait_for_phase(cluster, "waiting for writers before build")
    second = begin_insert(cluster, 101)
    first.execute("COMMIT")
    wait_for_phase(cluster, "waiting for writers before validation")
    observer = cluster.connect()
    nodes = answers.index_state(observer, "items_v_idx")["nodes"]
    assert nodes in (None, 101), "the scan has seen the row under way"
    second.execute("COMMIT")
    thread.join(30)
    assert not thread.is_alive() and not errors, errors
    assert answers.index_state(observer, "items_v_idx")["nodes"] == 102
    assert unsynced(observer) == 0
    assert answers.check_complete(observer, "items", ROWS[0]) == 102


class Inserter(threading.Thread):
    def __init__(self, cluster, lane):
        super().__init__(daemon=True)
        self.connection = cluster.connect()
        self.lane = lane
        self.committed = set()

    def run(self):
        with contextlib.suppress(psycopg.Error):
            for id in range(1000 + self.lane, len(ROWS), 4):
                self.unsure = id
                self.connection.execute("INSERT INTO items VALUES (%s, %s)",
                                        [id, vectors.text(ROWS[id])])
                self.committed.add(id)


@pytest.mark.parametrize("statement", [
    "CREATE INDEX CONCURRENTLY items_v_idx ON items USING hnsw (v vector_l2_ops)",
    "REINDEX INDEX CONCURRENTLY items_v_idx"])
def test_crash_at_once_after_a_concurrent_build(make_cluster, statement):
    cluster = make_cluster(**LAZY_WORKER)
    connection = cluster.connect()
    vectors.make_table(connection, ROWS[:1000])
    if statement.startswith("CREATE"):
        connection.execute("DROP INDEX items_v_idx")
    inserters = [Inserter(cluster, lane) for lane in range(4)]
    for inserter in inserters:
        inserter.start()
    wait_until(lambda: all(len(inserter.committed) > 20 for inserter in inserters), "they insert")
    connection.execute(statement)
    cluster.kill()
    for inserter in inserters:
        inserter.join(30)
    cluster.start()
    connection = cluster.connect()
    there = set(answers.ids_in_table(connection, "items"))
    for inserter in inserters:
        assert inserter.committed <= there
    assert answers.check_complete(connection, "items", ROWS[0]) == len(there)
    answers.check_own_neighbours(connection, "items")
