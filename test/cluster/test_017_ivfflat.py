"""Indexes made as ivfflat live like the others: they are dumped and restored, repaired, compared and
seen."""

import shutil

import answers
import vectors

ROWS = 2000
DIMENSIONS = 16


def fill(connection):
    connection.execute(f"CREATE TABLE items (id integer, v vector({DIMENSIONS}))")
    points = vectors.clustered(ROWS + 1, DIMENSIONS, seed=17)
    vectors.copy_in(connection, "items", 0, points[:ROWS])
    connection.execute("CREATE INDEX items_v_idx ON items USING ivfflat (v vector_l2_ops) WITH (lists = 100)")
    return points[ROWS]


def test_dump_and_restore(cluster):
    connection = cluster.connect()
    query = fill(connection)
    dump = cluster.program("pg_dump", "--schema-only")
    assert "USING ivfflat (v) WITH (lists='100')" in dump
    whole = cluster.program("pg_dump")
    connection.execute("CREATE DATABASE restored")
    cluster.psql(dbname="restored", stdin=whole)
    restored = cluster.connect("restored")
    assert answers.check_complete(restored, "items", query) == ROWS
    assert answers.index_state(restored, "items_v_idx")["nodes"] == ROWS


def test_crash_and_repair(cluster):
    connection = cluster.connect()
    query = fill(connection)
    connection.execute("CHECKPOINT")
    vectors.copy_in(connection, "items", ROWS, vectors.clustered(100, DIMENSIONS, seed=18))
    connection.execute("DELETE FROM items WHERE id < 50")
    connection.execute("VACUUM items")
    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", query) == ROWS + 50
    folder = cluster.folder_of("items_v_idx")
    cluster.stop()
    shutil.rmtree(folder)
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", query) == ROWS + 50
    assert answers.index_state(connection, "items_v_idx")["opened_by"] == "rebuild"
    assert connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == []
