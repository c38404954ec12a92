"""The extension named `vector`: for programs and dumps that know no other name."""

import os
import subprocess

import psycopg
import pytest

from cluster import ROOT

CREATE = "CREATE EXTENSION IF NOT EXISTS vector"

TABLE = """
CREATE TABLE items (id integer PRIMARY KEY, v vector(3), h halfvec(3), s sparsevec(3), b bit(3));
INSERT INTO items SELECT i, v, v, v, binary_quantize(v)
    FROM generate_series(1, 60) i, LATERAL (SELECT ARRAY[i, i % 7 - 3, -1]::real[]::vector(3)) AS d (v);
CREATE INDEX ON items USING hnsw (v vector_l2_ops);
CREATE INDEX ON items USING hnsw (h halfvec_cosine_ops);
CREATE INDEX ON items USING hnsw (s sparsevec_ip_ops);
CREATE INDEX ON items USING hnsw (b bit_hamming_ops);
"""
NEAREST = "SELECT id FROM items ORDER BY v <-> '[17,0,-1]' LIMIT 3"


@pytest.fixture
def database(make_cluster):
    """A cluster with an empty database `shop`."""
    cluster = make_cluster()
    cluster.sql("CREATE DATABASE shop")
    return cluster


def extensions(cluster, dbname="shop"):
    return dict(cluster.sql("SELECT extname, extversion FROM pg_extension WHERE extname <> 'plpgsql'",
                            dbname=dbname))


def members(cluster, extension, dbname):
    """What an extension consists of, but for the numbers of its objects."""
    return cluster.sql(
        """SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
           WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
               AND refobjid = (SELECT oid FROM pg_extension WHERE extname = %s) ORDER BY 1""",
        [extension], dbname)


def search(cluster, dbname="shop"):
    with cluster.connect(dbname) as connection:
        connection.execute("SET enable_seqscan = off")
        [[plan]] = connection.execute("EXPLAIN (FORMAT json) " + NEAREST).fetchall()
        assert "items_v_idx" in str(plan)
        return connection.execute(NEAREST).fetchall()


def test_one_statement_is_enough(database):
    database.sql(CREATE, dbname="shop")
    database.sql(CREATE, dbname="shop")
    assert extensions(database) == {"vector": "0.8.6"}
    assert members(database, "vector", "shop") == members(database, "dvec", "postgres")
    database.sql(TABLE, dbname="shop")
    assert search(database)[0] == (17,)
    assert database.sql("SELECT count(*) FROM dvec_indexes", dbname="shop") == [(4,)]
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        database.sql("DROP EXTENSION vector", dbname="shop")
    database.sql("DROP EXTENSION vector CASCADE", dbname="shop")
    assert extensions(database) == {}


def test_dvec_beside_the_extension_vector(database):
    """As SQL and dumps of a database have it that had pgvector and dvec: there is nothing to add."""
    database.sql(CREATE, dbname="shop")
    database.sql(TABLE, dbname="shop")
    database.sql("CREATE EXTENSION dvec", dbname="shop")
    assert members(database, "dvec", "shop") == []
    database.sql("CREATE INDEX by_dvec ON items USING dvec (v vector_l1_ops)", dbname="shop")
    assert search(database)[0] == (17,)
    with pytest.raises(psycopg.errors.DependentObjectsStillExist) as raised:
        database.sql("DROP EXTENSION vector", dbname="shop")
    assert "extension dvec" in raised.value.diag.message_detail
    dump = database.program("pg_dump", dbname="shop")
    database.sql("CREATE DATABASE copy")
    database.psql(dbname="copy", stdin=dump)
    assert extensions(database, "copy") == extensions(database)
    database.sql("DROP EXTENSION dvec", dbname="shop")
    assert search(database)[0] == (17,)


