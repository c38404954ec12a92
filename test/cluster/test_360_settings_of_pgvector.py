"""Settings named hnsw.* belong to whoever's types a database has: a server that preloads dvec leaves
pgvector's databases as they were, and in ours values count wherever they were set."""

import psycopg
import pytest

import answers
import cluster as clusters
import vectors

LIBRARY = clusters.BIN.parents[1] / "foreign_settings.so"
ROWS = vectors.clustered(400, 8, seed=360)
QUERY = f"SELECT id FROM items ORDER BY v <-> '{vectors.text(ROWS[0])}'"


@pytest.fixture
def items(cluster):
    vectors.make_table(cluster.connect(), ROWS)
    return cluster


def settings_of(connection):
    return [name for [name] in connection.execute(
        "SELECT name FROM pg_settings WHERE name ~ '^(hnsw|ivfflat)[.]' ORDER BY name")]


def rows_of_short_scan(connection):
    """With `off` a scan ends after as many rows as hnsw.ef_search says."""
    connection.execute("SET enable_seqscan = off")
    connection.execute("SET hnsw.iterative_scan = off")
    return len(connection.execute(QUERY).fetchall())


def test_defined_with_the_first_use(items):
    connection = items.connect()
    assert settings_of(connection) == []
    connection.execute("SELECT '[1]'::vector")
    assert settings_of(connection) == ["hnsw.ef_search", "hnsw.iterative_scan", "hnsw.max_scan_tuples",
                                       "hnsw.scan_mem_multiplier", "hnsw.target_recall", "ivfflat.iterative_scan",
                                       "ivfflat.max_probes", "ivfflat.probes"]
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        connection.execute("SET hnsw.ef_search = 0")
    with pytest.raises(psycopg.errors.InvalidName):
        connection.execute("SET hnsw.unknown = 1")


def test_value_set_before_the_first_use(items):
    for before in ("SET hnsw.ef_search = 7", "SET SESSION hnsw.ef_search TO '7'"):
        connection = items.connect()
        connection.execute(before)
        assert rows_of_short_scan(connection) == 7
        assert connection.execute("SHOW hnsw.ef_search").fetchall() == [("7",)]
    connection = items.connect()
    with connection.transaction():
        connection.execute("SET LOCAL hnsw.ef_search = 7")
        assert rows_of_short_scan(connection) == 7
    assert rows_of_short_scan(connection) == 40


def test_wrong_value_set_before_the_first_use(items):
    connection = items.connect()
    notices = []
    connection.add_notice_handler(lambda notice: notices.append((notice.severity, notice.message_primary)))
    connection.execute("SET hnsw.ef_search = 0")
    assert rows_of_short_scan(connection) == 40
    assert notices == [("WARNING", '0 is outside the valid range for parameter "hnsw.ef_search" (1 .. 1000)')]


def test_values_of_database_role_and_file(items):
    items.sql("ALTER DATABASE postgres SET hnsw.ef_search = 9")
    assert rows_of_short_scan(items.connect()) == 9
    items.sql("CREATE ROLE reader LOGIN")
    items.sql("GRANT SELECT ON items TO reader")
    items.sql("ALTER ROLE reader SET hnsw.ef_search = 8")
    with psycopg.connect(host=str(items.home), user="reader", dbname="postgres") as connection:
        assert rows_of_short_scan(connection) == 8
    items.sql("ALTER DATABASE postgres RESET hnsw.ef_search")
    items.configure(hnsw__ef_search="6")
    items.stop()
    items.start()
    assert rows_of_short_scan(items.connect()) == 6


@pytest.mark.parametrize("first", ["nothing", "'[1]'::vector"])
def test_value_in_a_parallel_worker(items, first):
    """A worker looks our functions up where no setting can be defined any more."""
    connection = items.connect()
    if first != "nothing":
        connection.execute(f"SELECT {first}")
    [[version]] = connection.execute("SELECT current_setting('server_version_num')::integer")
    parallel = "debug_parallel_query" if version >= 160000 else "force_parallel_mode"
    connection.execute("SET hnsw.ef_search = 7")
    connection.execute(f"SET {parallel} = on")
    connection.execute("SET enable_seqscan = off")
    plan = answers.plan_of(connection, QUERY + " LIMIT 50")
    assert "Gather" in plan and "Index Scan" in plan, plan
    connection.execute("SET hnsw.iterative_scan = off")
    assert len(connection.execute(QUERY + " LIMIT 50").fetchall()) == 7
    connection.execute("SET hnsw.ef_search = 9")
    assert len(connection.execute(QUERY + " LIMIT 50").fetchall()) == 9


def test_settings_of_another_library(items):
    """As pgvector's library comes to a session of a database that has pgvector."""
    items.sql("CREATE DATABASE other")
    connection = items.connect("other")
    connection.execute("SET hnsw.ef_search = 50")
    connection.execute(f"LOAD '{LIBRARY}'")
    assert settings_of(connection) == ["hnsw.ef_search"]
    assert connection.execute("SHOW hnsw.ef_search").fetchall() == [("50",)]


def test_settings_of_another_library_in_our_database(items):
    """Whoever comes first has defined the setting, and it counts for us too."""
    connection = items.connect()
    connection.execute(f"LOAD '{LIBRARY}'")
    connection.execute("SET hnsw.ef_search = 5")
    connection.execute("SET enable_seqscan = off")
    assert answers.plan_of(connection, QUERY).count("Index Scan") == 1
    assert connection.execute(QUERY + " LIMIT 3").fetchall()[0] == (0,)
    assert connection.execute("SHOW hnsw.ef_search").fetchall() == [("5",)]
