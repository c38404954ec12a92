"""A dump of a pgvector database is restored, and what is dumped then is the same text: every type,
expression, option and value came through. Dumps of dvec's own make the round trip as well."""

import pathlib
import re
import subprocess

import pytest

PGVECTOR_DUMP = pathlib.Path(__file__).parent / "dumps/pgvector.sql"

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
