"""dvec's access method on pgvector's own types: what becomes of it when either extension, the database or the
server is changed, dumped, killed."""

import os
import threading

import numpy as np
import psycopg
import pytest

import answers
import pgvector_beside
import vectors

ROWS = vectors.clustered(3000, 24, seed=363)
QUERIES = vectors.clustered(20, 24, seed=364)
TYPED = """
CREATE TABLE typed (id integer PRIMARY KEY, v vector(6), h halfvec(6), s sparsevec(6), b bit(24));
INSERT INTO typed SELECT i, v, v, v, (i * 2654435761 % 16777216)::bit(24)
    FROM generate_series(1, 300::bigint) i, LATERAL (SELECT ARRAY[i % 37 - 18, i % 7 - 3, -1, i % 5, i % 11,
        i / 100.0]::real[]::vector(6)) AS d (v);
"""
CLASSES = [(column, f"{name}_{metric}_ops", operator)
           for column, name in (("v", "vector"), ("h", "halfvec"), ("s", "sparsevec"))
           for metric, operator in (("l2", "<->"), ("ip", "<#>"), ("cosine", "<=>"), ("l1", "<+>"))]
CLASSES += [("b", "bit_hamming_ops", "<~>"), ("b", "bit_jaccard_ops", "<%>")]

pytestmark = pgvector_beside.needs_pgvector


@pytest.fixture
def beside(make_cluster):
    return make_cluster(beside=True)


def make_items(connection, rows=ROWS):
    connection.execute(f"CREATE TABLE items (id integer, v vector({rows.shape[1]}))")
    vectors.copy_in(connection, "items", 0, rows)
    connection.execute("CREATE INDEX ours ON items USING dvec (v vector_l2_ops)")


def extensions(cluster, dbname="postgres"):
    return {name for [name] in cluster.sql("SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'",
                                           dbname=dbname)}


def check_nearest(connection, table="items", queries=QUERIES):
    """The index gives what the exact search does, distances to the last bit."""
    answers.force_index(connection)
    for query in queries:
        statement = f"SELECT id, v <-> %(q)s::vector FROM {table} ORDER BY v <-> %(q)s::vector LIMIT 10"
        parameters = {"q": vectors.text(query)}
        answers.check_plan(connection, statement, parameters)
        found = connection.execute(statement, parameters).fetchall()
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL enable_indexscan = off")
            exact = connection.execute(statement, parameters).fetchall()
        assert [distance for _, distance in found] == [distance for _, distance in exact]


def test_three_commands(beside):
    """After the restart with dvec preloaded: the extension, the index on a live table, the question."""
    beside.sql("CREATE DATABASE shop")
    connection = beside.connect("shop")
    connection.execute("CREATE EXTENSION vector")
    connection.execute("CREATE TABLE items (id integer, v vector(24))")
    vectors.copy_in(connection, "items", 0, ROWS)
    connection.execute("CREATE EXTENSION dvec")
    connection.execute("CREATE INDEX CONCURRENTLY ours ON items USING dvec (v vector_l2_ops)")
    check_nearest(connection)
    # Types, but for those that views have.
    assert connection.execute(
        "SELECT count(*) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'dvec' "
        "JOIN pg_type t ON t.oid = d.objid AND t.typtype = 'b' AND t.typcategory <> 'A' "
        "WHERE d.deptype = 'e' AND d.classid = 'pg_type'::regclass").fetchall() == [(0,)]
    assert connection.execute('SELECT index::text, "table"::text, state FROM dvec_indexes').fetchall() == [
        ("ours", "items", "ready")]
    assert connection.execute("SELECT * FROM dvec_check('ours')").fetchall() == []


def test_every_class(beside):
    connection = beside.connect()
    connection.execute(TYPED)
    for column, opclass, operator in CLASSES:
        connection.execute(f"CREATE INDEX ours ON typed USING dvec ({column} {opclass}) WITH (m = 8)")
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET enable_sort = off")
        for row in (3, 150):
            query = f"(SELECT {column} FROM typed WHERE id = {row})"
            [[value]] = connection.execute(f"SELECT {query}::text").fetchall()
            distance = f"{column} {operator} '{value}'"
            for text in (f"SELECT {distance} AS d FROM typed ORDER BY {distance} LIMIT 20",
                         f"SELECT count(*), max({distance}) FROM typed WHERE {distance} < "
                         f"(SELECT {distance} FROM typed WHERE id = 77)",
                         f"SELECT {distance} AS d, count(*) FROM typed GROUP BY 1 ORDER BY 1",
                         f"SELECT id, 1 - ({distance}) FROM typed ORDER BY 1 - ({distance}) DESC, id LIMIT 9"):
                plan = answers.plan_of(connection, text)
                assert "using ours" in plan, plan
                found = connection.execute(text).fetchall()
                with connection.transaction(force_rollback=True):
                    connection.execute("SET LOCAL enable_indexscan = off")
                    assert found == connection.execute(text).fetchall(), text
        connection.execute("DROP INDEX ours")
        connection.execute("RESET ALL")


