"""Databases with pgvector on a server that preloads dvec, and that has databases of dvec too."""

import pytest

import answers
import pgvector_beside
import vectors

ROWS = vectors.clustered(500, 8, seed=361)

pytestmark = pgvector_beside.needs_pgvector


@pytest.fixture
def both(make_cluster):
    """dvec in database postgres, pgvector in database theirs."""
    cluster = make_cluster(**pgvector_beside.settings())
    cluster.sql("CREATE DATABASE theirs")
    cluster.sql("CREATE EXTENSION vector", dbname="theirs")
    [[library]] = cluster.sql("SELECT probin FROM pg_proc WHERE proname = 'vector_in'", dbname="theirs")
    assert library == "$libdir/vector"
    return cluster


def test_both_on_one_server(both):
    query = f"SELECT id FROM items ORDER BY v <-> '{vectors.text(ROWS[3])}' LIMIT 5"
    found = []
    for dbname in ("theirs", "postgres"):
        connection = both.connect(dbname)
        vectors.make_table(connection, ROWS)
        answers.force_index(connection)
        assert "Index Scan" in answers.plan_of(connection, query)
        found.append(connection.execute(query).fetchall())
    assert found[0] == found[1]


def test_settings_are_those_of_the_database(both):
    for dbname, default in (("theirs", "off"), ("postgres", "complete")):
        connection = both.connect(dbname)
        connection.execute("SET hnsw.ef_search = 77")
        connection.execute("SELECT '[1]'::vector")
        assert connection.execute("SHOW hnsw.iterative_scan").fetchall() == [(default,)]
        assert connection.execute("SHOW hnsw.ef_search").fetchall() == [("77",)]


def test_pgvector_after_dvec_has_been_used_nearby(both):
    """A process serves one database; another that was used before it leaves nothing behind."""
    for dbname in ("postgres", "theirs") * 3:
        connection = both.connect(dbname)
        assert connection.execute("SELECT l2_normalize('[3,4]'::vector)::text").fetchall() == [("[0.6,0.8]",)]
