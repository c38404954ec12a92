"""A repair runs an index's expressions with the rights of the table's owner. What names mean in them is not
for whoever happens to need the index to say."""

import psycopg
import pytest

import answers
import repairs
import vectors
from cluster import wait_until

SETUP = """
    CREATE ROLE owner_of_table;
    CREATE ROLE anybody;
    CREATE SCHEMA theirs AUTHORIZATION anybody;
    CREATE TABLE caught (who name, secret text);
    GRANT INSERT, SELECT ON caught TO PUBLIC;
    CREATE TABLE secrets (secret text);
    INSERT INTO secrets VALUES ('a secret');
    ALTER TABLE secrets OWNER TO owner_of_table;
    CREATE FUNCTION weigh(real) RETURNS real IMMUTABLE LANGUAGE sql AS 'SELECT $1';
    CREATE FUNCTION keep(integer) RETURNS boolean IMMUTABLE LANGUAGE plpgsql {settings} AS $$
    BEGIN
        RETURN weigh(1) = 1;
    END $$;
    CREATE FUNCTION theirs.weigh(real) RETURNS real LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.caught SELECT current_user, secret FROM public.secrets;
        RETURN $1;
    EXCEPTION WHEN insufficient_privilege THEN
        INSERT INTO public.caught VALUES (current_user, NULL);
        RETURN $1;
    END $$;
    ALTER FUNCTION theirs.weigh OWNER TO anybody;
"""
SET_PATH = "SET search_path = public, pg_temp"


def make(cluster, rows, settings):
    connection = cluster.connect()
    # From version 17 on the server itself builds no index with a function that depends on the path.
    connection.execute(SETUP.format(settings=SET_PATH))
    connection.execute("CREATE TABLE items (id integer, v vector(8))")
    vectors.copy_in(connection, "items", 0, rows)
    connection.execute("CREATE INDEX ON items USING hnsw (v vector_l2_ops) WHERE keep(id)")
    if not settings:
        connection.execute("ALTER FUNCTION keep RESET search_path")
    connection.execute("ALTER TABLE items OWNER TO owner_of_table")
    connection.execute("GRANT SELECT, INSERT, UPDATE ON items TO anybody")
    repairs.lose_folders(cluster, "items_v_idx")
    attacker = cluster.connect()
    attacker.execute("SET ROLE anybody")
    attacker.execute("SET search_path = theirs, public")
    return attacker


def insert_and_repair(connection, rows):
    """In a transaction with a lock that keeps the background process away."""
    with connection.transaction():
        connection.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        connection.execute("INSERT INTO items VALUES (1000, %s)", [vectors.text(rows[0])])


def owner_was_caught(cluster):
    return cluster.sql("SELECT who, secret FROM caught WHERE who <> 'anybody' OR secret IS NOT NULL")


def test_function_that_names_its_search_path(make_cluster):
    cluster = make_cluster(max_worker_processes="1", max_logical_replication_workers="0")
    rows = vectors.clustered(100, 8, seed=332)
    attacker = make(cluster, rows, SET_PATH)
    insert_and_repair(attacker, rows)
    connection = cluster.connect()
    assert answers.index_state(connection, "items_v_idx")["repaired"] == 1
    assert owner_was_caught(cluster) == []
    answers.force_index(connection)
    found = connection.execute(
        "SELECT id FROM items WHERE keep(id) ORDER BY v <-> %s::vector", [vectors.text(rows[0])]).fetchall()
    assert len(found) == 101
    assert cluster.sql("SELECT * FROM dvec_check('items_v_idx')") == []


