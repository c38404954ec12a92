"""Databases go from a server with pgvector to one with dvec and back, and every dump on the way is the
same text. DVEC_PGVECTOR_BIN names the folder of a server's programs that has pgvector 0.8;
scripts/check-server finds one for PostgreSQL 18. Elsewhere most machines have none, so what such a server once
wrote is also kept and tested by test_310_migration.py."""

import contextlib
import os
import pathlib

import pytest

import cluster as clusters
from cluster import Cluster
from test_310_migration import (PGVECTOR_ANSWERS, PGVECTOR_DUMP, SURFACE_DUMP, SURFACE_ROLES, essence,
                                settings_in)

PGVECTOR_BIN = os.environ.get("DVEC_PGVECTOR_BIN")

pytestmark = pytest.mark.skipif(PGVECTOR_BIN is None, reason="DVEC_PGVECTOR_BIN names no server with pgvector")


@contextlib.contextmanager
def pgvector_programs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clusters, "BIN", pathlib.Path(PGVECTOR_BIN))
        yield


class PgvectorCluster(Cluster):
    def launch(self):
        with pgvector_programs():
            super().launch()

    def program(self, *arguments, **options):
        with pgvector_programs():
            return super().program(*arguments, **options)


@pytest.fixture
def pgvector(template):
    cluster = PgvectorCluster(template, shared_preload_libraries=None, dvec__log_segment_size=None)
    try:
        yield cluster.start()
    finally:
        cluster.destroy()


def dump_of(cluster, dbname="shop"):
    return cluster.program("pg_dump", "--create", dbname)


def text_of(dump):
    return essence(dump), settings_in(dump)


def answers_of(cluster):
    return [cluster.sql(query, dbname="shop") for query in PGVECTOR_ANSWERS]


def move(dump, how, source, target):
    """The database `shop`, as a stranger would carry it."""
    target.sql("DROP DATABASE IF EXISTS shop")
    if how == "plain":
        target.psql(stdin=dump)
        return
    file = source.home / "shop.dump"
    source.program("pg_dump", "-Fc", "--create", "-f", str(file), "shop")
    target.program("pg_restore", "--create", "--exit-on-error", "-d", "postgres", "--jobs", "2", str(file))


@pytest.mark.parametrize("how", ["plain", "custom"])
@pytest.mark.parametrize("kept", [PGVECTOR_DUMP, SURFACE_DUMP], ids=lambda path: path.stem)
def test_there_and_back(pgvector, cluster, kept, how):
    dump = kept.read_text()
    for server in (pgvector, cluster):
        server.sql(SURFACE_ROLES)
    if kept == PGVECTOR_DUMP:
        pgvector.sql("CREATE DATABASE shop")
        pgvector.psql(dbname="shop", stdin=dump)
    else:
        pgvector.psql(stdin=dump)
    original = dump_of(pgvector)
    # Servers from 16 on word a dump otherwise than the one that wrote what is kept.
    if pgvector.sql("SHOW server_version_num")[0][0].startswith("15"):
        assert text_of(original) == text_of(dump)

    move(original, how, pgvector, cluster)
    moved = dump_of(cluster)
    assert text_of(moved) == text_of(original)

    if kept == SURFACE_DUMP:
        for ours, theirs in zip(answers_of(cluster), answers_of(pgvector), strict=True):
            for our_row, their_row in zip(ours, theirs, strict=True):
                assert our_row == tuple(pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
                                        for value in their_row)

    move(moved, how, cluster, pgvector)
    assert text_of(dump_of(pgvector)) == text_of(original)


def test_the_setting_that_pgvector_lacks(pgvector, cluster):
    """It does not stop the restore; sessions are warned once the library reads it."""
    cluster.sql("CREATE DATABASE shop")
    cluster.sql("CREATE EXTENSION vector", dbname="shop")
    cluster.sql("ALTER DATABASE shop SET hnsw.iterative_scan = 'complete'")
    cluster.sql("ALTER DATABASE shop SET dvec.wal_sync = 'commit'")
    move(dump_of(cluster), "plain", cluster, pgvector)
    connection = pgvector.connect("shop")
    notices = []
    connection.add_notice_handler(lambda notice: notices.append((notice.severity, notice.message_primary)))
    connection.execute("SELECT '[1]'::vector")
    assert notices == [("WARNING", 'invalid value for parameter "hnsw.iterative_scan": "complete"')]
    assert connection.execute("SHOW hnsw.iterative_scan").fetchall() == [("off",)]
