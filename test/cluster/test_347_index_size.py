"""dvec_index_size() accounts for every byte of an index's files, by what is in them."""

import psycopg
import pytest

import answers
import replicas
import vectors
from cluster import wait_until
from worker import vacuum_and_compact

ROWS = vectors.clustered(1000, 128, seed=347)


def parts(connection, index="t_v_idx"):
    rows = connection.execute("SELECT part, bytes FROM dvec_index_size(%s)", [index]).fetchall()
    assert len(rows) == len(dict(rows)) == 11
    assert all(size >= 0 for _, size in rows), rows
    return dict(rows)


def files(cluster, index="t_v_idx", prefix=""):
    return sum(path.stat().st_size for path in cluster.folder_of(index).iterdir() if path.name.startswith(prefix))


def check_total(cluster, connection, index="t_v_idx"):
    """Files of an index that nobody changes; its worker may still prepare or drop a segment of log."""
    def is_total():
        return sum(parts(connection, index).values()) == files(cluster, index)

    wait_until(is_total, "every byte is accounted for")
    return parts(connection, index)


def test_every_byte(make_cluster):
    cluster = make_cluster(dvec__compact_threshold="0")
    connection = cluster.connect()
    vectors.make_table(connection, ROWS, "t", "vector_cosine_ops", "WITH (m = 12)")
    size = check_total(cluster, connection)
    # A header of 24 bytes, twelve links to each side and one word that is spare; a header of 16 bytes
    # before a code of a byte per element.
    assert size["links"] == 1000 * (24 + 4 * (2 * 12 + 1))
    assert size["codes"] == 1000 * (16 + 128)
    assert size["vectors"] == 1000 * 4 * 128
    assert (size["links"] + size["codes"] + size["vectors"] + size["padding"]) % (1000 * 64) == 0
    assert size["padding"] < 1000 * 2 * 64
    assert 0 < size["upper"] < 0.2 * size["links"]
    assert size["columns"] == size["compaction"] == 0
    [[per_row]] = connection.execute("SELECT bytes_per_row FROM dvec_index_size('t_v_idx') WHERE part = 'vectors'")
    assert per_row == 512
    # What entries of deleted rows take is shared among the rows that are left.
    connection.execute("DELETE FROM t WHERE id % 2 = 0")
    connection.execute("VACUUM (INDEX_CLEANUP ON) t")
    size = check_total(cluster, connection)
    assert size["vectors"] == 1000 * 512 and size["log"] == files(cluster, prefix="log.") > 0
    [[per_row]] = connection.execute("SELECT bytes_per_row FROM dvec_index_size('t_v_idx') WHERE part = 'vectors'")
    assert per_row == 1024
    # An index that nobody has used since the server started is opened.
    cluster.stop()
    cluster.start()
    assert check_total(cluster, cluster.connect())["vectors"] == 1000 * 512


SHOWN = {"links": "row_link_bytes", "codes": "row_code_bytes", "vectors": "row_vector_bytes", "upper": "row_upper_bytes"}


def test_what_a_row_takes(make_cluster):
    """dvec_indexes shows the largest parts, of the rows that are there."""
    cluster = make_cluster(dvec__compact_threshold="0")
    connection = cluster.connect()
    vectors.make_table(connection, ROWS, "t")
    connection.execute("DELETE FROM t WHERE id % 4 = 0")
    connection.execute("VACUUM (INDEX_CLEANUP ON) t")
    check_total(cluster, connection)
    shown = answers.index_state(connection, "t_v_idx")
    per_row = dict(connection.execute("SELECT part, bytes_per_row FROM dvec_index_size('t_v_idx')").fetchall())
    assert {part: shown[column] for part, column in SHOWN.items()} == {part: per_row[part] for part in SHOWN}
    assert shown["row_vector_bytes"] == 1000 * 512 / 750
    assert shown["row_bytes"] == shown["bytes"] / 750 > sum(shown[column] for column in SHOWN.values())
    assert shown["row_log_bytes"] == shown["log_bytes"] / 750 > 0
    # Nothing is said of an index that nobody has opened, and none without rows has a row's bytes.
    connection.execute("CREATE TABLE empty (v vector(3))")
    connection.execute("CREATE INDEX ON empty USING hnsw (v vector_l2_ops)")
    connection.execute("SELECT * FROM dvec_index_size('empty_v_idx')")
    assert answers.index_state(connection, "empty_v_idx")["row_bytes"] is None
    cluster.stop()
    cluster.start()
    assert answers.index_state(cluster.connect(), "t_v_idx")["row_bytes"] is None


def test_columns_lengths_and_compaction(make_cluster):
    cluster = make_cluster()
    connection = cluster.connect()
    connection.execute("CREATE TABLE t (id integer, v vector(16))")
    vectors.copy_in(connection, "t", 0, vectors.clustered(3000, 16, seed=348))
    connection.execute("CREATE INDEX t_v_idx ON t USING hnsw (v vector_cosine_ops, id)")
    connection.execute("CREATE INDEX halves ON t USING hnsw ((v::halfvec(16)) halfvec_l2_ops)")
    # Keys in chunks of 512 rows, with two bits for each; beside the vector the inverse of its length.
    size = check_total(cluster, connection)
    assert size["columns"] == 6 * (512 * 8 + 2 * 512 // 8)
    assert size["codes"] == 0 and size["vectors"] == 3000 * (4 * 16 + 4)
    assert check_total(cluster, connection, "halves")["vectors"] == 3000 * 2 * 16
    connection.execute("DELETE FROM t WHERE id % 3 > 0")
    vacuum_and_compact(cluster, connection, "t")
    wait_until(lambda: answers.index_state(connection, "t_v_idx")["compactions"] == 1, "it is compacted", 60)
    wait_until(lambda: parts(connection)["compaction"] == 0, "the old files are gone")
    assert check_total(cluster, connection)["vectors"] == 1000 * (4 * 16 + 4)


def test_compact_vectors_are_codes(make_cluster):
    cluster = make_cluster()
    connection = cluster.connect()
    vectors.make_table(connection, ROWS, "t", "vector_l2_ops", "WITH (storage = compact, bits = 4)")
    size = check_total(cluster, connection)
    assert size["vectors"] == 0 and size["codes"] == 1000 * (32 + 128 // 2)
    assert answers.index_state(connection, "t_v_idx")["row_code_bytes"] == 96


def test_on_a_standby(make_cluster, standbys):
    primary = make_cluster(**replicas.PRIMARY)
    vectors.make_table(primary.connect(), ROWS, "t")
    standby = standbys.make(primary)
    # Nothing is known of it before it is followed.
    assert standby.sql("SELECT * FROM dvec_index_size('t_v_idx')") == []
    replicas.wait_until_followed(standby, "t")
    assert parts(standby.connect())["vectors"] == 1000 * 512
    with pytest.raises(psycopg.errors.WrongObjectType):
        standby.sql("SELECT * FROM dvec_index_size('t')")