def test_partial_expression_and_partitioned(beside):
    connection = beside.connect()
    connection.execute("CREATE TABLE items (id integer, v vector(24), grp integer) PARTITION BY LIST (grp)")
    for group in (0, 1):
        connection.execute(f"CREATE TABLE items_{group} PARTITION OF items FOR VALUES IN ({group})")
    connection.execute("CREATE TABLE loaded (id integer, v vector(24))")
    vectors.copy_in(connection, "loaded", 0, ROWS)
    connection.execute("INSERT INTO items SELECT id, v, id % 2 FROM loaded")
    connection.execute("CREATE INDEX ON items USING dvec (v vector_l2_ops)")
    check_nearest(connection)
    connection.execute("CREATE INDEX part ON loaded USING dvec ((v::halfvec(24)) halfvec_cosine_ops) WHERE id < 500")
    statement = ("SELECT id FROM loaded WHERE id < 500 ORDER BY v::halfvec(24) <=> "
                 f"'{vectors.text(QUERIES[0])}'::halfvec LIMIT 10")
    answers.check_plan(connection, statement)
    found = connection.execute(statement).fetchall()
    connection.execute("SET enable_indexscan = off")
    connection.execute("SET enable_seqscan = on")
    assert found == connection.execute(statement).fetchall()


def test_on_a_live_table(beside):
    """CREATE INDEX CONCURRENTLY while others write, then both indexes, then either alone."""
    connection = beside.connect()
    connection.execute("CREATE TABLE items (id integer, v vector(24))")
    vectors.copy_in(connection, "items", 0, ROWS)
    connection.execute("CREATE INDEX theirs ON items USING hnsw (v vector_l2_ops)")
    stop = threading.Event()
    failed = []

    def write(number):
        random = np.random.default_rng(number)
        with beside.connect_for_thread() as session:
            for step in range(10_000):
                if stop.is_set():
                    return
                row = ROWS[random.integers(len(ROWS))] + random.normal(size=24).astype(np.float32)
                try:
                    session.execute("INSERT INTO items VALUES (%s, %s)",
                                    [100_000 * number + step, vectors.text(row)])
                    session.execute("DELETE FROM items WHERE id = %s", [int(random.integers(len(ROWS)))])
                except psycopg.Error as error:
                    failed.append(error)
                    return

    writers = [threading.Thread(target=write, args=(number,)) for number in (1, 2)]
    for writer in writers:
        writer.start()
    try:
        connection.execute("CREATE INDEX CONCURRENTLY ours ON items USING dvec (v vector_l2_ops)")
        connection.execute("REINDEX INDEX CONCURRENTLY ours")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert not failed
    connection.execute("VACUUM ANALYZE items")
    statement = f"SELECT id FROM items ORDER BY v <-> '{vectors.text(QUERIES[0])}' LIMIT 10"
    assert "using ours" in answers.plan_of(connection, statement)
    assert connection.execute("SELECT * FROM dvec_check('ours')").fetchall() == []
    connection.execute("DROP INDEX theirs")
    answers.check_complete(connection, "items", QUERIES[0])
    check_nearest(connection)
    connection.execute("CREATE INDEX theirs ON items USING hnsw (v vector_l2_ops)")
    connection.execute("DROP INDEX ours")
    assert "using theirs" in answers.plan_of(connection, statement)
    assert connection.execute("SELECT * FROM dvec_indexes").fetchall() == []


