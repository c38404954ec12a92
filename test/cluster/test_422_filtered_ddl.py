"""Indexes with columns behind the vector go through what indexes go through: concurrent builds beside writers,
REINDEX, a dump and its restore, a restart, an index that is only measured."""

import threading

import vectors
from cluster import wait_until

CONDITION = "tenant = 3 AND tags @> '{t1}'"
QUERY = f"SELECT id FROM items WHERE {CONDITION} ORDER BY v <-> '[1,0,0,0]', id"


def make_items(connection):
    connection.execute("CREATE TABLE items (id integer, v vector(4), tenant integer, tags text[])")
    with connection.cursor().copy("COPY items FROM STDIN") as copy:
        for i, row in enumerate(vectors.clustered(2000, 4, seed=422)):
            copy.write_row((i, vectors.text(row), i % 10, f"{{t{i % 3},t{i % 4}}}"))


def check(connection, query=QUERY):
    connection.execute("SET enable_seqscan = on; SET enable_indexscan = off")
    wanted = connection.execute(query).fetchall()
    connection.execute("SET enable_seqscan = off; SET enable_indexscan = on")
    plan = "\n".join(line for [line] in connection.execute("EXPLAIN " + query))
    assert "Index Cond: " in plan, plan
    assert wanted and connection.execute(query).fetchall() == wanted
    assert connection.execute("SELECT * FROM dvec_check('items_idx')").fetchall() == []


def change(cluster, stop):
    connection = cluster.connect_for_thread()
    i = 10000
    while not stop.is_set():
        i += 1
        connection.execute("INSERT INTO items VALUES (%s, '[1,0,0,0]', 3, '{t1}')", [i])
        connection.execute("UPDATE items SET tenant = 3 - tenant WHERE id = %s", [i - 1])
    connection.close()


def beside_writers(cluster, statement):
    stop = threading.Event()
    writer = threading.Thread(target=change, args=(cluster, stop))
    writer.start()
    try:
        cluster.sql(statement)
    finally:
        stop.set()
        writer.join()


def test_concurrent_builds(cluster):
    connection = cluster.connect()
    make_items(connection)
    beside_writers(cluster, "CREATE INDEX CONCURRENTLY items_idx ON items USING hnsw (v vector_l2_ops, tenant, tags)")
    check(connection)
    beside_writers(cluster, "REINDEX INDEX CONCURRENTLY items_idx")
    check(connection)
    connection.execute("VACUUM items")
    check(connection)
    cluster.restart()
    check(cluster.connect())


def test_dump_and_restore(cluster):
    connection = cluster.connect()
    make_items(connection)
    connection.execute("CREATE INDEX items_idx ON items USING hnsw (v vector_l2_ops, tenant, tags)")
    dump = cluster.program("pg_dump")
    assert "USING hnsw (v public.vector_l2_ops, tenant, tags)" in dump
    cluster.sql("CREATE DATABASE restored")
    cluster.psql(dbname="restored", stdin=dump)
    check(cluster.connect("restored"))


def test_recall_and_prewarm(cluster):
    connection = cluster.connect()
    make_items(connection)
    connection.execute("CREATE INDEX items_idx ON items USING hnsw (v vector_l2_ops, tenant, tags)")
    connection.execute("CREATE INDEX other_idx ON items USING hnsw (v vector_l2_ops)")
    connection.execute("ANALYZE items")
    [[best]] = connection.execute("SELECT max(recall) FROM dvec_recall('items_idx', 20)").fetchall()
    assert best > 0.99
    compared = connection.execute("SELECT DISTINCT compared::text FROM dvec_compare('items_idx', 5)").fetchall()
    assert sorted(compared) == [("items_idx",), ("other_idx",)]
    # Eight bytes for each of the two columns, and something beside.
    [[with_columns, without]] = connection.execute(
        "SELECT dvec_prewarm('items_idx'), dvec_prewarm('other_idx')").fetchall()
    assert with_columns >= without + 2000 * 2 * 8


# Files grow by steps of their own, and rows need room in all of them.
def test_size_of_files(cluster):
    connection = cluster.connect()
    connection.execute("DROP TABLE IF EXISTS items")
    make_items(connection)
    connection.execute("CREATE INDEX items_idx ON items USING hnsw (v vector_l2_ops, tenant, tags)")
    check(connection)
    folder = cluster.folder_of("items_idx")

    def sizes_agree():
        [shown] = connection.execute("SELECT bytes FROM dvec_indexes WHERE index = 'items_idx'::regclass").fetchone()
        return shown == sum(path.stat().st_size for path in folder.iterdir()
                            if path.name.startswith(("nodes.", "upper.", "columns.")))

    for first in (100000, 200000):
        wait_until(sizes_agree, "bytes to be the size of the files")
        connection.execute("INSERT INTO items SELECT %s + id, v, tenant, tags FROM items", [first])
    wait_until(sizes_agree, "bytes to be the size of the files")
