"""On a standby, an index whose file number belonged to another index before, of which the standby still has
an entry in its registry."""

import subprocess

import pytest

import replicas
import vectors
from cluster import BIN, wait_until
from replicas import check_same, wait_until_followed, wait_until_replayed

DIMENSIONS = 8
ROWS = vectors.clustered(2000, DIMENSIONS, seed=263)


@pytest.fixture
def primary(make_cluster):
    return make_cluster(allow_in_place_tablespaces="on", **replicas.PRIMARY)


def make_standby(standbys, primary):
    """The sweep, which would remove what the former index has left, comes too late."""
    return standbys.make(primary, dvec__sweep_interval="1h", allow_in_place_tablespaces="on")


def make_database(primary, name, rows, opclass="vector_l2_ops", template="template0"):
    primary.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    connection = primary.connect(name)
    connection.execute("CREATE EXTENSION dvec")
    vectors.make_table(connection, rows, opclass=opclass)
    connection.close()


def single_user(cluster, statements):
    """Without a server, as pg_upgrade would have it: what is created gets the numbers that are asked for."""
    result = subprocess.run([BIN / "postgres", "--single", "-b", "-D", cluster.data, "postgres"],
                            input="".join(f"{statement};\n" for statement in statements),
                            capture_output=True, text=True)
    assert result.returncode == 0 and "ERROR" not in result.stderr, result.stderr


def test_index_with_the_number_of_another(primary, standbys):
    """Of another metric, on a column of other dimensions; a session goes on through it all."""
    connection = primary.connect()
    vectors.make_table(connection, ROWS[:1000])
    connection.execute(f"ALTER TABLE items ADD w vector({DIMENSIONS // 2})")
    connection.execute(f"UPDATE items SET w = subvector(v, 1, {DIMENSIONS // 2})")
    standby = make_standby(standbys, primary)
    wait_until_followed(standby)
    session = standby.connect()
    assert check_same(session, "items", ROWS[0]) == (1000, True)
    [[number]] = connection.execute("SELECT pg_relation_filenode('items_v_idx')").fetchall()
    for column, opclass, operator in (("v", "vector_cosine_ops", "<=>"), ("w", "vector_l1_ops", "<+>"),
                                      ("v", "vector_l2_ops", "<->")):
        connection = primary.connect()
        connection.execute("DROP INDEX items_v_idx")
        connection.execute("CHECKPOINT")  # from now on the number is free
        primary.stop()
        single_user(primary, [f"SELECT binary_upgrade_set_next_index_pg_class_oid({number})",
                              f"SELECT binary_upgrade_set_next_index_relfilenode({number})",
                              f"CREATE INDEX items_v_idx ON items USING hnsw ({column} {opclass})"])
        primary.start()
        assert primary.sql("SELECT pg_relation_filenode('items_v_idx')") == [(number,)]
        wait_until_replayed(standby, primary)
        query = ROWS[0] if column == "v" else ROWS[0][:DIMENSIONS // 2]
        check_same(session, "items", query, operator=operator, column=column)
        wait_until_followed(standby, column=column, operator=operator)
        rows, by_index = check_same(session, "items", query, operator=operator, column=column)
        assert rows == 1000 and by_index


def check(standby, primary, dbname, expected):
    """The standby's index of that database has so many rows, those of the table."""
    wait_until_replayed(standby, primary)
    connection = standby.connect(dbname)

    def is_followed():
        """Plans have the index also while it is that of a former life, until somebody finds out."""
        rows, by_index = check_same(connection, "items", ROWS[0])
        assert rows == expected
        return by_index

    wait_until(is_followed, "the standby's plans use the index", 60)
    standby.forget_connections()


def test_database_that_moves_and_comes_back(primary, standbys):
    """It has its former file numbers then, and rows that came in the meantime."""
    primary.sql("CREATE TABLESPACE elsewhere LOCATION ''")
    make_database(primary, "traveller", ROWS[:500])
    standby = make_standby(standbys, primary)

    def move(tablespace):
        """Returns how many rows there are then: new ones are on pages at the table's end, of which some are not
        touched again."""
        primary.forget_connections()
        primary.sql(f"ALTER DATABASE traveller SET TABLESPACE {tablespace}")
        connection = primary.connect("traveller")
        [[rows]] = connection.execute("SELECT count(*) FROM items").fetchall()
        vectors.copy_in(connection, "items", rows, ROWS[500:1000])
        return rows + 500

    check(standby, primary, "traveller", 500)
    for tablespace in ("elsewhere", "pg_default", "elsewhere"):
        check(standby, primary, "traveller", move(tablespace))
    # The standby sees neither move.
    standby.stop()
    move("pg_default")
    expected = move("elsewhere")
    standby.start()
    check(standby, primary, "traveller", expected)


def test_database_with_the_number_of_another(primary, standbys):
    """Copies of a template: their indexes have its file numbers and its identities."""
    make_database(primary, "origin", ROWS[:500])
    standby = make_standby(standbys, primary)

    left = 500
    for number, strategy in enumerate(["FILE_COPY", "WAL_LOG"]):
        primary.forget_connections()
        primary.sql(f"CREATE DATABASE copy OID 90000 TEMPLATE origin STRATEGY {strategy}")
        check(standby, primary, "copy", left)
        # Nor does the primary take it for the former one.
        wait_until_followed(primary, dbname="copy")
        copy = primary.connect("copy")
        assert check_same(copy, "items", ROWS[0]) == (left, True)
        copy.execute("DELETE FROM items WHERE id % 2 = 0")
        copy.execute("VACUUM (INDEX_CLEANUP ON) items")
        vectors.copy_in(copy, "items", 1000, ROWS[500:600])
        check(standby, primary, "copy", left / 2 + 100)
        primary.forget_connections()
        primary.sql("DROP DATABASE copy")
        primary.sql(f"DELETE FROM items WHERE id % 5 = {number}", dbname="origin")
        left -= 100
    primary.sql("CREATE DATABASE copy OID 90000 TEMPLATE origin STRATEGY FILE_COPY")
    check(standby, primary, "copy", left)
