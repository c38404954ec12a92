"""What may stand around a VectorSearch: every kind of query, cursor, lock and plan gets the rows of the table."""

import itertools
import threading

import numpy as np
import psycopg
import pytest

import vectors
from cluster import wait_until

DIMENSIONS = 8
ROWS = 1200
POINTS = np.random.default_rng(19).random((ROWS, DIMENSIONS), dtype=np.float32)
Q = f"'{vectors.text(POINTS[77] + np.float32(0.01))}'::vector"
D = f"(v <-> {Q})"

# Their distances differ, so that the order is one; and so many candidates are kept that a walk misses nothing.
QUERIES = {
    "columns": f"SELECT * FROM items WHERE kind % 3 = 1 ORDER BY {D} LIMIT 9",
    "whole rows": f"SELECT i, i.ctid, i.tableoid::regclass, i.xmin IS NULL FROM items i WHERE kind < 90 ORDER BY {D} LIMIT 9",
    "generated": f"SELECT id, doubled, tag FROM items WHERE doubled % 14 = 6 ORDER BY {D} LIMIT 9",
    "no column": f"SELECT count(*) FROM (SELECT FROM items WHERE kind < 50 ORDER BY {D} LIMIT 4) s",
    "computed": f"SELECT id + kind, {D} * 2, upper(tag) FROM items WHERE kind < 50 ORDER BY {D} LIMIT 4",
    "few pass": f"SELECT id, {D} FROM items WHERE kind % 100 = 7 ORDER BY {D} LIMIT 20",
    "no row": f"SELECT id FROM items WHERE kind < 50 ORDER BY {D} LIMIT 0",
    "behind the last": f"SELECT id FROM items WHERE kind = 7 ORDER BY {D} LIMIT 5 OFFSET 20000",
    "page": f"SELECT id FROM items WHERE kind < 50 ORDER BY {D} LIMIT 5 OFFSET 100",
    "all": f"SELECT id, tag FROM items WHERE v IS NOT NULL ORDER BY {D}",
    "all, some pass": f"SELECT id, kind FROM items WHERE kind % 2 = 1 AND v IS NOT NULL ORDER BY {D} LIMIT ALL",
    "descending": f"SELECT id FROM items ORDER BY {D} DESC NULLS LAST LIMIT 7",
    "nulls first": f"SELECT count(*) FROM (SELECT {D} AS d FROM items ORDER BY d NULLS FIRST LIMIT 30) s WHERE d IS NULL",
    "sets": f"SELECT id, generate_series(1, 3) AS n FROM items WHERE kind < 30 ORDER BY {D}, n LIMIT 10",
    "ties": f"SELECT count(*), sum(id) FROM (SELECT id FROM items ORDER BY round({D}::numeric, 1) FETCH FIRST 7 ROWS WITH TIES) s",
    "distinct on": f"SELECT DISTINCT ON ({D}) id FROM items WHERE kind < 50 ORDER BY {D}, id LIMIT 12",
    "windows": f"SELECT id, rank() OVER w, lag(id) OVER w, count(*) OVER () FROM items WHERE kind < 40 WINDOW w AS (ORDER BY {D})",
    "top of each": f"SELECT * FROM (SELECT kind, id, row_number() OVER (PARTITION BY kind ORDER BY {D}) AS n FROM items "
                   "WHERE kind < 9) s WHERE n < 3 ORDER BY kind, n",
    "grouping sets": f"SELECT kind, tag, min({D}) FROM items WHERE kind < 5 GROUP BY GROUPING SETS ((kind), (tag), ()) ORDER BY 1, 2",
    "aggregates": f"SELECT array_agg(id ORDER BY {D}), min({D}) FILTER (WHERE kind < 9) FROM items WHERE kind < 20 AND v IS NOT NULL",
    "scalar": "SELECT a.id, (SELECT b.id FROM items b WHERE b.kind = a.kind ORDER BY b.v <-> a.v OFFSET 1 LIMIT 1) FROM items a "
              "WHERE id < 40 ORDER BY 1",
    "of each": "SELECT a.id, n.id FROM items a, LATERAL (SELECT id FROM items b WHERE b.kind <= a.kind AND b.id <> a.id "
               "ORDER BY b.v <-> a.v LIMIT a.id % 4) n WHERE a.id < 40 AND a.v IS NOT NULL ORDER BY a.id, n.id",
    "repeated": f"SELECT r, n.id FROM generate_series(1, 3) r LEFT JOIN (SELECT id FROM items WHERE kind % 100 = 7 "
                f"ORDER BY {D} LIMIT 5) n ON true ORDER BY r, n.id",
    "joined": f"SELECT i.id, k.name FROM items i JOIN kinds k USING (kind) WHERE k.name LIKE '%7' ORDER BY {D} LIMIT 15",
    "left joined": f"SELECT i.id, k.name FROM items i LEFT JOIN kinds k ON k.kind = i.kind + 95 WHERE i.kind < 40 ORDER BY {D} LIMIT 15",
    "without": f"SELECT id FROM items i WHERE NOT EXISTS (SELECT FROM kinds k WHERE k.kind = i.kind) ORDER BY {D} LIMIT 15",
    "not in": f"SELECT id FROM items i WHERE kind NOT IN (SELECT kind FROM kinds WHERE kind <> 7) ORDER BY {D} LIMIT 15",
    "united": f"(SELECT id FROM items WHERE kind < 9 ORDER BY {D} LIMIT 5) UNION (SELECT id FROM items WHERE kind < 12 "
              f"ORDER BY {D} LIMIT 5) ORDER BY id",
    "united, all": f"SELECT id FROM (SELECT id, v FROM items WHERE kind < 9 UNION ALL SELECT -id, v FROM items WHERE kind > 95) u "
                   f"ORDER BY {D} LIMIT 15",
    "with": f"WITH near AS MATERIALIZED (SELECT id, {D} AS d FROM items WHERE kind < 50 ORDER BY d LIMIT 5) "
            "SELECT a.id, b.id FROM near a JOIN near b ON a.d < b.d ORDER BY a.d, b.d",
    "recursive": "WITH RECURSIVE steps (id, depth) AS (SELECT 1, 0 UNION ALL SELECT n.id, depth + 1 FROM steps, LATERAL "
                 "(SELECT id FROM items WHERE id > steps.id ORDER BY v <-> (SELECT v FROM items o WHERE o.id = steps.id) LIMIT 1) n "
                 "WHERE depth < 6) SELECT * FROM steps ORDER BY depth",
    "within": f"SELECT count(*), min(id) FROM items WHERE {D} < 0.7",
    "within and beyond": f"SELECT id FROM items WHERE {D} BETWEEN 0.4 AND 0.8 AND kind < 60 ORDER BY {D} DESC",
    "beyond": f"SELECT count(*) FROM items WHERE {D} > 0.7",
    "near each other": "SELECT a.id, b.id FROM items a JOIN items b ON a.v <-> b.v < 0.35 AND a.id < b.id WHERE a.kind < 30 ORDER BY 1, 2",
    "alone": "SELECT id FROM items a WHERE kind < 30 AND NOT EXISTS (SELECT FROM items b WHERE b.v <-> a.v < 0.4 AND b.id <> a.id) ORDER BY id",
    "sampled": f"SELECT id FROM items TABLESAMPLE SYSTEM (100) WHERE kind < 30 ORDER BY {D} LIMIT 5",
    "of a view": f"SELECT id FROM seen ORDER BY {D} LIMIT 9",
    "inherited": f"SELECT id, tableoid::regclass FROM ancestors WHERE kind < 50 ORDER BY {D} LIMIT 9",
    "partitioned": f"SELECT id, p FROM parts p WHERE kind < 50 ORDER BY {D} LIMIT 9",
    "partitioned, within": f"SELECT id, tableoid::regclass, ctid FROM parts WHERE {D} < 0.7 ORDER BY id",
    "one partition": f"SELECT id FROM parts WHERE id < 300 AND kind < 50 ORDER BY {D} LIMIT 9",
    "no vector": "SELECT count(*) FROM (SELECT id FROM items WHERE kind < 50 ORDER BY v <-> (SELECT v FROM items WHERE id = -1) LIMIT 9) s",
    "a condition without columns": f"SELECT id FROM items WHERE (SELECT count(*) FROM kinds) = 96 AND kind < 30 ORDER BY {D} LIMIT 4",
    "updated": f"WITH changed AS (UPDATE items SET tag = 'near' WHERE id IN (SELECT id FROM items WHERE kind < 50 ORDER BY {D} LIMIT 5) "
               "RETURNING id, tag) SELECT * FROM changed ORDER BY id",
    "updated within": f"WITH changed AS (UPDATE items SET kind = kind + 1 WHERE {D} < 0.6 RETURNING id, kind) SELECT * FROM changed ORDER BY id",
    "deleted within": "WITH gone AS (DELETE FROM items USING kinds k WHERE v <-> k.w < 0.3 RETURNING id, k.kind) SELECT * FROM gone ORDER BY 1, 2",
    "locked": f"SELECT id FROM items WHERE kind < 50 ORDER BY {D} LIMIT 5 FOR UPDATE",
    "locked, joined": f"SELECT i.id FROM items i JOIN kinds k USING (kind) WHERE kind < 50 ORDER BY i.{D[1:-1]} LIMIT 5 FOR SHARE OF i SKIP LOCKED",
}
NUMBERS = itertools.count()


def make_tables(connection, options):
    # A column that is gone, one that older rows do not have, one that is computed, rows without a vector.
    connection.execute(f"""
        CREATE TABLE loaded (id integer, v vector({DIMENSIONS}));
        CREATE TABLE items (id integer, gone text, kind integer, v vector({DIMENSIONS}),
                            doubled integer GENERATED ALWAYS AS (2 * kind) STORED)""")
    vectors.copy_in(connection, "loaded", 0, POINTS)
    connection.execute(f"""
        INSERT INTO items (id, gone, kind, v) SELECT id, 'gone', id % 101, v FROM loaded;
        ALTER TABLE items DROP gone;
        ALTER TABLE items ADD tag text DEFAULT 'old';
        INSERT INTO items (id, kind, tag) SELECT {ROWS} + n, n, 'none' FROM generate_series(0, 19) n;
        CREATE INDEX ON items USING hnsw (v vector_l2_ops) WITH (ef_search = 1000{options});
        CREATE INDEX ON items (id);
        CREATE TABLE kinds AS SELECT kind, 'kind ' || kind AS name, v AS w FROM items WHERE id < 96;
        ALTER TABLE kinds ADD PRIMARY KEY (kind);
        CREATE VIEW seen WITH (security_barrier) AS SELECT * FROM items WHERE kind % 2 = 0;
        CREATE TABLE ancestors (id integer, kind integer, v vector({DIMENSIONS}));
        CREATE TABLE heirs (extra text DEFAULT 'extra') INHERITS (ancestors);
        INSERT INTO ancestors SELECT id, kind, v FROM items WHERE id % 2 = 0;
        INSERT INTO heirs SELECT id, kind, v FROM items WHERE id % 2 = 1;
        CREATE INDEX ON ancestors USING hnsw (v vector_l2_ops) WITH (ef_search = 1000{options});
        CREATE INDEX ON heirs USING hnsw (v vector_l2_ops) WITH (ef_search = 1000{options});
        CREATE TABLE parts (id integer, kind integer, v vector({DIMENSIONS})) PARTITION BY RANGE (id);
        CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (500);
        CREATE TABLE parts_2 (v vector({DIMENSIONS}), kind integer, id integer);
        ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (500) TO (5000);
        INSERT INTO parts SELECT id, kind, v FROM items;
        CREATE INDEX ON parts USING hnsw (v vector_l2_ops) WITH (ef_search = 1000{options})""")
    connection.execute("VACUUM ANALYZE items, kinds, ancestors, heirs, parts")


def plain(connection, query):
    return connection.execute(query).fetchall()


def prepared(connection, query):
    """With a generic plan, executed twice where that changes nothing."""
    name = f"asked_{next(NUMBERS)}"
    connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    connection.execute(f"PREPARE {name} AS {query}")
    if "RETURNING" not in query:
        connection.execute(f"EXECUTE {name}")
    return connection.execute(f"EXECUTE {name}").fetchall()


def by_worker(connection, query):
    name = "debug_parallel_query" if connection.info.server_version >= 160000 else "force_parallel_mode"
    connection.execute(f"SET LOCAL {name} = on")
    return connection.execute(query).fetchall()


def fetched(connection, query):
    """By a cursor, in steps."""
    connection.execute("DECLARE c NO SCROLL CURSOR FOR " + query)
    rows = [connection.execute(f"FETCH {count} FROM c").fetchall() for count in (1, 3, "ALL")]
    return list(itertools.chain(*rows))


def scrolled(connection, query):
    """By a cursor, forwards and backwards."""
    connection.execute("DECLARE c SCROLL CURSOR FOR " + query)
    rows = connection.execute("FETCH 4 FROM c").fetchall()
    # It stands on the fourth row, or behind the last.
    before = rows[:3] if len(rows) == 4 else rows
    assert connection.execute("FETCH BACKWARD 9 FROM c").fetchall() == before[::-1]
    again = connection.execute("FETCH ALL FROM c").fetchall()
    assert again[:4] == rows
    assert connection.execute("FETCH BACKWARD ALL FROM c").fetchall() == again[::-1]
    return again


def held(connection, query):
    """By a cursor that outlives its transaction."""
    connection.execute("DECLARE c CURSOR WITH HOLD FOR " + query)
    rows = connection.execute("FETCH 2 FROM c").fetchall()
    connection.commit()
    rows += connection.execute("FETCH ALL FROM c").fetchall()
    connection.execute("CLOSE c")
    return rows


def takes(way, query):
    """Whether a query may be asked in that way."""
    if way in (fetched, scrolled, held) and "RETURNING" in query:
        return False
    return way not in (scrolled, held) or "FOR UPDATE" not in query and "FOR SHARE" not in query


WAYS = [plain, prepared, by_worker, fetched, scrolled, held]


@pytest.mark.parametrize("options", ["", ", storage = compact, bits = 4"])
def test_every_query(cluster, options):
    make_tables(cluster.connect(), options)
    connection = cluster.connect(autocommit=False)
    searched = 0
    wrong = []
    for name, query in QUERIES.items():
        connection.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off")
        wanted = connection.execute(query).fetchall()
        connection.rollback()
        for way in WAYS:
            if not takes(way, query):
                continue
            connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
            if way is plain:
                searched += "VectorSearch" in str(connection.execute("EXPLAIN " + query).fetchall())
            try:
                found = way(connection, query)
            except psycopg.Error as error:
                found = str(error)
            if found != wanted:
                wrong.append((name, way.__name__, found, wanted))
            connection.rollback()
    assert not wrong, wrong
    assert searched > 0.75 * len(QUERIES)


@pytest.fixture
def two(cluster):
    """A session, and another whose transactions the first waits for."""
    make_tables(cluster.connect(), "")
    connection = cluster.connect()
    connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    return connection, cluster.connect(autocommit=False)


def waits_for(cluster, statement, change, other):
    """What the statement returns that begins while another session has changed rows and not committed yet."""
    found = []
    other.execute(change)
    with cluster.connect_for_thread() as waiting:
        waiting.execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off")
        assert "VectorSearch" in str(waiting.execute("EXPLAIN " + statement).fetchall()), statement
        [[pid]] = waiting.execute("SELECT pg_backend_pid()").fetchall()
        thread = threading.Thread(target=lambda: found.extend(waiting.execute(statement).fetchall()))
        thread.start()
        watching = cluster.connect()
        wait_until(lambda: watching.execute(
            "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'", [pid]).fetchall(), "it waits")
        other.commit()
        thread.join()
    return found


