"""The next version: a release of dvec that has more objects than this one, made up here, is installed
over it, and databases of both extensions are brought up to it by ALTER EXTENSION ... UPDATE."""

import os
import re
import shutil
import subprocess

import psycopg
import pytest

import cluster as clusters
from cluster import ROOT
from test_300_vector_extension import TABLE, extensions, members, search

CONTROLS = {"dvec": "dvec.control", "vector": "shim/vector.control"}
NOW = {extension: re.search("default_version = '(.*)'", (ROOT / control).read_text())[1]
       for extension, control in CONTROLS.items()}
NEXT = {extension: version + ".1" for extension, version in NOW.items()}

# What the release brings: an object of SQL, one of the library, and another text for one that was there.
ADDED = """
CREATE FUNCTION vector_answer() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 42;
CREATE FUNCTION dvec_simd_again() RETURNS text
    AS 'MODULE_PATHNAME', 'dvec_simd' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON TYPE vector IS 'vector, second edition';
"""
OBJECTS = ("SELECT vector_answer(), dvec_simd_again() = dvec_simd(),"
           " obj_description('vector'::regtype, 'pg_type')")


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A source tree of the next version; its library is this one's."""
    tree = tmp_path_factory.mktemp("release")
    for folder in ("scripts", "shim", "sql"):
        shutil.copytree(ROOT / folder, tree / folder)
    (tree / "dvec.so").symlink_to(ROOT / "dvec.so")
    for extension, control in CONTROLS.items():
        text = (ROOT / control).read_text()
        (tree / control).write_text(text.replace(f"'{NOW[extension]}'", f"'{NEXT[extension]}'"))
    script = tree / f"sql/dvec--{NOW['dvec']}.sql"
    (tree / f"sql/dvec--{NEXT['dvec']}.sql").write_text(script.read_text() + ADDED)
    script.unlink()
    (tree / f"sql/dvec--{NOW['dvec']}--{NEXT['dvec']}.sql").write_text(
        '\\echo Use "ALTER EXTENSION dvec UPDATE" to load this file. \\quit\n' + ADDED)
    return tree


def run(tree, *command):
    return subprocess.run(command, cwd=tree, capture_output=True, text=True)


@pytest.fixture(scope="module")
def next_programs(release):
    """Programs of a server that has the release installed."""
    with open(release / "shim/versions", "a") as versions:
        versions.write(f"{NEXT['vector']} {NEXT['dvec']}\n")
    for command in (["scripts/make-vector-shim", "build/shim"], ["scripts/make-prefix", "prefix"]):
        made = run(release, *command)
        assert made.returncode == 0, made.stderr
    return release / "prefix/bin"


@pytest.fixture
def on_the_next_version(next_programs, monkeypatch):
    """on_the_next_version(cluster): restarts it there."""
    def move(cluster):
        cluster.stop()
        monkeypatch.setattr(clusters, "BIN", next_programs)
        cluster.start()
    return move


def test_a_release_without_its_line_is_not_built(release):
    before = (release / "shim/versions").read_text()
    (release / "shim/versions").write_text((ROOT / "shim/versions").read_text())
    made = run(release, "scripts/make-vector-shim", "build/forgotten")
    assert made.returncode == 1 and f'"{NEXT["vector"]} {NEXT["dvec"]}"' in made.stderr
    (release / "shim/versions").write_text(before)


@pytest.mark.parametrize("created", [["vector"], ["dvec"], ["dvec", "vector"]], ids="+".join)
def test_update(cluster, on_the_next_version, created):
    cluster.sql("CREATE DATABASE shop")
    for extension in created:
        cluster.sql(f"CREATE EXTENSION {extension}", dbname="shop")
    old = extensions(cluster)
    cluster.sql(TABLE, dbname="shop")
    found = search(cluster)
    on_the_next_version(cluster)

    # A database that nobody has updated goes on as it was.
    assert extensions(cluster) == old
    assert search(cluster) == found
    with pytest.raises(psycopg.errors.UndefinedFunction):
        cluster.sql(OBJECTS, dbname="shop")

    for extension in created:
        cluster.sql(f"ALTER EXTENSION {extension} UPDATE", dbname="shop")
    assert extensions(cluster) == {extension: NEXT[extension] for extension in created}
    assert cluster.sql(OBJECTS, dbname="shop") == [(42, True, "vector, second edition")]
    assert search(cluster) == found
    # It has become what a new database gets, and belongs to the extension.
    cluster.sql("CREATE DATABASE new")
    for extension in created:
        cluster.sql(f"CREATE EXTENSION {extension}", dbname="new")
        assert members(cluster, extension, "shop") == members(cluster, extension, "new")
    cluster.sql("DROP TABLE items", dbname="shop")
    cluster.sql(f"DROP EXTENSION {created[0]} CASCADE", dbname="shop")
    assert extensions(cluster) == {}


def test_vector_updated_before_the_extension_it_stands_for(cluster, on_the_next_version):
    cluster.sql("CREATE DATABASE shop")
    for extension in ("dvec", "vector"):
        cluster.sql(f"CREATE EXTENSION {extension}", dbname="shop")
    on_the_next_version(cluster)
    connection = cluster.connect("shop")
    notices = []
    connection.add_notice_handler(lambda notice: notices.append((notice.message_primary, notice.message_hint)))
    connection.execute("ALTER EXTENSION vector UPDATE")
    [(message, hint)] = notices
    assert message.endswith(f"is of version {NOW['dvec']}") and "ALTER EXTENSION dvec UPDATE" in hint
    connection.execute("ALTER EXTENSION dvec UPDATE")
    assert connection.execute("SELECT vector_answer()").fetchall() == [(42,)]


def test_dump_of_the_older_version(cluster, on_the_next_version):
    """A dump names no version: it restores on the next one, whose objects it then has."""
    cluster.sql("CREATE DATABASE shop")
    cluster.sql("CREATE EXTENSION vector", dbname="shop")
    cluster.sql(TABLE, dbname="shop")
    found = search(cluster)
    dump = cluster.program("pg_dump", dbname="shop")
    on_the_next_version(cluster)
    cluster.sql("CREATE DATABASE copy")
    cluster.psql(dbname="copy", stdin=dump)
    assert extensions(cluster, "copy") == {"vector": NEXT["vector"]}
    assert search(cluster, "copy") == found


def test_installed_over_the_older_version(next_programs, tmp_path):
    """Of the older version nothing stays that could be created."""
    tree = next_programs
    while not (tree / "shim").is_dir():
        tree = tree.parent
    for source in (ROOT, tree):
        assert run(source, "scripts/install-vector-shim", "build/shim", tmp_path).returncode == 0
    found = os.listdir(tmp_path)
    assert f"vector--{NOW['vector']}.sql" not in found
    assert {f"vector--{NEXT['vector']}.sql", f"vector--{NOW['vector']}--{NEXT['vector']}.sql",
            "vector.control"} <= set(found)
