"""Whole databases: copied, moved, dropped, dumped."""

import re

import pytest

import answers
import vectors
from cluster import wait_until


@pytest.mark.parametrize("strategy", ["WAL_LOG", "FILE_COPY"])
def test_create_database_from_a_template(cluster, strategy):
    rows = vectors.clustered(300, 8, seed=38)
    connection = cluster.connect()
    connection.execute("CREATE DATABASE origin")
    origin = cluster.connect("origin")
    origin.execute("CREATE EXTENSION dvec")
    vectors.make_table(origin, rows[:100])
    vectors.copy_in(origin, "items", 100, rows[100:200])
    answers.check_complete(origin, "items", rows[0])
    origin.close()
    connection.execute(f"CREATE DATABASE copy TEMPLATE origin STRATEGY {strategy}")
    copy = cluster.connect("copy")
    assert answers.check_complete(copy, "items", rows[0]) == 200
    assert answers.index_state(copy, "items_v_idx")["opened_by"] == "rebuild"
    vectors.copy_in(copy, "items", 1000, rows[200:250])
    origin = cluster.connect("origin")
    vectors.copy_in(origin, "items", 2000, rows[250:300])
    # The two go their own ways.
    assert answers.check_complete(copy, "items", rows[0]) == 250
    assert answers.check_complete(origin, "items", rows[0]) == 250
    cluster.kill()
    cluster.start()
    for name in ("copy", "origin"):
        assert answers.check_complete(cluster.connect(name), "items", rows[0]) == 250


def test_drop_database(make_cluster):
    cluster = make_cluster(dvec__sweep_interval="1s")
    rows = vectors.clustered(50, 8, seed=39)
    connection = cluster.connect()
    vectors.make_table(connection, rows)
    kept = cluster.folder_of("items_v_idx").name
    connection.execute("CREATE DATABASE victim")
    victim = cluster.connect("victim")
    victim.execute("CREATE EXTENSION dvec")
    vectors.make_table(victim, rows)
    answers.check_complete(victim, "items", rows[0])
    assert len(cluster.folders()) == 2
    connection.execute("DROP DATABASE victim WITH (FORCE)")
    wait_until(lambda: cluster.folders() == [kept], "the folder is swept", 20, 0.1)
    assert answers.check_complete(connection, "items", rows[0]) == 50
    assert connection.execute("SELECT count(*) FROM dvec_index_states()").fetchall() == [(1,)]


def test_index_moved_to_another_tablespace(make_cluster):
    cluster = make_cluster(allow_in_place_tablespaces="on")
    rows = vectors.clustered(300, 8, seed=40)
    connection = cluster.connect()
    connection.execute("CREATE TABLESPACE elsewhere LOCATION ''")
    vectors.make_table(connection, rows[:100])
    for number, tablespace in enumerate(["elsewhere", "pg_default", "elsewhere"]):
        vectors.copy_in(connection, "items", 1000 * number, rows[100:120])
        answers.check_complete(connection, "items", rows[0])
        connection.execute(f"ALTER INDEX items_v_idx SET TABLESPACE {tablespace}")
        assert answers.check_complete(connection, "items", rows[0]) == 120 + 20 * number
    connection.execute("ALTER TABLE items SET TABLESPACE elsewhere")
    vectors.copy_in(connection, "items", 5000, rows[200:220])
    assert answers.check_complete(connection, "items", rows[0]) == 180
    cluster.kill()
    cluster.start()
    assert answers.check_complete(cluster.connect(), "items", rows[0]) == 180


def test_database_moved_to_another_tablespace_and_back(make_cluster):
    """It keeps its file numbers, so that on its return it finds the folders it had before."""
    cluster = make_cluster(allow_in_place_tablespaces="on", dvec__sweep_interval="1h")
    rows = vectors.clustered(300, 8, seed=41)
    connection = cluster.connect()
    connection.execute("CREATE TABLESPACE elsewhere LOCATION ''")
    connection.execute("CREATE DATABASE traveller")

    def use(expected, first):
        session = cluster.connect("traveller")
        if first is None:
            session.execute("CREATE EXTENSION dvec")
            vectors.make_table(session, rows[:100])
        else:
            vectors.copy_in(session, "items", first, rows[first:first + 50])
        assert answers.check_complete(session, "items", rows[0]) == expected
        session.close()

    use(100, None)
    connection.execute("ALTER DATABASE traveller SET TABLESPACE elsewhere")
    use(150, 100)
    connection.execute("ALTER DATABASE traveller SET TABLESPACE pg_default")
    use(200, 150)
    connection.execute("ALTER DATABASE traveller SET TABLESPACE elsewhere")
    use(250, 200)


def test_dump_and_restore(cluster):
    rows = vectors.clustered(500, 16, seed=42)
    connection = cluster.connect()
    vectors.make_table(connection, rows, options="WITH (m = 8, ef_construction = 100, ef_search = 90)")
    connection.execute("CREATE INDEX by_cosine ON items USING hnsw (v vector_cosine_ops)")
    connection.execute("CREATE INDEX by_expression ON items USING hnsw "
                       "((subvector(v, 1, 4)::vector(4)) vector_l1_ops) WHERE id > 100")
    def dump_of(database):
        # The lines that keep psql from being tricked carry a random key.
        text = cluster.program("pg_dump", dbname=database)
        return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.MULTILINE)

    dump = dump_of("postgres")
    connection.execute("CREATE DATABASE restored")
    cluster.psql(dbname="restored", stdin=dump)
    restored = cluster.connect("restored")
    assert dump_of("restored") == dump
    assert answers.check_complete(restored, "items", rows[0]) == 500
    restored.execute("RESET hnsw.ef_search")
    assert restored.execute("SELECT dvec_ef_search('items_v_idx')").fetchall() == [(90,)]
    for session in (connection, restored):
        answers.force_index(session, ef_search=400)
    for query in rows[:20]:
        query = query + 0.05
        for operator in ("<->", "<=>"):
            first = answers.nearest(connection, "items", query, 10, operator)
            assert answers.nearest(restored, "items", query, 10, operator) == first
    statement = ("SELECT id FROM items WHERE id > 100 "
                 "ORDER BY subvector(v, 1, 4)::vector(4) <+> '[1,2,3,4]' LIMIT 5")
    answers.check_plan(restored, statement)
    assert restored.execute(statement).fetchall() == connection.execute(statement).fetchall()
