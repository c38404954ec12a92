"""An index is built in memory as long as it fits into maintenance_work_mem, and then goes on in files."""

import os
import pathlib
import re
import resource
import threading

import psycopg
import pytest

import answers
import smaps
import vectors
from cluster import wait_until

DIMENSIONS = 64
ROWS = 3000  # 1.3 MB of nodes
HELD_AT = 2900
LOCK = 77

NOTICE = r"hnsw graph no longer fits into maintenance_work_mem after (\d+) tuples"


@pytest.fixture(scope="module")
def filled(prepared_template):
    from cluster import Cluster
    cluster = Cluster(prepared_template, dvec__sweep_interval="1s")
    try:
        cluster.start()
        rows = vectors.clustered(ROWS, DIMENSIONS, seed=172)
        connection = cluster.connect()
        connection.execute(f"CREATE TABLE items (id integer, v vector({DIMENSIONS}))")
        vectors.copy_in(connection, "items", 0, rows)
        connection.execute(f"""
            CREATE FUNCTION held(id integer, v vector) RETURNS vector IMMUTABLE LANGUAGE plpgsql AS $$
            BEGIN
                IF id = {HELD_AT} THEN PERFORM pg_advisory_lock_shared({LOCK}); END IF;
                RETURN v;
            END $$""")
        yield cluster, rows
    finally:
        cluster.destroy()


def notices_of(connection):
    """The list that the session's notices go to from now on: text and hint of each."""
    notices = []
    connection.add_notice_handler(
        lambda notice: notices.append((notice.message_primary, notice.message_hint)))
    return notices


def memory_files(pid):
    """Bytes of a process's files in memory."""
    return 1024 * smaps.kilobytes(pid, "Rss", built=True)


@pytest.mark.parametrize("options", ["", "WITH (storage = compact)"], ids=["full", "compact"])
@pytest.mark.parametrize("memory", ["64kB", "1MB", "1GB"])
def test_the_answers_are_the_same(filled, memory, options):
    cluster, rows = filled
    connection = cluster.connect()
    if memory == "64kB" and connection.info.server_version < 180000:
        pytest.skip("the least is 1MB before PostgreSQL 18")
    # Compact the rows fit into a megabyte.
    fits = memory == "1GB" or (memory == "1MB" and options != "")
    notices = notices_of(connection)
    connection.execute(f"SET maintenance_work_mem = '{memory}'")
    connection.execute(f"CREATE INDEX items_v_idx ON items USING hnsw (v vector_l2_ops) {options}")
    connection.execute("REINDEX INDEX items_v_idx")
    assert len(notices) == (0 if fits else 2)
    for text, hint in notices:
        added = re.fullmatch(NOTICE, text)
        assert added and 0 <= int(added[1]) < ROWS
        assert hint == "Increase maintenance_work_mem to speed up builds."
    assert answers.check_complete(connection, "items", rows[0]) == ROWS
    answers.check_own_neighbours(connection, "items")
    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == ROWS
    connection.execute("DROP INDEX items_v_idx")


class HeldBuild:
    """A CREATE INDEX that waits when it has seen nearly all rows."""

    def __init__(self, cluster, memory):
        self.cluster = cluster
        self.others = set(cluster.folders())
        self.holder = cluster.connect()
        self.holder.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        self.connection = cluster.connect_for_thread()
        self.pid = self.connection.info.backend_pid
        self.notices = notices_of(self.connection)
        self.connection.execute(f"SET maintenance_work_mem = '{memory}'")
        self.error = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        wait_until(lambda: cluster.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"),
                   "the build is held")

    def run(self):
        try:
            self.connection.execute(
                f"CREATE INDEX held_idx ON items USING hnsw ((held(id, v)::vector({DIMENSIONS})) vector_l2_ops)")
        except psycopg.Error as error:
            self.error = error

    def folders(self):
        """Of the index, which nobody else sees yet."""
        return [self.cluster.data / "dvec" / name for name in self.cluster.folders() if name not in self.others]

    def files(self):
        [folder] = self.folders()
        return {name for name in os.listdir(folder) if name.startswith("nodes.")}

    def release(self):
        self.holder.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()
        self.connection.close()


def test_what_fits_is_in_memory_until_it_is_whole(filled):
    cluster, rows = filled
    with HeldBuild(cluster, "1GB") as build:
        assert memory_files(build.pid) > HELD_AT * DIMENSIONS * 4
        assert build.files() == set()
        build.release()
        assert build.error is None and build.notices == []
        assert memory_files(build.pid) == 0
        assert len(build.files()) == 1
    connection = cluster.connect()
    answers.force_index(connection)
    query = f"SELECT id FROM items ORDER BY held(id, v)::vector({DIMENSIONS}) <-> %s LIMIT 1"
    for row in (0, 1234, ROWS - 1):
        assert connection.execute(query, [vectors.text(rows[row])]).fetchall() == [(row,)]
    connection.execute("DROP INDEX held_idx")


def test_memory_is_bounded_by_the_setting(filled):
    cluster, _ = filled
    with HeldBuild(cluster, "1MB") as build:
        assert memory_files(build.pid) == 0
        assert len(build.files()) == 1
        [[text, _]] = wait_until(lambda: list(build.notices), "the session is told")
        rows = int(re.fullmatch(NOTICE, text)[1])
        assert 0 < rows * DIMENSIONS * 4 < 1 << 20
    assert build.error is None
    cluster.sql("DROP INDEX held_idx")


def test_a_process_may_have_too_few_addresses(filled):
    """A limit of its own (ulimit -v) refuses what the setting allows. To allow more would not help."""
    cluster, rows = filled
    connection = cluster.connect()
    notices = notices_of(connection)
    connection.execute("SET maintenance_work_mem = '4GB'")
    pid = connection.info.backend_pid
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[0])
    _, most = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 30), most))
    connection.execute("CREATE INDEX items_v_idx ON items USING hnsw (v vector_l2_ops)")
    assert notices == [("hnsw graph no longer fits into free memory after 0 tuples", None)]
    assert answers.check_complete(connection, "items", rows[0]) == ROWS
    connection.execute("DROP INDEX items_v_idx")


def test_a_cancelled_build_leaves_no_memory_and_no_folder(filled):
    cluster, _ = filled
    with HeldBuild(cluster, "1GB") as build:
        assert memory_files(build.pid) > 0
        cluster.sql("SELECT pg_cancel_backend(%s)", [build.pid])
        build.thread.join()
        assert isinstance(build.error, psycopg.errors.QueryCanceled)
        assert memory_files(build.pid) == 0
    wait_until(lambda: build.folders() == [], "nothing is left of it", 30, 0.1)
