"""dvec_prewarm() reads an index into memory."""

import os
import subprocess

import psycopg
import pytest

import vectors

ROWS = vectors.clustered(4000, 128, seed=343)


def bytes_in_memory(path):
    out = subprocess.run(["fincore", "--bytes", "--noheadings", "--output", "RES", str(path)],
                         check=True, capture_output=True, text=True).stdout
    return int(out)


def mostly_in_memory(path):
    """Not to the last page: a system that needs memory takes some at any moment."""
    return bytes_in_memory(path) > path.stat().st_size / 2


def forget(path):
    """Has the system drop what no process maps; some file systems do not."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def test_everything_is_in_memory_afterwards(make_cluster):
    cluster = make_cluster()
    vectors.make_table(cluster.connect(), ROWS, "t")
    folder = cluster.folder_of("t_v_idx")
    cluster.stop()
    files = [folder / "nodes.1", folder / "upper.1"]
    for path in files:
        forget(path)
    cluster.start()
    [[read]] = cluster.sql("SELECT dvec_prewarm('t_v_idx')")
    assert read == sum(path.stat().st_size for path in files)
    assert all(mostly_in_memory(path) for path in files)
    # Rows that come later lie in files that have grown.
    cluster.sql("INSERT INTO t SELECT id + 10000, v FROM t")
    [[more]] = cluster.sql("SELECT dvec_prewarm('t_v_idx')")
    assert more > read


def test_what_is_no_index_of_dvec_is_refused(make_cluster):
    cluster = make_cluster()
    connection = cluster.connect()
    vectors.make_table(connection, ROWS[:20], "t")
    connection.execute("CREATE INDEX by_id ON t (id)")
    connection.execute("CREATE TABLE p (v vector(3)) PARTITION BY RANGE (v)")
    connection.execute("CREATE INDEX parted ON p USING hnsw (v vector_l2_ops)")
    connection.execute("CREATE ROLE stranger")
    for name, state in (("t", psycopg.errors.WrongObjectType), ("by_id", psycopg.errors.WrongObjectType),
                        ("parted", psycopg.errors.WrongObjectType)):
        with pytest.raises(state):
            connection.execute(f"SELECT dvec_prewarm('{name}')")
    connection.execute("SET ROLE stranger")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT dvec_prewarm('t_v_idx')")
    connection.execute("RESET ROLE")
    connection.execute("GRANT SELECT ON t TO stranger")
    connection.execute("SET ROLE stranger")
    assert connection.execute("SELECT dvec_prewarm('t_v_idx') > 0").fetchall() == [(True,)]
