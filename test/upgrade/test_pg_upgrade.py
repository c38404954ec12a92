"""pg_upgrade from the server of DVEC_OLD_BIN to that of DVEC_PREFIX_BIN, by copy and by links.

The new server has the tables and what is in PostgreSQL's own storage of the indexes, and nothing under
$PGDATA/dvec. Either it builds the indexes anew, or somebody brings it the old server's folder."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cluster"))

import answers  # noqa: E402
import cluster as clusters  # noqa: E402
import pgvector_beside  # noqa: E402
import vectors  # noqa: E402

NEW_BIN = clusters.BIN
OLD_BIN = pathlib.Path(os.environ["DVEC_OLD_BIN"])

ROWS = vectors.clustered(3000, 16, seed=330)
QUERY = ROWS[17] + 0.01

# Some packages of version 15 note a version of their own in the options of columns, which other
# servers' ALTER TABLE does not know.
WITHOUT_VERSIONS = """UPDATE pg_attribute SET attoptions = NULL
                      WHERE attoptions::text LIKE '%pg_attver=%'"""


def use(monkeypatch, programs):
    monkeypatch.setattr(clusters, "BIN", programs)


@pytest.fixture
def home():
    path = pathlib.Path(tempfile.mkdtemp(prefix="dvec-upgrade-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def empty_cluster(home, name, *options):
    clusters.make_template(home / name, *options)
    made = clusters.Cluster(home / name)
    shutil.rmtree(home / name)
    return made


@pytest.fixture
def old(home, monkeypatch):
    """Stopped, with an index that had rows deleted and added, one of another type, one that comes back
    empty after a crash, and an extension in two databases."""
    use(monkeypatch, OLD_BIN)
    made = empty_cluster(home, "old")
    try:
        made.start()
        made.sql("CREATE EXTENSION dvec")
        connection = made.connect()
        vectors.make_table(connection, ROWS[:2000])
        connection.execute("DELETE FROM items WHERE id % 10 = 3")
        connection.execute("VACUUM items")
        vectors.copy_in(connection, "items", 2000, ROWS[2000:])
        connection.execute("""CREATE TABLE halves AS SELECT id, v::halfvec(16) AS v FROM items;
                              CREATE INDEX halves_v_idx ON halves USING hnsw (v halfvec_l2_ops);
                              CREATE UNLOGGED TABLE bits AS SELECT id, binary_quantize(v) AS v FROM items;
                              ALTER TABLE bits ALTER v TYPE bit(16);
                              CREATE INDEX bits_v_idx ON bits USING hnsw (v bit_hamming_ops)""")
        made.sql("CREATE DATABASE shop")
        made.sql("CREATE EXTENSION vector", dbname="shop")
        vectors.make_table(made.connect("shop"), ROWS[:500])
        for dbname in ("postgres", "template1", "shop"):
            made.sql(WITHOUT_VERSIONS, dbname=dbname)
        made.stop()
        yield made
    finally:
        use(monkeypatch, OLD_BIN)
        made.destroy()


def pg_upgrade(home, old, old_programs, new, mode):
    result = subprocess.run(
        [NEW_BIN / "pg_upgrade", "-b", old_programs, "-B", NEW_BIN, "-d", old.data, "-D", new.data,
         "-U", "postgres", "-s", home, f"--{mode}", "--no-sync"],
        cwd=home, capture_output=True, text=True)
    logs = "".join(path.read_text(errors="replace")[-3000:]
                   for path in new.data.glob("pg_upgrade_output.d/*/*/*.log")
                   if result.returncode != 0)
    assert result.returncode == 0, result.stdout + result.stderr + logs
    # It leaves the way free for the folder of the old server.
    assert new.folders() == []


@pytest.fixture
def upgraded(home, old, monkeypatch):
    """upgraded(mode): a stopped cluster of the new version with the old one's contents."""
    made = []

    def upgrade(mode):
        use(monkeypatch, NEW_BIN)
        # Version 18 begins to want checksums; the two must agree.
        new = empty_cluster(home, "new", "--no-data-checksums")
        made.append(new)
        pg_upgrade(home, old, OLD_BIN, new, mode)
        return new

    yield upgrade
    for new in made:
        new.destroy()


def check_answer(cluster, dbname="postgres"):
    """The nearest rows, by whatever plan."""
    connection = cluster.connect(dbname)
    kept = dict(connection.execute("SELECT id, v <-> %s::vector FROM items",
                                   [vectors.text(QUERY)]).fetchall())
    nearest = sorted(kept.values())[:10]
    found = answers.nearest(connection, "items", QUERY, 10)
    assert [distance for _, distance in found] == pytest.approx(nearest)
    assert all(kept[id] == pytest.approx(distance) for id, distance in found)


