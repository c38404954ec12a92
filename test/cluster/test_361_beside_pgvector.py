"""Databases with pgvector on a server that preloads dvec, and that has databases of dvec too. Needs a server
that comes with pgvector, and PostgreSQL 18, where an extension can be found in more than one folder."""

import pathlib
import subprocess

import pytest

import answers
import cluster as clusters
import vectors

ROWS = vectors.clustered(500, 8, seed=361)


def ask_pg_config(option):
    """About the installed server, which the tree of links leads to."""
    result = subprocess.run([clusters.BIN / "pg_config", option], check=True, capture_output=True, text=True)
    return result.stdout.strip()


def server_has_pgvector():
    major_version = int(ask_pg_config("--version").split()[1].split(".")[0])
    control_file = pathlib.Path(ask_pg_config("--sharedir")) / "extension" / "vector.control"
    return major_version >= 18 and control_file.exists()


pytestmark = pytest.mark.skipif(not server_has_pgvector(), reason="no server of PostgreSQL 18 with pgvector")


@pytest.fixture
def both(make_cluster):
    """dvec in database postgres, pgvector in database theirs."""
    cluster = make_cluster(extension_control_path=f"{ask_pg_config('--sharedir')}:$system")
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