def test_rows_that_change_before_they_are_locked(cluster, two):
    """They are checked again in their new version: against the condition, the bound, and for a row of the other table."""
    connection, other = two
    connection.execute("SET enable_hashjoin = off")
    near = [row[0] for row in connection.execute(f"SELECT id FROM items WHERE {D} < 0.6 ORDER BY {D}")]
    assert len(near) > 4
    far = "v = '[" + ",".join(["9"] * DIMENSIONS) + "]'"
    within = f"UPDATE items SET tag = 'seen' WHERE {D} < 0.6 RETURNING id"
    assert sorted(waits_for(cluster, within, f"UPDATE items SET {far} WHERE id = {near[1]}", other)) == \
        [(id,) for id in sorted(near) if id != near[1]]
    # Another version that is still within, and a row that came after the statement began, which it does not see.
    assert sorted(waits_for(cluster, within, f"UPDATE items SET kind = 5 WHERE id = {near[2]}; "
                            f"UPDATE items SET v = {Q} WHERE id = {near[1]}", other)) == \
        [(id,) for id in sorted(near) if id != near[1]]
    connection.execute(f"UPDATE kinds SET w = {Q} WHERE kind = 1; ANALYZE kinds")
    joined = "UPDATE items SET tag = k.name FROM kinds k WHERE k.kind = 1 AND items.v <-> k.w < 0.6 RETURNING id, k.kind"
    now = sorted(row[0] for row in connection.execute(f"SELECT id FROM items WHERE {D} < 0.6"))
    assert sorted(waits_for(cluster, joined, f"UPDATE items SET {far} WHERE id = {near[3]}", other)) == \
        [(id, 1) for id in now if id != near[3]]
    limited = f"SELECT id, tag FROM items WHERE tag <> 'taken' ORDER BY {D} LIMIT 3 FOR UPDATE"
    first = [row[0] for row in connection.execute(f"SELECT id FROM items ORDER BY {D} LIMIT 4")]
    assert sorted(id for id, _ in waits_for(
        cluster, limited, f"UPDATE items SET tag = 'taken' WHERE id = {first[1]}", other)) == sorted(first[:1] + first[2:])


def test_rows_under_a_cursor(two):
    """WHERE CURRENT OF finds the row that was fetched last, whichever way it came."""
    _, connection = two
    connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    connection.commit()
    for query, table in (
            (f"SELECT id FROM items WHERE kind < 50 ORDER BY {D} LIMIT 9", "items"),
            (f"SELECT id, v FROM items WHERE kind % 100 = 7 ORDER BY {D} LIMIT 30", "items"),
            (f"SELECT tag, id + 0, id FROM items WHERE kind < 50 ORDER BY {D}", "items"),
            (f"SELECT id FROM items WHERE kind < 50 ORDER BY {D} LIMIT 9 FOR UPDATE", "items"),
            (f"SELECT id FROM items WHERE kind % 100 = 7 ORDER BY {D} FOR UPDATE SKIP LOCKED", "items"),
            (f"SELECT id FROM items WHERE {D} < 0.7", "items"),
            (f"SELECT id FROM items WHERE {D} < 0.7 FOR NO KEY UPDATE", "items"),
            (f"SELECT i.id FROM items i JOIN kinds k USING (kind) ORDER BY {D} LIMIT 9 FOR UPDATE OF i", "items"),
            (f"SELECT id FROM ancestors WHERE {D} < 0.7", "ancestors"),
            (f"SELECT id FROM parts WHERE {D} < 0.7", "parts"),
            (f"SELECT id FROM parts WHERE kind < 50 ORDER BY {D} LIMIT 9 FOR UPDATE", "parts"),
            (f"SELECT id FROM parts WHERE id < 300 AND kind < 50 ORDER BY {D} LIMIT 9", "parts_1")):
        connection.execute("DECLARE c CURSOR FOR " + query)
        assert "Vector" in str(connection.execute("EXPLAIN " + query).fetchall()), query
        changed = []
        for step in (1, 3, 1):
            row = connection.execute(f"FETCH {step} FROM c").fetchall()[-1]
            [[id]] = connection.execute(f"UPDATE {table} SET kind = kind WHERE CURRENT OF c RETURNING id").fetchall()
            assert id in row, query
            changed.append(id)
        connection.execute("FETCH 1 FROM c")
        [[id]] = connection.execute(f"DELETE FROM {table} WHERE CURRENT OF c RETURNING id").fetchall()
        assert len({id, *changed}) == 4, query
        # What the cursor returns is what was there when it was opened.
        rest = connection.execute("FETCH ALL FROM c").fetchall()
        assert not {id, *changed} & {value for row in rest for value in row if isinstance(value, int)}, query
        connection.rollback()


