"""What an index takes is in proportion to what is in it, and nothing is refused for a limit of ours."""

import os

import answers
import vectors
from cluster import wait_until
from worker import vacuum_and_compact


def disk_bytes(cluster, index):
    """Of all files of an index, as the disk counts them."""
    return sum(path.stat().st_blocks * 512 for path in cluster.folder_of(index).iterdir())


def make_partitions(connection, count, rows):
    """A table in `count` partitions, each with an index and `rows` spread over them."""
    connection.execute(f"CREATE TABLE parted (id int, v vector({len(rows[0])})) PARTITION BY LIST (id)")
    for part in range(count):
        connection.execute(f"CREATE TABLE parted_{part} PARTITION OF parted FOR VALUES IN ({part})")
    connection.execute("CREATE INDEX ON parted USING hnsw (v vector_l2_ops)")
    add_rows(connection, count, rows)


def add_rows(connection, count, rows):
    with connection.cursor().copy("COPY parted FROM STDIN") as copy:
        for number, row in enumerate(rows):
            copy.write_row((number % count, vectors.text(row)))


def nearest(connection, row, index, limit=20):
    connection.execute(f"SET enable_indexscan = {index}; SET enable_seqscan = {not index}")
    query = f"SELECT v <-> '{vectors.text(row)}' FROM parted ORDER BY 1 LIMIT {limit}"
    plan = "\n".join(line for line, in connection.execute(f"EXPLAIN {query}").fetchall())
    assert ("Index Scan" in plan) == index, plan
    return connection.execute(query).fetchall()


def test_an_index_of_four_rows_takes_64_kb(make_cluster):
    cluster = make_cluster(dvec__log_segment_size="4MB")
    connection = cluster.connect()
    rows = vectors.clustered(6, 8, seed=1)
    vectors.make_table(connection, rows[:4], "tiny")
    assert disk_bytes(cluster, "tiny_v_idx") <= 64 * 1024
    connection.execute("INSERT INTO tiny VALUES (100, %s), (101, %s)",
                       [vectors.text(rows[4]), vectors.text(rows[5])])
    wait_until(lambda: cluster.sql("SELECT sum(tail) FROM dvec_index_states()") == [(0,)], "linked")
    assert answers.check_complete(connection, "tiny", rows[0]) == 6
    assert disk_bytes(cluster, "tiny_v_idx") <= 64 * 1024
    cluster.kill()
    cluster.start()
    assert answers.check_complete(cluster.connect(), "tiny", rows[0]) == 6
    assert disk_bytes(cluster, "tiny_v_idx") <= 64 * 1024


def test_an_index_of_500_rows_takes_half_more_than_its_vectors(make_cluster):
    cluster = make_cluster(dvec__log_segment_size="4MB", dvec__checkpoint_timeout="1s")
    connection = cluster.connect()
    dimensions = 1536
    rows = vectors.clustered(501, dimensions, seed=2)
    vectors.make_table(connection, rows[:500], "small")
    most = 500 * dimensions * 4 * 1.5
    assert disk_bytes(cluster, "small_v_idx") <= most
    connection.execute("INSERT INTO small VALUES (1000, %s)", [vectors.text(rows[500])])
    assert disk_bytes(cluster, "small_v_idx") <= most
    # Every row anew, and the old ones gone: more log than index, until a checkpoint.
    for vector in ("v", "v + v"):
        connection.execute(f"UPDATE small SET v = {vector}")
        vacuum_and_compact(cluster, connection, "small")
        wait_until(lambda: disk_bytes(cluster, "small_v_idx") <= most, "checkpoint and compaction", 60)
    assert answers.check_complete(connection, "small", rows[0]) == 501


def test_partitions_with_few_descriptors(make_cluster):
    """A mapping needs no open file: 200 indexes, of which 80 could be open at once."""
    cluster = make_cluster(start=False)
    cluster.most_files = 256
    cluster.start()
    connection = cluster.connect()
    rows = vectors.clustered(800, 8, seed=3)
    make_partitions(connection, 200, rows[:400])
    assert nearest(connection, rows[5], True) == nearest(connection, rows[5], False)
    add_rows(connection, 200, rows[400:])
    connection.execute("DELETE FROM parted WHERE id % 4 = 1")
    connection.execute("VACUUM parted")
    assert nearest(connection, rows[6], True) == nearest(connection, rows[6], False)
    backend = connection.info.backend_pid
    ours = [name for name in (os.readlink(f"/proc/{backend}/fd/{fd}")
                              for fd in os.listdir(f"/proc/{backend}/fd")) if "/dvec/" in name]
    assert ours == [], ours
    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    assert nearest(connection, rows[6], True) == nearest(connection, rows[6], False)
