"""A table whose partitions are on three servers: shards of postgres_fdw, and one that is here. Queries ask all at
once for as many rows as they return (PartitionMerge), and nobody notices but by their speed."""

import re
import threading

import numpy as np
import psycopg
import pytest

import shards
import vectors
from cluster import Cluster, wait_until
from shards import PER_SHARD

pytestmark = shards.needs_postgres_fdw

NEAREST = "SELECT id FROM items ORDER BY v <-> %s::vector LIMIT 10"


@pytest.fixture(scope="module")
def layout(prepared_template):
    """The coordinator, two servers, and all vectors: one for all tests, which leave it as they found it."""
    clusters = [Cluster(prepared_template) for _ in range(3)]
    try:
        for each in clusters:
            each.start()
        coordinator, *servers = clusters
        yield coordinator, servers, shards.make_sharded(coordinator, servers)
        complaints = [each.complaints() for each in clusters]
    finally:
        for each in clusters:
            each.destroy()
    assert not any(complaints), "".join(complaints)


@pytest.fixture
def coordinator(layout):
    return layout[0]


@pytest.fixture
def servers(layout):
    return layout[1]


@pytest.fixture
def sharded(layout):
    connection = layout[0].connect()
    yield connection, layout[2]
    connection.close()


def queries(count=20):
    return [vectors.text(query) for query in vectors.clustered(count, shards.DIMENSIONS, seed=521)]


def exact(points, query, count, passes=None):
    distances = np.linalg.norm(points.astype(np.float64) - np.array(eval(query)), axis=1)
    if passes is not None:
        distances[~passes] = np.inf
    return np.argsort(distances, kind="stable")[:count].tolist()


def ids(connection, statement, parameters=None):
    return [row[0] for row in connection.execute(statement, parameters)]


def plan(connection, statement, parameters=None):
    return "\n".join(row[0] for row in connection.execute("EXPLAIN (VERBOSE, COSTS off) " + statement, parameters))


def remote_queries(text):
    return re.findall(r"Remote SQL: (.*)", text)


def recall(connection, points, statement, count=10, skip=0, passes=None):
    found = 0
    for query in queries():
        wanted = exact(points, query, count + skip, passes)[skip:]
        found += len(set(ids(connection, statement, [query])) & set(wanted))
    return found / (count * len(queries()))


def test_all_shards_are_asked_for_what_is_wanted(sharded):
    connection, points = sharded
    text = plan(connection, NEAREST, queries(1))
    assert "PartitionMerge" in text and text.count("Async Foreign Scan") == 2 and "Index Scan" in text
    for query in remote_queries(text):
        assert re.fullmatch(r"SELECT id, \(v OPERATOR\(public.<->\) .*\) FROM public.items_. ORDER BY 2 ASC NULLS LAST LIMIT 10",
                            query)
    assert recall(connection, points, NEAREST) >= 0.98
    distances = [row[1] for row in connection.execute(
        "SELECT id, v <-> %(q)s::vector FROM items ORDER BY v <-> %(q)s::vector LIMIT 30", {"q": queries(1)[0]})]
    assert len(distances) == 30 and distances == sorted(distances)


def test_queries_as_applications_write_them(sharded):
    connection, points = sharded
    tenth = np.arange(len(points)) % 10 == 3
    assert recall(connection, points, "SELECT id FROM items ORDER BY v <-> %s::vector LIMIT 5 OFFSET 20", 5, 20) >= 0.95
    assert recall(connection, points, "SELECT id, v, * FROM items WHERE tenant = 3 ORDER BY v <-> %s::vector LIMIT 10",
                  passes=tenth) >= 0.98
    assert recall(connection, points, "SELECT id FROM items ORDER BY l2_distance(v, %s::vector), id LIMIT 10") >= 0.98
    assert recall(connection, points,
                  "SELECT id FROM (SELECT id, 1 / (1 + (v <-> %s::vector)) AS score FROM items ORDER BY score DESC "
                  "LIMIT 10) s WHERE score > 0") >= 0.98
    [query] = queries(1)
    whole = connection.execute("SELECT i, tableoid::regclass FROM items i ORDER BY v <-> %s::vector LIMIT 3",
                               [query]).fetchall()
    assert [int(row[0][1:].split(",")[0]) for row in whole] == exact(points, query, 3)
    assert {row[1] for row in whole} <= {"items_0", "items_1", "items_2"}
    with pytest.raises(psycopg.errors.InvalidRowCountInLimitClause):
        connection.execute(NEAREST.replace("10", "-1"), [query])
    assert len(ids(connection, NEAREST.replace("10", "ALL"), [query])) == len(points)
    assert ids(connection, NEAREST.replace("10", "9223372036854775807 OFFSET 9223372036854775807"), [query]) == []


def test_names_and_values_that_look_like_clauses(sharded, servers):
    connection, points = sharded
    odd = """ "a"" FROM (b' ORDER BY " """.strip()
    servers[0].sql(f"CREATE VIEW odd AS SELECT id AS {odd}, tenant, 'x'::text AS note, v AS \"v, w\" FROM items_0")
    connection.execute(f"""
        CREATE TABLE odd ({odd} integer, tenant integer, note text, "v, w" vector({shards.DIMENSIONS}))
            PARTITION BY LIST (tenant);
        CREATE FOREIGN TABLE odd_0 PARTITION OF odd DEFAULT SERVER shard_0 OPTIONS (table_name 'odd')""")
    statement = f"""SELECT {odd}, ' FROM ( ORDER BY ' FROM odd WHERE note <> E' ) ORDER BY '' \\\\ ASC NULLS LAST'
                    ORDER BY "v, w" <-> %s::vector LIMIT 10"""
    [query] = remote_queries(plan(connection, statement, queries(1)))
    assert query.startswith(f"SELECT {odd}, (") and "WHERE" in query and query.endswith(" ORDER BY 2 ASC NULLS LAST LIMIT 10")
    assert recall(connection, points, statement, passes=np.arange(len(points)) < PER_SHARD) >= 0.98
    connection.execute("DROP TABLE odd")
    servers[0].sql("DROP VIEW odd")


def test_a_condition_that_only_this_server_can_check(sharded):
    connection, points = sharded
    connection.execute("CREATE FUNCTION odd(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS "
                       "'BEGIN RETURN $1 % 2 = 1; END'")
    statement = "SELECT id FROM items WHERE odd(id) ORDER BY v <-> %s::vector LIMIT 10"
    assert not any("LIMIT" in query for query in remote_queries(plan(connection, statement, queries(1))))
    assert recall(connection, points, statement, passes=np.arange(len(points)) % 2 == 1) >= 0.98


def test_one_shard_is_left_by_the_condition(sharded):
    connection, points = sharded
    statement = f"SELECT id FROM items WHERE id < {PER_SHARD} ORDER BY v <-> %s::vector LIMIT 10"
    [query] = remote_queries(plan(connection, statement, queries(1)))
    assert query.endswith("LIMIT 10")
    assert recall(connection, points, statement, passes=np.arange(len(points)) < PER_SHARD) >= 0.98


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_prepared_statements(sharded, mode):
    connection, points = sharded
    connection.execute(f"SET plan_cache_mode = {mode}")
    connection.execute("PREPARE nearest(vector, bigint, bigint) AS "
                       "SELECT id FROM items ORDER BY v <-> $1 LIMIT $2 OFFSET $3")
    for query in queries(5):
        for count, skip in ((10, 0), (3, 7), (0, 5)):
            found = ids(connection, f"EXECUTE nearest('{query}', {count}, {skip})")
            assert len(found) == count and len(set(found) & set(exact(points, query, 10))) >= count - 1
        assert len(ids(connection, f"EXECUTE nearest('{query}', 10, NULL)")) == 10
    assert len(ids(connection, f"EXECUTE nearest('{query}', NULL, 4000)")) == len(points) - 4000
    text = plan(connection, f"EXECUTE nearest('{query}', 10, 2)")
    assert ("LIMIT $" in text) == (mode == "force_generic_plan") and "PartitionMerge" in text


def test_a_statement_for_one_shard_goes_on_asking_one(sharded):
    """Also when it has been executed so often that a plan for all values is thought of."""
    connection, _ = sharded
    connection.execute("PREPARE of_shard(vector, integer) AS SELECT id FROM items WHERE id = ANY (ARRAY[$2, $2 + 1]) "
                       "ORDER BY v <-> $1 LIMIT 10")
    for number in range(8):
        assert ids(connection, f"EXECUTE of_shard('{queries(1)[0]}', {number})") != []
    text = plan(connection, f"EXECUTE of_shard('{queries(1)[0]}', 8)")
    assert text.count("Foreign Scan") == 1 and "LIMIT 10" in text and "Index Scan" not in text


def test_searches_within_searches(sharded):
    """The scans begin again with each vector, and others use the same connections meanwhile."""
    connection, points = sharded
    connection.execute(f"CREATE TABLE asked AS SELECT number, text::vector AS q FROM "
                       f"unnest(ARRAY{queries(8)}) WITH ORDINALITY AS t(text, number)")
    found = connection.execute(
        "SELECT number, array_agg(id) FROM asked, LATERAL "
        "(SELECT id FROM items ORDER BY v <-> q LIMIT 5) n GROUP BY number ORDER BY number").fetchall()
    for (_, near), query in zip(found, queries(8), strict=True):
        assert len(set(near) & set(exact(points, query, 5))) >= 4
    both = connection.execute(
        "SELECT count(*) FROM (SELECT id FROM items ORDER BY v <-> %s::vector LIMIT 7) a, "
        "(SELECT id FROM items ORDER BY v <-> %s::vector LIMIT 7) b", queries(2)).fetchall()
    assert both == [(49,)]


def test_cursors_take_turns(sharded):
    connection, points = sharded
    first, second = queries(2)
    with connection.transaction():
        for name, query in (("a", first), ("b", second)):
            connection.execute(f"DECLARE {name} CURSOR FOR SELECT id FROM items ORDER BY v <-> '{query}' LIMIT 30")
        found = {"a": [], "b": []}
        for _ in range(10):
            for name in found:
                found[name] += ids(connection, f"FETCH 3 FROM {name}")
            assert len(ids(connection, NEAREST, [first])) == 10
    for name, query in (("a", first), ("b", second)):
        assert len(found[name]) == 30 and len(set(found[name]) & set(exact(points, query, 30))) >= 28


def test_rows_that_come_in_several_parts(sharded):
    connection, points = sharded
    connection.execute("ALTER SERVER shard_0 OPTIONS (ADD fetch_size '3'); ALTER SERVER shard_1 OPTIONS (ADD fetch_size '1')")
    assert recall(connection, points, NEAREST) >= 0.98
    connection.execute("ALTER SERVER shard_0 OPTIONS (DROP fetch_size); ALTER SERVER shard_1 OPTIONS (DROP fetch_size)")


@pytest.mark.parametrize("off, on", [("ALTER SERVER shard_1 OPTIONS (SET async_capable 'false')",
                                      "ALTER SERVER shard_1 OPTIONS (SET async_capable 'true')"),
                                     ("SET enable_async_append = off", "RESET enable_async_append")])
def test_one_after_the_other_where_that_is_asked_for(sharded, off, on):
    connection, points = sharded
    connection.execute(off)
    text = plan(connection, NEAREST, queries(1))
    assert text.count("Async Foreign Scan") == (1 if "shard_1" in off else 0) and text.count(" LIMIT 10") == 2
    assert recall(connection, points, NEAREST) >= 0.98
    connection.execute(on)


def test_switched_off(sharded):
    connection, points = sharded
    connection.execute("SET dvec.enable_partition_merge = off")
    text = plan(connection, NEAREST, queries(1))
    assert "Merge Append" in text and "PartitionMerge" not in text and "LIMIT" not in text
    [query] = queries(1)
    assert len(set(ids(connection, NEAREST, [query])) & set(exact(points, query, 10))) >= 9


def test_two_shards_on_one_connection(sharded):
    """A connection answers one request after the other."""
    connection, points = sharded
    connection.execute(f"""
        CREATE TABLE twice (id integer, tenant integer, v vector({shards.DIMENSIONS})) PARTITION BY LIST (tenant);
        CREATE FOREIGN TABLE twice_0 PARTITION OF twice FOR VALUES IN (0) SERVER shard_0 OPTIONS (table_name 'items_0');
        CREATE FOREIGN TABLE twice_1 PARTITION OF twice FOR VALUES IN (1) SERVER shard_0 OPTIONS (table_name 'items_0');
        CREATE FOREIGN TABLE twice_2 PARTITION OF twice FOR VALUES IN (2) SERVER shard_1 OPTIONS (table_name 'items_1')""")
    statement = NEAREST.replace("items", "twice")
    assert plan(connection, statement, queries(1)).count("Async Foreign Scan") == 3
    of_both = np.arange(len(points)) < 2 * PER_SHARD
    for query in queries():
        wanted = [number for number in exact(points, query, 10, of_both) for _ in range(2 if number < PER_SHARD else 1)]
        assert len(set(ids(connection, statement, [query])) & set(wanted[:10])) >= len(set(wanted[:10])) - 1
    connection.execute("DROP TABLE twice")


def test_rows_are_found_at_once(sharded, servers):
    """Those that others commit on a shard, and those that this transaction has not committed yet."""
    connection, _ = sharded
    vector = vectors.text(np.full(shards.DIMENSIONS, 50.0))
    servers[1].sql(f"INSERT INTO items_1 VALUES ({PER_SHARD}, 0, '{vector}')")
    assert ids(connection, NEAREST.replace("10", "1"), [vector]) == [PER_SHARD]
    with connection.transaction(force_rollback=True):
        nearer = vectors.text(np.full(shards.DIMENSIONS, 51.0))
        connection.execute("INSERT INTO items VALUES (0, 0, %s)", [nearer])
        assert ids(connection, NEAREST.replace("10", "2"), [nearer]) == [0, PER_SHARD]
        connection.execute("DELETE FROM items WHERE id = 0")
        assert ids(connection, NEAREST.replace("10", "1"), [nearer]) == [PER_SHARD]
    servers[1].sql(f"DELETE FROM items_1 WHERE v = '{vector}'")
    assert ids(connection, NEAREST.replace("10", "1"), [vector]) != [PER_SHARD]


def test_a_shard_that_is_down(sharded, servers):
    connection, points = sharded
    [query] = queries(1)
    before = ids(connection, NEAREST, [query])
    servers[1].kill()
    with pytest.raises(psycopg.OperationalError) as failed:
        connection.execute(NEAREST, [query])
    assert failed.value.sqlstate in ("08001", "08006"), failed.value
    with pytest.raises(psycopg.OperationalError) as failed:
        connection.execute(NEAREST, [query])
    assert failed.value.sqlstate == "08001" and 'could not connect to server "shard_1"' in str(failed.value)
    # What does not need it goes on.
    assert len(ids(connection, NEAREST.replace("ORDER", f"WHERE id < {PER_SHARD} ORDER"), [query])) == 10
    servers[1].start()
    assert ids(connection, NEAREST, [query]) == before


def test_errors_and_cancels_while_shards_search(sharded, servers):
    """In the answers that this server waits for: the shards are asked for rows of views."""
    connection, points = sharded
    [query] = queries(1)
    servers[0].sql("ALTER TABLE items_0 RENAME TO moved; CREATE FUNCTION waits(integer) RETURNS boolean LANGUAGE plpgsql "
                   "AS 'BEGIN PERFORM pg_sleep(60); RETURN true; END'; "
                   "CREATE VIEW items_0 AS SELECT * FROM moved WHERE waits(id)")
    connection.execute("SET statement_timeout = '300ms'")
    for _ in range(3):
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(NEAREST, [query])
    connection.execute("RESET statement_timeout")
    with connection.transaction():
        assert ids(connection, NEAREST.replace("ORDER", f"WHERE id >= {PER_SHARD} ORDER"), [query]) != []
        with pytest.raises(psycopg.errors.QueryCanceled), connection.transaction():
            connection.execute("SET LOCAL statement_timeout = '300ms'")
            connection.execute(NEAREST, [query])
        assert ids(connection, NEAREST.replace("ORDER", f"WHERE id >= {PER_SHARD} ORDER"), [query]) != []
    servers[0].sql("CREATE OR REPLACE VIEW items_0 AS SELECT * FROM moved WHERE 1 / (id - id) < 2")
    with pytest.raises(psycopg.errors.DivisionByZero, match="division by zero"):
        connection.execute(NEAREST, [query])
    servers[0].sql("DROP VIEW items_0; ALTER TABLE moved RENAME TO items_0")
    assert len(set(ids(connection, NEAREST, [query])) & set(exact(points, query, 10))) >= 9