def test_compared_with_the_index_of_pgvector(beside):
    connection = beside.connect()
    make_items(connection)
    connection.execute("CREATE INDEX theirs ON items USING hnsw (v vector_l2_ops)")
    connection.execute("CREATE INDEX lists ON items USING ivfflat (v vector_l2_ops) WITH (lists = 20)")
    connection.execute("CREATE INDEX other ON items USING hnsw (v vector_cosine_ops)")
    for index in ("ours", "theirs"):
        found = {}
        for name, setting, value, recall, _, plan in connection.execute(
                f"SELECT * FROM dvec_compare('{index}', 20)").fetchall():
            assert plan.startswith(f"Index Scan using {name} on items  (cost=")
            found.setdefault((name, setting), []).append((value, recall))
        assert set(found) == {("ours", "dvec.ef_search"), ("theirs", "hnsw.ef_search"), ("lists", "ivfflat.probes")}
        for values in found.values():
            assert values == sorted(values) and values[-1][1] > 0.98
    # Nothing is left of it in the session.
    for setting, value in (("dvec.measured_index", ""), ("hnsw.ef_search", "40"), ("enable_seqscan", "on")):
        assert connection.execute(f"SHOW {setting}").fetchall() == [(value,)]


def test_pgvector_where_dvec_has_types(make_cluster):
    """The other order: the error says what to do."""
    cluster = make_cluster(**pgvector_beside.settings())
    with pytest.raises(psycopg.errors.DuplicateObject) as raised:
        cluster.sql("CREATE EXTENSION vector")
    assert "create extension \"vector\" first" in raised.value.diag.message_hint
    cluster.sql("CREATE SCHEMA elsewhere")
    with pytest.raises(psycopg.errors.DuplicateObject) as raised:
        cluster.sql("CREATE EXTENSION vector SCHEMA elsewhere")
    assert "create extension \"vector\" first" in raised.value.diag.message_hint
    cluster.sql("CREATE DATABASE new")
    for _ in range(2):
        cluster.sql("CREATE EXTENSION IF NOT EXISTS vector", dbname="new")
        cluster.sql("CREATE EXTENSION IF NOT EXISTS dvec", dbname="new")
    assert extensions(cluster, "new") == {"vector", "dvec"}


def test_settings_of_pgvector(beside):
    """Those count that somebody has set, before or after the library that has them is loaded; its defaults
    do not."""
    make_items(beside.connect())
    text = f"SELECT id FROM items ORDER BY v <-> '{vectors.text(QUERIES[0])}'"
    # Not by a VectorSearch, which reads all rows of a query without LIMIT.
    counted = f"SELECT count(*) FROM ({text} LIMIT 100) AS s"

    def count(*settings):
        connection = beside.connect()
        connection.execute("SET enable_seqscan = off")
        for setting in settings:
            connection.execute(setting)
        assert "Index Scan using ours" in answers.plan_of(connection, counted)
        [[found]] = connection.execute(counted).fetchall()
        return found

    load = "SELECT '[1]'::vector"
    assert count() == count(load) == 100
    for order in ([0, 1], [1, 0]):
        steps = [load, "SET hnsw.iterative_scan = off"]
        assert count(*(steps[i] for i in order), "SET hnsw.ef_search = 7") == 7
    assert count(load, "SET hnsw.iterative_scan = off", "RESET hnsw.iterative_scan") == 100
    assert count(load, "SET hnsw.iterative_scan = off", "SET dvec.ef_search = 9") == 9
    assert count(load, "SET hnsw.iterative_scan = off", "SET dvec.iterative_scan = complete") == 100
    beside.sql("ALTER DATABASE postgres SET hnsw.iterative_scan = off")
    beside.sql("ALTER ROLE postgres SET dvec.ef_search = 11")
    assert count() == count(load) == 11
    connection = beside.connect()
    connection.execute(load)
    # They are pgvector's, and checked as such.
    assert connection.execute("SELECT min_val FROM pg_settings WHERE name = 'hnsw.ef_search'").fetchall() == [("1",)]
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        connection.execute("SET hnsw.iterative_scan = complete")


