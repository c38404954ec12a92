"""Without shared_preload_libraries the type works, and using an index says what is to be done."""

import psycopg
import pytest

import vectors


def test_without_preload(make_cluster):
    cluster = make_cluster()
    rows = vectors.clustered(50, 8, seed=43)
    connection = cluster.connect()
    vectors.make_table(connection, rows)
    cluster.stop()
    cluster.configure(shared_preload_libraries="")
    cluster.start()
    connection = cluster.connect()
    exact = connection.execute("SELECT id FROM items ORDER BY v <-> %s::vector LIMIT 5",
                               [vectors.text(rows[7])]).fetchall()
    assert exact[0] == (7,)
    connection.execute("CREATE TABLE plain (id integer, v vector(8))")
    vectors.copy_in(connection, "plain", 0, rows)
    assert connection.execute("SELECT count(*), vector_dims(avg(v)) FROM plain").fetchall() == [(50, 8)]
    assert connection.execute("SELECT state FROM dvec_indexes").fetchall() == [("closed",)]
    connection.execute("SELECT dvec_simd()")
    for statement in ("CREATE INDEX ON plain USING hnsw (v vector_l2_ops)",
                      "INSERT INTO items VALUES (1000, '[1,2,3,4,5,6,7,8]')",
                      "REINDEX INDEX items_v_idx",
                      "VACUUM items"):
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as raised:
            if statement.startswith("VACUUM"):
                connection.execute("DELETE FROM items WHERE id < 10")
            connection.execute(statement)
        assert "shared_preload_libraries" in raised.value.diag.message_primary, statement
        assert "postgresql.conf" in raised.value.diag.message_hint, statement
    # Even told not to, the planner reads the table.
    connection.execute("SET enable_seqscan = off")
    assert connection.execute("SELECT id FROM items ORDER BY v <-> %s::vector LIMIT 1",
                              [vectors.text(rows[17])]).fetchall() == [(17,)]
    connection.execute("DROP TABLE items")
    connection.execute("DROP EXTENSION dvec CASCADE")


def test_settings_unknown_to_a_session_without_the_library(make_cluster):
    """A postgresql.conf written for dvec does no harm without it."""
    cluster = make_cluster(shared_preload_libraries="", dvec__max_indexes="100", hnsw__ef_search="99")
    connection = cluster.connect()
    connection.execute("SELECT '[1,2]'::vector")
    assert connection.execute("SHOW hnsw.ef_search").fetchall() == [("99",)]


@pytest.mark.parametrize("preload", ["", "dvec"])
@pytest.mark.parametrize("extension", ["dvec", "vector"])
def test_creating_the_extension_says_what_is_missing(make_cluster, preload, extension):
    """Once, when somebody may still do something about it; other sessions hear nothing."""
    cluster = make_cluster(shared_preload_libraries=preload)
    cluster.sql("CREATE DATABASE shop")

    def told(statement):
        connection = cluster.connect("shop")
        notices = []
        connection.add_notice_handler(lambda notice: notices.append(
            (notice.severity, notice.sqlstate, notice.message_primary, notice.message_hint)))
        connection.execute(statement)
        return notices

    notices = told(f"CREATE EXTENSION {extension}")
    if preload:
        assert notices == []
    else:
        [(severity, sqlstate, message, hint)] = notices
        assert (severity, sqlstate) == ("WARNING", "55000")
        assert "shared_preload_libraries" in message and "postgresql.conf" in hint
    assert told("CREATE TABLE t (v vector(3)); INSERT INTO t VALUES ('[1,2,3]')") == []