def test_a_row_that_changes_while_it_is_updated(sharded, coordinator):
    """The new version of the row is looked at again, and the search within made for it."""
    connection, points = sharded
    connection.execute(f"CREATE TABLE changing (q vector({shards.DIMENSIONS}), nearest integer)")
    first, second = queries(2)
    connection.execute("INSERT INTO changing VALUES (%s, NULL)", [first])
    other = coordinator.connect(autocommit=False)
    other.execute("UPDATE changing SET q = %s", [second])
    with coordinator.connect_for_thread() as waiting:
        [[pid]] = waiting.execute("SELECT pg_backend_pid()").fetchall()
        thread = threading.Thread(target=lambda: waiting.execute(
            "UPDATE changing SET nearest = (SELECT id FROM items ORDER BY v <-> q LIMIT 1)"))
        thread.start()
        wait_until(lambda: connection.execute("SELECT FROM pg_stat_activity WHERE pid = %s AND "
                                              "wait_event_type = 'Lock'", [pid]).fetchall(), "the session waits")
        other.commit()
        thread.join()
    assert ids(connection, "SELECT nearest FROM changing") == exact(points, second, 1)
    locked = connection.execute("SELECT id FROM items ORDER BY v <-> %s::vector LIMIT 3 FOR UPDATE", [first]).fetchall()
    assert [row[0] for row in locked] == exact(points, first, 3)


def test_a_shard_is_added_and_one_moved(sharded, coordinator, servers):
    """A plan that is kept learns of it."""
    connection, points = sharded
    other = coordinator.connect()
    statement = "PREPARE nearest(vector) AS SELECT id FROM items ORDER BY v <-> $1 LIMIT 10"
    connection.execute("SET plan_cache_mode = force_generic_plan")
    connection.execute(statement)
    ids(connection, f"EXECUTE nearest('{queries(1)[0]}')")

    servers[0].sql("CREATE DATABASE more")
    servers[0].sql("CREATE EXTENSION dvec", dbname="more")
    shards.make_shard(servers[0], 3, "more")
    shards.attach(other, servers[0], 3, dbname="more")
    added = vectors.clustered(PER_SHARD, shards.DIMENSIONS, seed=523)
    points = np.vstack([points, added])
    other.cursor().executemany("INSERT INTO items VALUES (%s, 0, %s)",
                                    [(3 * PER_SHARD + row, vectors.text(added[row])) for row in range(200)])
    shown = points[:3 * PER_SHARD + 200]
    for query in queries(10):
        assert len(set(ids(connection, f"EXECUTE nearest('{query}')")) & set(exact(shown, query, 10))) >= 9

    # From one server to the other, as docs/scaling.md has it.
    shards.make_shard(servers[1], 0)
    other.execute(f"CREATE FOREIGN TABLE moved (id integer, tenant integer, v vector({shards.DIMENSIONS})) SERVER shard_1 "
                       "OPTIONS (table_name 'items_0')")
    with other.transaction():
        other.execute("INSERT INTO moved SELECT * FROM items_0")
        other.execute("ALTER TABLE items DETACH PARTITION items_0")
        other.execute("DROP FOREIGN TABLE items_0")
        other.execute(f"ALTER TABLE items ATTACH PARTITION moved FOR VALUES FROM (0) TO ({PER_SHARD})")
    servers[0].sql("DROP TABLE items_0")
    for query in queries(10):
        assert len(set(ids(connection, f"EXECUTE nearest('{query}')")) & set(exact(shown, query, 10))) >= 9