def test_dependencies(beside):
    connection = beside.connect()
    make_items(connection)
    with pytest.raises(psycopg.errors.DependentObjectsStillExist) as raised:
        connection.execute("DROP EXTENSION vector")
    assert "extension dvec depends on extension vector" in raised.value.diag.message_detail
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        connection.execute("DROP EXTENSION dvec")
    # The schema of either can be changed; nothing is found by its name.
    connection.execute("CREATE SCHEMA types")
    connection.execute("CREATE SCHEMA tools")
    connection.execute("ALTER EXTENSION vector SET SCHEMA types")
    connection.execute("ALTER EXTENSION dvec SET SCHEMA tools")
    connection.execute("SET search_path = public, types, tools")
    check_nearest(connection)
    assert connection.execute("SELECT * FROM dvec_check('ours')").fetchall() == []
    [[best]] = connection.execute("SELECT max(recall) FROM dvec_recall('ours', 10)").fetchall()
    assert best >= 0.99
    connection.execute("REINDEX INDEX ours")
    check_nearest(connection)
    connection.execute("ALTER EXTENSION vector UPDATE")
    connection.execute("DROP EXTENSION dvec CASCADE")
    # What was pgvector's is as it was.
    assert connection.execute("SELECT count(*) FROM items").fetchall() == [(len(ROWS),)]
    connection.execute("CREATE INDEX theirs ON items USING hnsw (v vector_l2_ops)")
    connection.execute("DROP INDEX theirs")
    connection.execute("CREATE EXTENSION dvec SCHEMA tools")
    connection.execute("CREATE INDEX ours ON items USING dvec (v vector_l2_ops)")
    check_nearest(connection)
    connection.execute("DROP EXTENSION vector CASCADE")
    assert extensions(beside) == set()


def test_template(beside):
    """A database made from this one has both."""
    make_items(beside.connect())
    beside.forget_connections()
    for strategy in ("WAL_LOG", "FILE_COPY"):
        beside.sql(f"CREATE DATABASE copy TEMPLATE postgres STRATEGY {strategy}", dbname="template1")
        check_nearest(beside.connect("copy"))
        beside.forget_connections()
        beside.sql("DROP DATABASE copy", dbname="template1")


@pytest.mark.parametrize("how", ["plain", "custom"])
def test_dump_and_restore(beside, how):
    make_items(beside.connect())
    beside.sql("CREATE INDEX theirs ON items USING hnsw (v vector_cosine_ops)")
    beside.sql("CREATE DATABASE copy")
    if how == "plain":
        dump = beside.program("pg_dump")
        assert dump.index("NOT EXISTS vector") < dump.index("NOT EXISTS dvec")
        beside.psql(dbname="copy", stdin=dump)
    else:
        file = beside.home / "dump"
        beside.program("pg_dump", "-Fc", "-f", str(file))
        beside.program("pg_restore", "-e", "-j2", "-d", "copy", str(file))
    assert extensions(beside, "copy") == {"vector", "dvec"}
    check_nearest(beside.connect("copy"))
    assert beside.sql("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1") == \
        beside.sql("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1", dbname="copy")


def test_dump_to_a_server_of_the_other_kind(beside, make_cluster):
    """Without dvec the table and pgvector's index come over. With dvec's own extension `vector`, all of it does."""
    make_items(beside.connect())
    beside.sql("CREATE INDEX theirs ON items USING hnsw (v vector_l2_ops)")
    dump = beside.program("pg_dump")
    without = make_cluster(beside=True, shared_preload_libraries="")
    without.sql("CREATE DATABASE copy")
    # As a server that has no such extension.
    lacking = dump.replace("EXISTS dvec ", "EXISTS dvec_is_not_here ").replace("EXTENSION dvec ", "EXTENSION no_dvec ")
    without.psql("-v", "ON_ERROR_STOP=0", dbname="copy", stdin=lacking)
    assert extensions(without, "copy") == {"vector"}
    assert without.sql("SELECT count(*) FROM items", dbname="copy") == [(len(ROWS),)]
    assert without.sql("SELECT indexname FROM pg_indexes WHERE tablename = 'items'", dbname="copy") == [("theirs",)]
    if pgvector_beside.stands_for_shim():
        return
    own = make_cluster()
    own.sql("CREATE DATABASE copy")
    own.psql(dbname="copy", stdin=dump)
    assert extensions(own, "copy") == {"vector", "dvec"}
    connection = own.connect("copy")
    assert {name for [name] in connection.execute("SELECT index::text FROM dvec_indexes")} == {"ours", "theirs"}
    check_nearest(connection)


def test_killed_while_rows_come(beside):
    connection = beside.connect()
    make_items(connection)
    random = np.random.default_rng(365)
    for _ in range(3):
        more = vectors.clustered(400, 24, seed=int(random.integers(1 << 30)))
        connection = beside.connect()
        [[first]] = connection.execute("SELECT max(id) + 1 FROM items").fetchall()
        vectors.copy_in(connection, "items", first, more)
        connection.execute("DELETE FROM items WHERE id %% 50 = %s", [int(random.integers(50))])
        beside.kill()
        beside.start()
        connection = beside.connect()
        answers.check_complete(connection, "items", QUERIES[0])
        check_nearest(connection, queries=QUERIES[:5])
        assert connection.execute("SELECT * FROM dvec_check('ours')").fetchall() == []