def test_row_security(two):
    """A function of the query's sees no row that a policy hides, by any plan."""
    connection, _ = two
    connection.execute("""
        CREATE TABLE looked (id integer);
        CREATE FUNCTION looks(integer) RETURNS boolean COST 0.0001 LANGUAGE plpgsql
            AS 'BEGIN INSERT INTO looked VALUES ($1); RETURN true; END';
        CREATE FUNCTION measures(float8, integer) RETURNS boolean COST 0.0001 LANGUAGE plpgsql
            AS 'BEGIN INSERT INTO looked VALUES ($2); RETURN $1 < 0.8; END';
        CREATE INDEX ON items USING hnsw (v vector_l2_ops, kind) WITH (ef_search = 1000);
        CREATE ROLE reader; GRANT SELECT ON items TO reader; GRANT ALL ON looked TO reader;
        ALTER TABLE items ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON items TO reader USING (kind % 3 = 1 AND kind <> 4);
        SET ROLE reader""")
    for where in ("looks(id)", f"measures({D}, id)", "looks(id) AND kind % 100 = 7", f"{D} < 0.9 AND looks(id)",
                  "kind = 7 AND looks(id)", "looks(id) OR kind = 7"):
        for rest in (f"ORDER BY {D} LIMIT 9", f"ORDER BY {D}", ""):
            query = f"SELECT id, kind FROM items WHERE v IS NOT NULL AND ({where}) {rest}"
            found = connection.execute(query).fetchall()
            assert found and all(kind % 3 == 1 and kind != 4 for _, kind in found), query
            connection.execute("SET enable_indexscan = off")
            assert sorted(found) == sorted(connection.execute(query).fetchall()), query
            connection.execute("RESET enable_indexscan")
    looked = {id for [id] in connection.execute("SELECT id FROM looked")}
    connection.execute("RESET ROLE")
    hidden = {id for [id] in connection.execute("SELECT id FROM items WHERE kind % 3 <> 1 OR kind = 4")}
    assert looked and not looked & hidden


def test_thresholds_that_only_the_executor_knows(two):
    """Among them those that no row passes, and those that all pass, in a plan for any of them."""
    connection, _ = two
    connection.execute("SET plan_cache_mode = force_generic_plan")
    connection.execute(f"PREPARE within (float8, bigint) AS SELECT id FROM items WHERE {D} < $1 ORDER BY {D} LIMIT $2")
    connection.execute(f"PREPARE beyond (float8) AS SELECT count(*), sum(id) FROM items WHERE {D} >= $1")
    connection.execute(f"PREPARE kinds_within (float8, integer) AS SELECT id FROM items WHERE {D} <= $1 AND kind = $2 ORDER BY {D}")
    assert "VectorSearch" in str(connection.execute("EXPLAIN EXECUTE within (0.5, 3)").fetchall())
    asked = [f"within ({bound}, {limit})" for limit in ("3", "0", "NULL", "5000") for bound in
             ("0.7", "NULL", "'Infinity'", "'-Infinity'", "'NaN'", "-1", "0", "2")]
    asked += [f"beyond ({bound})" for bound in ("0.7", "NULL", "'Infinity'", "'NaN'", "-1", "0")]
    asked += [f"kinds_within ({bound}, {kind})" for bound in ("0.7", "NULL", "'NaN'", "9") for kind in ("7", "NULL", "500")]
    answers = []
    for setting in ("enable_seqscan", "enable_indexscan"):
        connection.execute(f"SET {setting} = off")
        # The plans are made again for the setting.
        connection.execute("ANALYZE items")
        answers.append([connection.execute("EXECUTE " + statement).fetchall() for statement in asked])
        connection.execute(f"RESET {setting}")
    for statement, found, wanted in zip(asked, *answers):
        if statement in ("within ('Infinity', NULL)", "within ('NaN', NULL)") or "5000" in statement:
            assert sorted(found) == sorted(wanted), statement
        else:
            assert found == wanted, statement
