"""An index that cannot be opened is an index that queries do without."""

import psycopg
import pytest

import answers
import vectors

ROWS = 300


def search(rows):
    return f"SELECT id FROM items ORDER BY v <-> '{vectors.text(rows[0])}' LIMIT 3"


def check_answered_without(cluster, connection, rows):
    answers.force_index(connection)
    assert "Order By:" not in answers.plan_of(connection, search(rows))
    assert connection.execute(search(rows)).fetchall()[0] == (0,)
    assert connection.execute("SELECT count(*) FROM items").fetchall() == [(ROWS,)]
    # Also in a block that goes on, with the work before it kept.
    with connection.transaction():
        connection.execute("CREATE TABLE made_before (id integer)")
        assert connection.execute(search(rows)).fetchall()[0] == (0,)
    assert connection.execute("SELECT count(*) FROM made_before").fetchall() == [(0,)]


def test_unknown_version(cluster):
    rows = vectors.clustered(ROWS, 8, seed=333)
    connection = cluster.connect()
    vectors.make_table(connection, rows)
    [[path]] = connection.execute("SELECT pg_relation_filepath('items_v_idx')")
    connection.execute("CHECKPOINT")
    cluster.stop()
    with open(cluster.data / path, "r+b") as file:
        # Behind the page header: the magic, then the version.
        file.seek(24 + 4)
        version = file.read(4)
        file.seek(24 + 4)
        file.write((int.from_bytes(version, "little") + 100).to_bytes(4, "little"))
    cluster.start()
    connection = cluster.connect()
    check_answered_without(cluster, connection, rows)
    assert cluster.log_text().count("has format version") == 1, "it is said once"
    # Who writes is told what to do.
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="has format version"):
        connection.execute("INSERT INTO items VALUES (-1, %s)", [vectors.text(rows[0])])
    connection.execute("REINDEX INDEX items_v_idx")
    assert answers.check_complete(connection, "items", rows[0]) == ROWS


@pytest.mark.parametrize("files", ["checkpoint", "nodes"])
def test_unreadable_files(make_cluster, files):
    cluster = make_cluster(faults=True)
    rows = vectors.clustered(ROWS, 8, seed=333)
    vectors.make_table(cluster.connect(), rows)
    cluster.kill()
    with cluster.faults.in_force("fail_read", files):
        cluster.start()
        connection = cluster.connect()
        check_answered_without(cluster, connection, rows)
        with pytest.raises(psycopg.errors.IoError):
            connection.execute("INSERT INTO items VALUES (-1, %s)", [vectors.text(rows[0])])
    # A write opens it at once, and then it is there for all.
    connection.execute("INSERT INTO items VALUES (1000, %s)", [vectors.text(rows[0])])
    assert answers.check_complete(connection, "items", rows[0]) == ROWS + 1


def test_cancelled_while_opening(cluster):
    """A cancel is not taken for a reason to go on."""
    rows = vectors.clustered(ROWS, 8, seed=333)
    vectors.make_table(cluster.connect(), rows)
    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    connection.execute("SET statement_timeout = '1ms'")
    try:
        connection.execute(search(rows))
    except psycopg.errors.QueryCanceled:
        pass
    connection.execute("SET statement_timeout = 0")
    assert answers.check_complete(connection, "items", rows[0]) == ROWS