def test_lost_files_are_made_anew(beside):
    connection = beside.connect()
    make_items(connection)
    folder = beside.folder_of("ours")
    beside.stop()
    for name in os.listdir(folder):
        os.unlink(folder / name)
    beside.start()
    connection = beside.connect()
    answers.check_complete(connection, "items", QUERIES[0])
    check_nearest(connection)


def test_order_of_neighbours_that_rounding_confuses(beside):
    """Rows as near to each other as rounding goes: kernels and operator order them differently, and every plan
    must answer as the operator does."""
    random = np.random.default_rng(366)
    centre = random.normal(size=200)
    rows = (centre + 1e-3 * random.normal(size=(2000, 200))).astype(np.float32)
    query = (centre + random.normal(size=200)).astype(np.float32)
    connection = beside.connect()
    make_items(connection, rows)
    connection.execute("DROP INDEX ours")
    for opclass, operator in (("vector_l2_ops", "<->"), ("vector_ip_ops", "<#>"), ("vector_cosine_ops", "<=>"),
                              ("vector_l1_ops", "<+>")):
        connection.execute(f"CREATE INDEX ours ON items USING dvec (v {opclass})")
        answers.force_index(connection)
        distance = f"v {operator} '{vectors.text(query)}'"
        for text in (f"SELECT {distance} FROM items ORDER BY {distance} LIMIT 60",
                     f"SELECT {distance} FROM items WHERE id % 3 = 0 ORDER BY {distance} LIMIT 60",
                     f"SELECT {distance} FROM items WHERE {distance} <= "
                     f"(SELECT {distance} FROM items ORDER BY {distance} OFFSET 50 LIMIT 1) ORDER BY 1",
                     f"SELECT {distance} FROM items ORDER BY {distance} FETCH FIRST 40 ROWS WITH TIES"):
            assert "using ours" in answers.plan_of(connection, text)
            found = connection.execute(text).fetchall()
            assert found == sorted(found)
            with connection.transaction(force_rollback=True):
                connection.execute("SET LOCAL enable_indexscan = off")
                exact = connection.execute(text).fetchall()
            # A LIMIT alone may miss a row now and then.
            if "TIES" in text or "WHERE v" in text:
                assert found == exact
            assert len(set(found) & set(exact)) >= 0.9 * len(exact)
        connection.execute("DROP INDEX ours")


def test_sparse_vectors_that_are_cut(beside):
    """Where the index has room for some elements only, what pgvector's operator says of the table's rows counts."""
    connection = beside.connect()
    random = np.random.default_rng(365)
    connection.execute("CREATE TABLE cut (id integer PRIMARY KEY, s sparsevec(400))")
    rows = []
    for i in range(600):
        values = np.where(random.random(400) < random.uniform(0.01, 0.2), random.normal(size=400), 0)
        values[random.choice(400, 5, replace=False)] += random.integers(1, 9)
        rows.append("{" + ",".join(f"{at + 1}:{value:.5f}" for at, value in enumerate(values) if value) + "}/400")
        connection.execute("INSERT INTO cut VALUES (%s, %s)", [i, rows[-1]])
    for metric, operator in (("l2", "<->"), ("ip", "<#>"), ("cosine", "<=>"), ("l1", "<+>")):
        connection.execute(f"CREATE INDEX ours ON cut USING dvec (s sparsevec_{metric}_ops) WITH (nonzeros = 32)")
        answers.force_index(connection)
        hits = 0
        for query in rows[::60]:
            statement = f"SELECT id, s {operator} %(q)s::sparsevec FROM cut ORDER BY s {operator} %(q)s::sparsevec LIMIT 10"
            answers.check_plan(connection, statement, {"q": query})
            found = connection.execute(statement, {"q": query}).fetchall()
            with connection.transaction(force_rollback=True):
                connection.execute("SET LOCAL enable_indexscan = off")
                exact = connection.execute(statement, {"q": query}).fetchall()
            assert [distance for _, distance in found] == sorted(distance for _, distance in found)
            hits += len(set(found) & set(exact))
        assert hits >= 95
        connection.execute("DROP INDEX ours")