def test_function_that_depends_on_the_search_path(make_cluster):
    """As with the server's own maintenance it cannot be called, and whoever writes is told why. What is
    written is in the table meanwhile, and in the index when that can be rebuilt."""
    cluster = make_cluster(max_worker_processes="1", max_logical_replication_workers="0")
    rows = vectors.clustered(100, 8, seed=332)
    attacker = make(cluster, rows, "")
    told = []
    attacker.add_notice_handler(lambda notice: told.append((notice.message_primary, notice.message_detail)))
    insert_and_repair(attacker, rows)
    [[message, detail]] = told
    assert "items_v_idx\" cannot be repaired: function weigh" in message
    assert "search_path set to pg_catalog, pg_temp" in detail
    assert owner_was_caught(cluster) == []
    # Searching goes on without the index, and so do VACUUM and others who write, after a crash too.
    connection = cluster.connect()
    connection.execute("DELETE FROM items WHERE id < 10")
    connection.execute("VACUUM (INDEX_CLEANUP ON) items")
    connection.execute("INSERT INTO items VALUES (1001, %s)", [vectors.text(rows[1])])
    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    # Now it is VACUUM that has to find out.
    connection.execute("DELETE FROM items WHERE id = 10")
    connection.execute("VACUUM (INDEX_CLEANUP ON) items")
    connection.execute("INSERT INTO items VALUES (1002, %s)", [vectors.text(rows[2])])
    assert answers.index_state(connection, "items_v_idx")["state"] == "needs_repair"
    assert ids_of(connection, rows) == [*range(11, 100), 1000, 1001, 1002]
    if connection.info.server_version < 170000:
        # REINDEX reads the table with the owner's own path.
        connection.execute("REINDEX INDEX items_v_idx")
        answers.force_index(connection)
    else:
        with pytest.raises(psycopg.errors.UndefinedFunction, match="weigh"):
            connection.execute("REINDEX INDEX items_v_idx")
    assert ids_of(connection, rows) == [*range(11, 100), 1000, 1001, 1002]
    with pytest.raises(psycopg.errors.UndefinedFunction, match="weigh"):
        connection.execute("SELECT * FROM dvec_check('items_v_idx')")
    connection.execute(f"ALTER FUNCTION keep {SET_PATH}")
    assert connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == []
    assert owner_was_caught(cluster) == []


def ids_of(connection, rows):
    return sorted(id for [id] in connection.execute(
        "SELECT id FROM items WHERE keep(id) ORDER BY v <-> %s::vector", [vectors.text(rows[0])]).fetchall())


def test_what_was_left_to_a_rebuild(make_cluster):
    """When the function is mended the index is rebuilt, with all that was written meanwhile: by others,
    in transactions that are still open or were aborted, and with room that VACUUM made used again."""
    cluster = make_cluster()
    rows = vectors.clustered(200, 8, seed=332)
    make(cluster, rows[:100], "")
    connection, late, failed = cluster.connect(), cluster.connect(), cluster.connect()
    connection.execute("INSERT INTO items VALUES (1000, %s)", [vectors.text(rows[100])])
    for session in (late, failed):
        session.execute("BEGIN")
        session.execute("INSERT INTO items VALUES (%s, %s)",
                        [2000 if session is late else 3000, vectors.text(rows[101])])
    connection.execute("DELETE FROM items WHERE id < 50")
    connection.execute("VACUUM (INDEX_CLEANUP ON) items")
    vectors.copy_in(connection, "items", 4000, rows[110:160])
    assert answers.index_state(connection, "items_v_idx")["state"] == "needs_repair"
    connection.execute(f"ALTER FUNCTION keep {SET_PATH}")
    # Whoever must have the index repairs it.
    assert connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == []
    for session in (late, failed):
        session.execute("INSERT INTO items VALUES (%s, %s)",
                        [2001 if session is late else 3001, vectors.text(rows[102])])
    late.execute("COMMIT")
    failed.execute("ROLLBACK")
    answers.force_index(connection)
    assert "Index Scan" in answers.plan_of(
        connection, "SELECT id FROM items WHERE keep(id) ORDER BY v <-> %s::vector", [vectors.text(rows[0])])
    assert ids_of(connection, rows) == [*range(50, 100), 1000, 2000, 2001, *range(4000, 4050)]
    connection.execute("VACUUM items")
    assert connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == []


def test_repair_in_the_background(make_cluster):
    """A schema of the owner's name comes first on the default path."""
    cluster = make_cluster()
    rows = vectors.clustered(100, 8, seed=332)
    attacker = make(cluster, rows, SET_PATH)
    attacker.execute("SELECT id FROM items WHERE keep(id) ORDER BY v <-> %s::vector LIMIT 3",
                     [vectors.text(rows[0])])
    connection = cluster.connect()
    wait_until(lambda: answers.index_state(connection, "items_v_idx")["repaired"] == 1, "repaired")
    assert owner_was_caught(cluster) == []
