"""A dump of a pgvector database is restored, and what is dumped then is the same text: every type,
expression, option and value came through. Dumps of dvec's own make the round trip as well."""

import contextlib
import pathlib
import re
import subprocess

import psycopg
import pytest

PGVECTOR_DUMP = pathlib.Path(__file__).parent / "dumps/pgvector.sql"
# Made with pg_dump --create: it says itself which database it is of.
SURFACE_DUMP = pathlib.Path(__file__).parent / "dumps/pgvector_surface.sql"
# What pg_dumpall --globals-only had to say beside it.
SURFACE_ROLES = """CREATE ROLE searcher LOGIN; ALTER ROLE searcher SET "hnsw.ef_search" TO '200';"""

# (the query, the index that has to answer it); the numbers are the distances, which have no ties
# among the first ones.
SEARCHES = [
    ("SELECT embedding <-> '[5.2,1.1,2]' FROM items", "items_l2"),
    ("SELECT embedding <#> '[5.2,1.1,2]' FROM items", "items_ip"),
    ("SELECT embedding <=> '[5.2,1.1,2]' FROM items WHERE id <> 42", "items_cosine"),
    ("SELECT embedding <+> '[5.2,1.1,2]' FROM items", "items_l1"),
    ("SELECT half <-> '[5,1,2]' FROM items", "items_half"),
    ("SELECT sparse <-> '{1:7.25,3:1}/5' FROM items", "items_sparse"),
    ("SELECT bits <~> '1010' FROM items", "items_hamming"),
    ("SELECT bits <%> '1010' FROM items", "items_jaccard"),
    ("SELECT embedding::halfvec(3) <=> '[5,1,2]'::halfvec FROM items WHERE id <> 42", "items_as_half"),
    ("SELECT binary_quantize(embedding)::bit(3) <~> '101' FROM items", "items_quantized"),
    ("SELECT subvector(embedding, 1, 2)::vector(2) <-> '[5.2,1.1]' FROM items", "items_part"),
    ("SELECT embedding <-> '[5.2,1.1,2]' FROM items WHERE tenant = 1", "items_tenant_1"),
    ("SELECT normal <#> '[0.6,0.1,0.2]' FROM items", "items_normal"),
    ("SELECT embedding <-> '[11.2,3,1]' FROM events", "events_2_embedding_idx"),
    ("SELECT centre <-> '[5,1,2]' FROM centres", "centres_l2"),
]


def essence(dump):
    """A dump without comments, blank lines and what the program that wrote it says of itself."""
    body = dump[dump.index("CREATE EXTENSION"):]
    return [line for line in body.splitlines()
            if line and not line.startswith(("--", "\\restrict", "\\unrestrict"))]


def check_searches(cluster, dbname):
    """Every kind of index answers as the exact scan does."""
    connection = cluster.connect(dbname)
    indexes = {name for name, in connection.execute(
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON oid = indexrelid"
        " WHERE relkind = 'i' AND relam = (SELECT oid FROM pg_am WHERE amname = 'hnsw')").fetchall()}
    assert {index for _, index in SEARCHES} <= indexes
    for query, wanted in SEARCHES:
        query += " ORDER BY 1 LIMIT 5"
        exact = connection.execute("SET enable_indexscan = off; " + query)
        while exact.nextset():
            pass
        exact = exact.fetchall()
        connection.execute("SET enable_indexscan = on; SET enable_seqscan = off; BEGIN")
        # Several indexes could answer some of the queries.
        others = [name for name in indexes if name != wanted and not wanted.startswith("events")]
        connection.execute("UPDATE pg_index SET indisvalid = false"
                           " WHERE indexrelid::regclass::text = ANY(%s)", [others])
        [[plan]] = connection.execute("EXPLAIN (FORMAT json) " + query).fetchall()
        assert f"'Index Name': '{wanted}'" in str(plan), (query, plan)
        assert connection.execute(query).fetchall() == exact, query
        connection.execute("ROLLBACK")
    connection.close()


def restore(cluster, dbname, dump):
    cluster.sql(f"CREATE DATABASE {dbname}")
    cluster.psql(dbname=dbname, stdin=dump)


def test_dump_of_pgvector(cluster):
    original = PGVECTOR_DUMP.read_text()
    restore(cluster, "shop", original)
    assert essence(cluster.program("pg_dump", dbname="shop")) == essence(original)
    check_searches(cluster, "shop")
    # As pgvector 0.8.6 answers for the same rows.
    assert cluster.sql("SELECT nearest('[5,1,2]')", dbname="shop") == [(4,), (7,), (6,), (5,), (1,)]
    assert cluster.sql("SELECT tenant, centre::text FROM centres ORDER BY 1", dbname="shop") == [
        (0, "[21,0.6923077,2.625]"), (1, "[19.133333,0.2,2.3916667]"), (2, "[20,-0.3846154,2.5]")]
    assert cluster.sql("SELECT normal::text, signs FROM items WHERE id = 8", dbname="shop") == [
        ("[0.8888889,-0.44444445,0.11111111]", "101")]