def test_schema(database):
    """As pgvector's: where the user says, and it can be moved."""
    database.sql("CREATE SCHEMA ext", dbname="shop")
    database.sql(CREATE + " WITH SCHEMA ext", dbname="shop")
    assert database.sql("SELECT '[1,2]'::ext.vector::text", dbname="shop") == [("[1,2]",)]
    database.sql("ALTER EXTENSION vector SET SCHEMA public", dbname="shop")
    assert database.sql("SELECT '[1,2]'::vector::text", dbname="shop") == [("[1,2]",)]


def test_beside_the_extension_dvec(database):
    database.sql("CREATE EXTENSION dvec", dbname="shop")
    database.sql(TABLE, dbname="shop")
    database.sql(CREATE, dbname="shop")
    assert extensions(database) == {"dvec": "0.1.0", "vector": "0.8.6"}
    assert search(database)[0] == (17,)
    # Neither can be left behind as an empty promise.
    with pytest.raises(psycopg.errors.DependentObjectsStillExist) as raised:
        database.sql("DROP EXTENSION dvec", dbname="shop")
    assert "extension vector" in raised.value.diag.message_detail
    database.sql("DROP EXTENSION vector", dbname="shop")
    assert search(database)[0] == (17,)


def test_beside_the_extension_dvec_elsewhere(database):
    database.sql("CREATE SCHEMA ext; CREATE EXTENSION dvec SCHEMA ext", dbname="shop")
    connection = database.connect("shop")
    notices = []
    connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    connection.execute(CREATE)
    assert notices == ['type vector is in schema "ext", where extension dvec is']


@pytest.mark.parametrize("how", ["vector", "dvec", "both"])
def test_dump_and_restore(database, how):
    created = {"vector": [CREATE], "dvec": ["CREATE EXTENSION dvec"],
               "both": ["CREATE EXTENSION dvec", CREATE]}[how]
    for statement in created:
        database.sql(statement, dbname="shop")
    database.sql(TABLE, dbname="shop")
    plain = database.program("pg_dump", dbname="shop")
    found = {name for name in ("vector", "dvec") if f"CREATE EXTENSION IF NOT EXISTS {name} " in plain}
    assert found == set(extensions(database))
    custom = database.home / "shop.dump"
    database.program("pg_dump", "-Fc", "-f", str(custom), dbname="shop")
    rows = "SELECT id, v::text, h::text, s::text, b FROM items ORDER BY id"
    for number, restore in enumerate((
            lambda name: database.psql(dbname=name, stdin=plain),
            lambda name: database.program("pg_restore", "-e", "-d", name, str(custom)),
            lambda name: database.program("pg_restore", "-e", "-j2", "-d", name, str(custom)))):
        database.sql(f"CREATE DATABASE copy{number}")
        restore(f"copy{number}")
        assert extensions(database, f"copy{number}") == extensions(database)
        assert database.sql(rows, dbname=f"copy{number}") == database.sql(rows, dbname="shop")
        assert search(database, f"copy{number}") == search(database)


# ---- installing it ----

def install(folder):
    return subprocess.run([ROOT / "scripts/install-vector-shim", ROOT / "build/shim", folder],
                          capture_output=True, text=True)


def test_install_twice(tmp_path):
    for _ in range(2):
        assert install(tmp_path).returncode == 0
        assert sorted(os.listdir(tmp_path)) == ["vector--0.8.6.sql", "vector.control"]


@pytest.mark.parametrize("name", ["vector.control", "vector--0.8.1.sql"])
def test_install_refuses_to_overwrite_another(tmp_path, name):
    (tmp_path / name).write_text("default_version = '0.8.1'\nmodule_pathname = '$libdir/vector'\n")
    result = install(tmp_path)
    assert result.returncode == 1
    assert "another extension named vector" in result.stderr and str(tmp_path / name) in result.stderr
    assert os.listdir(tmp_path) == [name]


def test_plain_install_leaves_it_out():
    """`make install` may run on a server that has pgvector."""
    result = subprocess.run(["make", "-n", "install", "with_llvm=no"], cwd=ROOT, capture_output=True,
                            text=True, check=True)
    assert "dvec.control" in result.stdout
    assert "vector.control" not in result.stdout and "shim" not in result.stdout