def check_all(cluster):
    """Every index has every row, and the sidecars are sound. Returns how each was opened."""
    opened = {}
    for dbname, table, operator in (("postgres", "items", "<->"), ("postgres", "halves", "<->"),
                                    ("shop", "items", "<->")):
        connection = cluster.connect(dbname)
        answers.force_index(connection)
        statement = f"SELECT id FROM {table} ORDER BY v {operator} %s::{'halfvec' if table == 'halves' else 'vector'}"
        answers.check_plan(connection, statement, [vectors.text(QUERY)])
        found = [row[0] for row in connection.execute(statement, [vectors.text(QUERY)])]
        assert sorted(found) == sorted(answers.ids_in_table(connection, table)), (dbname, table)
        assert connection.execute(f"SELECT * FROM dvec_check('{table}_v_idx')").fetchall() == []
        opened[dbname, table] = answers.index_state(connection, f"{table}_v_idx")["opened_by"]
    bits = cluster.connect()
    answers.force_index(bits)
    statement = "SELECT id FROM bits ORDER BY v <~> B'1010101010101010'"
    answers.check_plan(bits, statement)
    assert len(bits.execute(statement).fetchall()) == len(answers.ids_in_table(bits, "bits"))
    return opened


def go_on(cluster):
    """Nothing is different about an index that came from elsewhere."""
    connection = cluster.connect()
    connection.execute("DELETE FROM items WHERE id % 10 = 4")
    connection.execute("VACUUM items")
    vectors.copy_in(connection, "items", 5000, ROWS[:300] + 0.5)
    answers.check_complete(connection, "items", QUERY)
    cluster.kill()
    cluster.start()
    answers.check_complete(cluster.connect(), "items", QUERY)


@pytest.mark.parametrize("mode", ["copy", "link"])
def test_built_anew(upgraded, mode):
    new = upgraded(mode)
    new.start()
    check_answer(new)
    check_answer(new, "shop")
    assert set(check_all(new).values()) == {"rebuild"}
    go_on(new)


@pytest.mark.parametrize("mode, bring", [("copy", shutil.copytree), ("link", shutil.move)],
                         ids=["copy", "link"])
def test_taken_over(old, upgraded, mode, bring):
    """The graphs are kept; what is in them is compared with the tables."""
    new = upgraded(mode)
    shutil.rmtree(new.data / "dvec")
    bring(old.data / "dvec", new.data / "dvec")
    new.start()
    check_answer(new)
    check_answer(new, "shop")
    assert set(check_all(new).values()) == {"reconcile"}
    go_on(new)


def test_taken_over_too_late(old, upgraded, monkeypatch):
    """The old server was used again after the upgrade, and its very files were brought: they say that
    they are clean, and have what the new tables have not."""
    new = upgraded("copy")
    use(monkeypatch, OLD_BIN)
    old.start()
    connection = old.connect()
    connection.execute("DELETE FROM items WHERE id < 1000")
    connection.execute("VACUUM items")
    vectors.copy_in(connection, "items", 9000, ROWS[:400] + 0.25)
    answers.check_complete(connection, "items", QUERY)
    old.stop()
    use(monkeypatch, NEW_BIN)
    shutil.rmtree(new.data / "dvec")
    shutil.move(old.data / "dvec", new.data / "dvec")
    new.start()
    check_answer(new)
    assert check_all(new)["postgres", "items"] == "reconcile"


@pgvector_beside.needs_pgvector
def test_beside_pgvector(home, monkeypatch):
    """Between two servers of the new version, which both have pgvector: dvec stays where it was, on its types."""
    use(monkeypatch, NEW_BIN)
    old, new = empty_cluster(home, "old"), empty_cluster(home, "new")
    try:
        for server in (old, new):
            server.configure(**pgvector_beside.settings())
        old.start()
        old.sql("CREATE SCHEMA types")
        old.sql("CREATE EXTENSION vector SCHEMA types")
        old.sql("CREATE EXTENSION dvec")
        old.sql("ALTER DATABASE postgres SET search_path = public, types")
        connection = old.connect()
        connection.execute("CREATE TABLE items (id integer, v vector(16))")
        vectors.copy_in(connection, "items", 0, ROWS)
        connection.execute("CREATE INDEX ours ON items USING dvec (v vector_l2_ops)")
        connection.execute("CREATE INDEX theirs ON items USING hnsw (v vector_cosine_ops)")
        old.stop()
        pg_upgrade(home, old, NEW_BIN, new, "copy")
        new.start()
        connection = new.connect()
        answers.force_index(connection)
        check_answer(new)
        answers.check_complete(connection, "items", QUERY)
        assert connection.execute("SELECT * FROM dvec_check('ours')").fetchall() == []
        assert connection.execute(
            "SELECT pg_describe_object(refclassid, refobjid, 0) FROM pg_depend WHERE deptype = 'n' "
            "AND refclassid = 'pg_extension'::regclass AND objid = (SELECT oid FROM pg_extension "
            "WHERE extname = 'dvec')").fetchall() == [("extension vector",)]
    finally:
        old.destroy()
        new.destroy()