def test_dump_into_a_database_with_dvec(cluster):
    """Where somebody was ahead of the dump with CREATE EXTENSION dvec."""
    cluster.sql("CREATE DATABASE shop")
    cluster.sql("CREATE EXTENSION dvec", dbname="shop")
    cluster.psql(dbname="shop", stdin=PGVECTOR_DUMP.read_text())
    check_searches(cluster, "shop")


@pytest.mark.parametrize("extension", ["vector", "dvec"])
def test_own_dump(cluster, extension):
    """Plain and custom, of a database with either extension."""
    restore(cluster, "shop", re.sub(r"EXTENSION (IF NOT EXISTS )?vector", rf"EXTENSION \1{extension}",
                                    PGVECTOR_DUMP.read_text()))
    plain = cluster.program("pg_dump", dbname="shop")
    assert f"CREATE EXTENSION IF NOT EXISTS {extension} " in plain
    custom = cluster.home / "custom"
    cluster.program("pg_dump", "-Fc", "-f", str(custom), dbname="shop")
    restore(cluster, "plain", plain)
    cluster.sql("CREATE DATABASE custom")
    cluster.program("pg_restore", "-e", "-j2", "-d", "custom", str(custom))
    for name in ("plain", "custom"):
        assert essence(cluster.program("pg_dump", dbname=name)) == essence(plain), name
        check_searches(cluster, name)
    if extension == "dvec":
        # As docs/migration.md says it, towards a server that has only `vector`.
        renamed = subprocess.run(
            ["sed", "-E", r"s/^(CREATE EXTENSION IF NOT EXISTS|COMMENT ON EXTENSION) dvec /\1 vector /"],
            input=plain, capture_output=True, text=True, check=True).stdout
        restore(cluster, "renamed", renamed)
        assert essence(cluster.program("pg_dump", dbname="renamed")) == essence(renamed)
        assert essence(renamed) == essence(PGVECTOR_DUMP.read_text())


def test_data_only(cluster):
    """Into tables that are there, with the indexes taking every row."""
    restore(cluster, "shop", PGVECTOR_DUMP.read_text())
    data = cluster.program("pg_dump", "--data-only", "-t", "items", "-t", "events*", dbname="shop")
    cluster.sql("TRUNCATE items, events", dbname="shop")
    cluster.psql(dbname="shop", stdin=data)
    check_searches(cluster, "shop")
    assert essence(cluster.program("pg_dump", dbname="shop")) == essence(PGVECTOR_DUMP.read_text())


def test_binary_copy_between_databases(cluster):
    restore(cluster, "shop", PGVECTOR_DUMP.read_text())
    restore(cluster, "copy", PGVECTOR_DUMP.read_text())
    cluster.sql("TRUNCATE items", dbname="copy")
    columns = "id, tenant, embedding, half, sparse, bits, open, many, towards, two"
    read = cluster.connect("shop").cursor()
    write = cluster.connect("copy").cursor()
    with read.copy(f"COPY (SELECT {columns} FROM items ORDER BY id) TO STDOUT (FORMAT binary)") as rows, \
            write.copy(f"COPY items ({columns}) FROM STDIN (FORMAT binary)") as sink:
        for row in rows:
            sink.write(row)
    assert essence(cluster.program("pg_dump", dbname="copy")) == essence(PGVECTOR_DUMP.read_text())
    check_searches(cluster, "copy")


# ---- every operator class, option and setting ----

# As pgvector 0.8.6 answered, with views, a function and generated columns between.
PGVECTOR_ANSWERS = {
    "SELECT a, b, c, d, e, f, g, h, i, j, k FROM functions WHERE id = 17": [
        (17.36746689215212, 40.5, 0.044525308818361364, 18.875, 5.0, 0.8333333333333334, -18.0625, 23.125,
         0.09355711876600703, 3.0, 0.6)],
    "SELECT l::text, m::text, n::text, o::text, p, q::text, r::text, s::text FROM functions WHERE id = 17": [
        ("[0.9653344,-0.22713752,0.11356876,0.0603334]", "[16,-5,1,0.0625]", "[289,16,4,1.1289062]",
         "[1,2,2,1.0625]", "1011", "[17,0,0,5.25,0,0]", "{1:17,2:-4,3:2,4:1.0625}/4", "[17,3,3,2.125]")],
    "SELECT neighbour, distance FROM searches WHERE id = 30": [(30, 0.0), (32, 2.4622145)],
    "SELECT part, v::text, h::text, different FROM totals ORDER BY 1": [
        (0, "[630,0,60,39.375]", "[31.5,0.15002441,4.1484375,3.9375]", 20),
        (1, "[590,-7,60,36.875]", "[29.5,0.049987793,4.1015625,3.6875]", 20),
        (2, "[610,3,60,38.125]", "[30.5,0.099975586,3.9492188,3.8125]", 20)],
    "SELECT id FROM near('[5,1,2,1]')": [(18,), (16,), (14,)],
}

def settings_in(dump):
    return sorted(line for line in dump.splitlines() if re.match(r"ALTER (DATABASE|ROLE) .* SET ", line))


def vector_indexes(connection):
    """(index, table, expression, operator, condition) of all but the unused table's."""
    return connection.execute(
        """SELECT i.indexrelid::regclass::text, i.indrelid::regclass::text,
                  pg_get_indexdef(i.indexrelid, 1, true), o.oprname,
                  coalesce(pg_get_expr(i.indpred, i.indrelid), 'true')
           FROM pg_index i
           JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i'
           JOIN pg_am a ON a.oid = c.relam AND a.amname IN ('hnsw', 'ivfflat')
           JOIN pg_opclass k ON k.oid = i.indclass[0]
           JOIN pg_amop p ON p.amopfamily = k.opcfamily
           JOIN pg_operator o ON o.oid = p.amopopr
           WHERE i.indrelid <> 'scratch'::regclass ORDER BY 1""").fetchall()


def check_every_index(connection):
    """Each gives the distances of the exact search. Under halfvec_cosine_ops the rows are in the
    order of unit vectors rounded to halves, whose distances differ by less than 0.001."""
    found = vector_indexes(connection)
    for name, table, expression, operator, condition in found:
        [[wanted]] = connection.execute(
            f"SELECT ({expression})::text FROM {table} WHERE {condition} AND ({expression}) IS NOT NULL"
            " ORDER BY 1 DESC LIMIT 1").fetchall()
        query = (f"SELECT {expression} {operator} '{wanted}' FROM {table}"
                 f" WHERE {condition} ORDER BY 1 LIMIT 10")
        with connection.transaction():
            connection.execute("SET LOCAL enable_indexscan = off")
            exact = connection.execute(query).fetchall()
            connection.execute("SET LOCAL enable_indexscan = on; SET LOCAL enable_seqscan = off;"
                               " SET LOCAL enable_sort = off; SET LOCAL hnsw.ef_search = 1000")
            connection.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid <> %s::regclass"
                               " AND indrelid = %s::regclass", [name, table])
            [[plan]] = connection.execute("EXPLAIN (FORMAT json) " + query).fetchall()
            assert f"'Index Name': '{name}'" in str(plan), (query, plan)
            hits = connection.execute(query).fetchall()
            assert [hit[0] for hit in hits] == pytest.approx([row[0] for row in exact], abs=2e-3), query
            raise psycopg.Rollback
    return len(found)


def test_dump_of_every_kind(cluster):
    original = SURFACE_DUMP.read_text()
    cluster.sql(SURFACE_ROLES)
    cluster.psql(stdin=original)
    dump = cluster.program("pg_dump", "--create", "shop")
    assert essence(dump) == essence(original)
    assert settings_in(dump) == settings_in(original)
    roles = cluster.program("pg_dumpall", "--globals-only")
    assert settings_in(roles) == ["""ALTER ROLE searcher SET "hnsw.ef_search" TO '200';"""]

    connection = cluster.connect("shop")
    assert check_every_index(connection) == 31
    for query, answer in PGVECTOR_ANSWERS.items():
        for row, wanted in zip(connection.execute(query).fetchall(), answer, strict=True):
            for value, wanted_value in zip(row, wanted, strict=True):
                if isinstance(wanted_value, float):
                    wanted_value = pytest.approx(wanted_value, rel=1e-6)
                assert value == wanted_value, query
    assert connection.execute("SELECT average(v) = avg(v) FROM points").fetchall() == [(True,)]


def test_settings_of_database_and_role(cluster):
    """They come with the dump and mean what they meant."""
    cluster.sql(SURFACE_ROLES)
    cluster.psql(stdin=SURFACE_DUMP.read_text())
    shown = "SELECT current_setting(name) FROM unnest(%s::text[]) WITH ORDINALITY AS n (name, i) ORDER BY i"
    names = ["hnsw.iterative_scan", "hnsw.max_scan_tuples", "hnsw.scan_mem_multiplier", "hnsw.ef_search",
             "ivfflat.iterative_scan", "ivfflat.probes", "ivfflat.max_probes"]
    for user, values in (
            ("postgres", ["strict_order", "30000", "2", "40", "complete", "10", "20"]),
            ("searcher", ["off", "30000", "2", "200", "relaxed_order", "10", "20"])):
        connection = psycopg.connect(host=str(cluster.home), user=user, dbname="shop", autocommit=True)
        with contextlib.closing(connection):
            # As with pgvector, a session has the settings once it has used one of the types.
            connection.execute("SELECT '[1]'::vector")
            assert [value for value, in connection.execute(shown, [names]).fetchall()] == values, user
            if user == "searcher":
                # "off" of the role: no more than ef_search rows.
                connection.execute("SET hnsw.ef_search = 7; SET enable_seqscan = off; SET enable_sort = off")
                assert len(connection.execute("SELECT id FROM points ORDER BY v <+> '[1,2,3,4]'"
                                              ).fetchall()) == 7
