"""Standbys of every kind, and what is done on the primary to tables and indexes that they follow."""

import contextlib

import psycopg
import pytest

import answers
import replicas
import vectors
from cluster import wait_until
from replicas import check_same, wait_until_followed, wait_until_replayed, wait_until_taken_in

DIMENSIONS = 8
ROWS = vectors.clustered(3000, DIMENSIONS, seed=264)


@pytest.fixture
def primary(make_cluster):
    cluster = make_cluster(allow_in_place_tablespaces="on", **replicas.PRIMARY)
    vectors.make_table(cluster.connect(), ROWS[:1000])
    return cluster


def count(connection, table="items"):
    return len(answers.ids_in_table(connection, table))


def check(standby, expected, table="items", session=None, **options):
    rows, by_index = check_same(session or standby.connect(), table, options.pop("query", ROWS[0]), **options)
    assert rows == expected and by_index


def change(connection, first):
    vectors.copy_in(connection, "items", first, ROWS[first:first + 200])
    connection.execute("DELETE FROM items WHERE id % 9 = 4")
    connection.execute("VACUUM (INDEX_CLEANUP ON) items")
    connection.execute("UPDATE items SET v = (SELECT v FROM items ORDER BY id LIMIT 1) WHERE id % 50 = 1")


# ---- What is done to tables and indexes -----------------------------------------------------------

CHANGES = [
    "VACUUM FULL items",
    "CLUSTER items USING items_id",
    "REINDEX INDEX items_v_idx",
    "REINDEX TABLE CONCURRENTLY items",
    "ALTER INDEX items_v_idx SET TABLESPACE place",
    "ALTER TABLE items SET TABLESPACE place",
    "BEGIN; TRUNCATE items; INSERT INTO items SELECT * FROM copy; COMMIT",
    "BEGIN; CREATE TABLE new (LIKE items INCLUDING INDEXES); INSERT INTO new SELECT * FROM items; TRUNCATE new; "
    "INSERT INTO new SELECT * FROM items; DROP TABLE items; ALTER TABLE new RENAME TO items; COMMIT; "
    "ALTER INDEX IF EXISTS new_v_idx RENAME TO items_v_idx; ALTER INDEX IF EXISTS new_id_idx RENAME TO items_id",
    "DROP INDEX items_v_idx; CREATE INDEX CONCURRENTLY items_v_idx ON items USING hnsw (v vector_l2_ops)",
    "DROP TABLE items; CREATE TABLE items AS SELECT * FROM copy; "
    "CREATE INDEX items_v_idx ON items USING hnsw (v vector_l2_ops)",
]


def test_changes_of_table_and_index(primary, standbys):
    """A session of the standby, with a prepared statement, goes on through it all."""
    connection = primary.connect()
    connection.execute("CREATE INDEX items_id ON items (id)")
    connection.execute("CREATE TABLESPACE place LOCATION ''")
    connection.execute("CREATE TABLE copy AS SELECT * FROM items")
    standby = standbys.make(primary, allow_in_place_tablespaces="on")
    session = standby.connect()
    prepared = standby.connect()
    prepared.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
    prepared.execute("PREPARE nearest (vector) AS SELECT id FROM items ORDER BY v <-> $1 LIMIT 1")

    def check_both(by_index):
        rows, by_index_now = check_same(session, "items", ROWS[0])
        assert rows == count(connection) and (by_index_now or not by_index)
        [[row, nearest]] = connection.execute("SELECT id, v FROM items ORDER BY id LIMIT 1").fetchall()
        assert prepared.execute(f"EXECUTE nearest ('{nearest}')").fetchall() == [(row,)]

    wait_until_followed(standby)
    check_both(True)
    for number, statements in enumerate(CHANGES):
        for statement in statements.split("; "):
            connection.execute(statement)
        wait_until_replayed(standby, primary)
        check_both(False)
        wait_until_followed(standby)
        vectors.copy_in(connection, "items", 10000 + 100 * number, ROWS[1000:1030])
        connection.execute(f"DELETE FROM items WHERE id % 20 = {number + 3}")
        connection.execute("VACUUM (INDEX_CLEANUP ON) items")
        wait_until_replayed(standby, primary)
        check_both(True)


def test_partitions_expressions_and_conditions(primary, standbys):
    connection = primary.connect()
    connection.execute(f"""
        CREATE TABLE parts (id int, v vector({DIMENSIONS}), kind int, label text) PARTITION BY HASH (id);
        CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        CREATE INDEX parts_v ON parts USING hnsw (v vector_l2_ops);
        CREATE INDEX parts_expression ON parts USING hnsw ((subvector(v, 1, 3)::vector(3)) vector_l1_ops);
        CREATE INDEX parts_kind ON parts USING hnsw (v vector_cosine_ops, kind, lower(label)) WHERE id > 10""")
    standby = standbys.make(primary)
    expression = {"column": "(subvector(v, 1, 3)::vector(3))", "operator": "<+>"}
    kinds = {"where": "WHERE id > 10 AND kind = 2 AND lower(label) = 'a'", "operator": "<=>"}

    def fill(first):
        connection.execute(f"""
            INSERT INTO parts SELECT id + {first}, v, id % 4, CASE WHEN id % 3 = 0 THEN 'A' ELSE 'b' END FROM items""")

    fill(0)
    for options in ({}, expression, kinds):
        wait_until_followed(standby, "parts", **options)
    for step in range(3):
        fill(1000 * (step + 1))
        connection.execute(f"UPDATE parts SET kind = 2, label = 'a' WHERE id % 5 = {step}")
        connection.execute(f"DELETE FROM parts WHERE id % 11 = {step}")
        connection.execute("VACUUM (INDEX_CLEANUP ON) parts")
        if step == 1:
            connection.execute("ALTER TABLE parts DETACH PARTITION parts_1; "
                               "ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1)")
        wait_until_replayed(standby, primary)
        session = standby.connect()
        check(standby, count(connection, "parts"), "parts", session)
        check(standby, count(connection, "parts"), "parts", session, query=ROWS[0][:3], **expression)
        rows = connection.execute(f"SELECT count(*) FROM parts {kinds['where']}").fetchone()[0]
        assert rows > 100
        check(standby, rows, "parts", session, **kinds)


def test_prepared_transactions(primary, standbys):
    """Rows of a transaction that waits are on pages that were read long ago; it ends on the new primary."""
    connection = primary.connect()
    standby = standbys.make(primary)
    wait_until_followed(standby)

    def prepare(name, first):
        connection.execute("BEGIN")
        vectors.copy_in(connection, "items", first, ROWS[1000:1100])
        connection.execute(f"DELETE FROM items WHERE id BETWEEN {first - 1000} AND {first - 981}")
        connection.execute(f"UPDATE items SET v = (SELECT v FROM items WHERE id = 500) WHERE id = {first - 950}")
        connection.execute(f"PREPARE TRANSACTION '{name}'")

    for name, first in (("ended", 1000), ("taken back", 1100), ("left", 1200), ("left back", 1300)):
        prepare(name, first)
    wait_until_replayed(standby, primary)
    check(standby, 1000)
    connection.execute("COMMIT PREPARED 'ended'")
    connection.execute("ROLLBACK PREPARED 'taken back'")
    wait_until_replayed(standby, primary)
    check(standby, 1080)
    standby.kill()
    standby.start()
    wait_until_followed(standby)
    check(standby, 1080)
    primary.stop()
    standby.sql("SELECT pg_promote()")
    session = standby.connect()
    assert answers.check_complete(session, "items", ROWS[0]) == 1080
    session.execute("COMMIT PREPARED 'left'")
    session.execute("ROLLBACK PREPARED 'left back'")
    assert answers.check_complete(session, "items", ROWS[0]) == 1160
    assert session.execute("SELECT count(*) FROM items WHERE id >= 1200").fetchone() == (100,)


def test_tables_without_wal(primary, standbys):
    """An unlogged table is empty on a standby and after its promotion; nobody follows it."""
    connection = primary.connect()
    connection.execute(f"CREATE UNLOGGED TABLE fleeting (id int, v vector({DIMENSIONS}))")
    vectors.copy_in(connection, "fleeting", 0, ROWS[:300])
    connection.execute("CREATE INDEX fleeting_v_idx ON fleeting USING hnsw (v vector_l2_ops)")
    connection.execute(f"CREATE TEMPORARY TABLE own (id int, v vector({DIMENSIONS}))")
    connection.execute("CREATE INDEX own_v_idx ON own USING hnsw (v vector_l2_ops)")
    standby = standbys.make(primary)
    wait_until_followed(standby)
    session = standby.connect()
    for _ in range(2):
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="unlogged relations during recovery"):
            session.execute("SELECT id FROM fleeting ORDER BY v <-> (SELECT v FROM items LIMIT 1) LIMIT 1")
        check(standby, 1000, session=session)
    # One with WAL becomes one without, and back.
    connection.execute("ALTER TABLE items SET UNLOGGED")
    wait_until_replayed(standby, primary)
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="unlogged relations during recovery"):
        session.execute("SELECT id FROM items ORDER BY v <-> (SELECT v FROM items LIMIT 1) LIMIT 1")
    connection.execute("ALTER TABLE items SET LOGGED")
    vectors.copy_in(connection, "items", 1000, ROWS[1000:1100])
    wait_until_replayed(standby, primary)
    wait_until_followed(standby)
    check(standby, 1100)
    primary.stop()
    standby.sql("SELECT pg_promote()")
    session = standby.connect()
    assert answers.check_complete(session, "items", ROWS[0]) == 1100
    assert answers.check_complete(session, "fleeting", ROWS[0]) == 0
    vectors.copy_in(session, "fleeting", 0, ROWS[:300])
    assert answers.check_complete(session, "fleeting", ROWS[0]) == 300


# ---- Kinds of standbys ----------------------------------------------------------------------------

def test_rewound_primary(make_cluster, standbys):
    """The former primary has gone on without its standby, loses that, and follows; then both change places."""
    primary = make_cluster(wal_log_hints="on", **replicas.PRIMARY)
    vectors.make_table(primary.connect(), ROWS[:1000])
    standby = standbys.make(primary, wal_log_hints="on")
    wait_until_followed(standby)
    for first in (1000, 1500):
        wait_until_replayed(standby, primary)
        expected = count(primary.connect())
        standby.sql("SELECT pg_promote()")
        # Both have other rows under the same TIDs, and what the one vacuumed the other has.
        change(primary.connect(), first)
        vectors.copy_in(primary.connect(), "items", 100000, ROWS[2500:2800])
        new = standby.connect()
        assert answers.check_complete(new, "items", ROWS[0]) == expected
        new.execute("DELETE FROM items WHERE id % 5 = 3")
        new.execute("VACUUM (INDEX_CLEANUP ON) items")
        change(new, first + 200)
        new.execute("CHECKPOINT")
        primary.stop()
        replicas.rewind(primary, standby)
        primary.start()
        wait_until_followed(primary)
        wait_until_replayed(primary, standby)
        check(primary, count(new))
        change(new, first + 400)
        wait_until_taken_in(primary, standby)
        check(primary, count(new))
        primary, standby = standby, primary


def test_delayed_standby(primary, standbys):
    """What it has received and not replayed is for nobody yet."""
    standby = standbys.make(primary)
    wait_until_followed(standby)
    standby.configure(recovery_min_apply_delay="1h")
    standby.sql("SELECT pg_reload_conf()")
    wait_until(lambda: standby.sql("SHOW recovery_min_apply_delay") == [("1h",)], "the delay is in force")
    connection = primary.connect()
    change(connection, 1000)
    [[position]] = connection.execute("SELECT pg_current_wal_flush_lsn()").fetchall()
    wait_until(lambda: standby.sql("SELECT pg_last_wal_receive_lsn() >= %s", [position]) == [(True,)],
               "the standby has everything")
    check(standby, 1000)
    change(connection, 1200)
    check(standby, 1000)
    standby.configure(recovery_min_apply_delay="0")
    standby.sql("SELECT pg_reload_conf()")
    wait_until_replayed(standby, primary)
    check(standby, count(connection))


@replicas.long_mode
def test_wal_that_was_skipped_before(make_cluster, standbys):
    """At wal_level = minimal the pages of a new table have neither WAL nor LSNs."""
    primary = make_cluster(wal_level="minimal", max_wal_senders="0", wal_skip_threshold="0")
    connection = primary.connect()
    connection.execute("BEGIN")
    vectors.make_table(connection, ROWS[:0])
    vectors.copy_in(connection, "items", 0, ROWS[:500])
    connection.execute("COMMIT")
    connection.execute("DELETE FROM items WHERE id < 100")
    primary.configure(**replicas.PRIMARY)
    primary.restart()
    standby = standbys.make(primary)
    wait_until_followed(standby)
    check(standby, 400)
    change(primary.connect(), 1000)
    wait_until_replayed(standby, primary)
    check(standby, count(primary.connect()))


@replicas.long_mode
def test_library_that_comes_later(primary, standbys):
    """Without it everything is replayed; with it the files of the base backup are brought up to date."""
    standby = standbys.make(primary, shared_preload_libraries="")
    connection = primary.connect()
    change(connection, 1000)
    connection.execute("CREATE INDEX second ON items USING hnsw (v vector_l1_ops)")
    wait_until_replayed(standby, primary)
    rows, by_index = check_same(standby.connect(), "items", ROWS[0])
    assert rows == count(connection) and not by_index
    for libraries in ("dvec", "", "dvec"):
        standby.configure(shared_preload_libraries=libraries)
        standby.restart()
        change(connection, 1200)
        wait_until_replayed(standby, primary)
        if libraries == "dvec":
            for operator in ("<->", "<+>"):
                wait_until_followed(standby, operator=operator)
                check(standby, count(connection), operator=operator)


# ---- Bounds ---------------------------------------------------------------------------------------

def test_full_disk(primary, standbys):
    """It stops the index, not the replay, and nobody notices but by the time that a query takes."""
    standby = standbys.make(primary, faults=True)
    wait_until_followed(standby)
    connection = primary.connect()
    with standby.faults.in_force("no_space"):
        for number in range(8):
            vectors.copy_in(connection, "items", 10000 * (number + 1), ROWS)
            wait_until_replayed(standby, primary)
            assert check_same(standby.connect(), "items", ROWS[0])[0] == count(connection)
        wait_until(lambda: "No space left on device" in standby.log_text(), "the follower has tried")
        connection.execute("DELETE FROM items WHERE id % 3 = 0")
        connection.execute("VACUUM (INDEX_CLEANUP ON) items")
        wait_until_replayed(standby, primary)
        assert check_same(standby.connect(), "items", ROWS[0])[0] == count(connection)
    wait_until_taken_in(standby, primary)
    wait_until_followed(standby)
    check(standby, count(connection))


def test_more_indexes_than_entries(primary, standbys):
    """Those for which there is no entry are searched exactly; one that is dropped makes room."""
    connection = primary.connect()
    for number in range(11):
        vectors.make_table(connection, ROWS[50 * number:50 * number + 50], f"small{number}")
    standby = standbys.make(primary, dvec__max_indexes="8", dvec__sweep_interval="1s")
    session = standby.connect()

    def used():
        return sum(check_same(session, f"small{number}", ROWS[0])[1] for number in range(11))

    wait_until(lambda: used() == 8, "as many as there are entries are followed", 60)
    for number in range(11):
        connection.execute(f"INSERT INTO small{number} SELECT id + 100, v FROM small{number}")
        connection.execute(f"DELETE FROM small{number} WHERE id % 7 = 0")
    wait_until_replayed(standby, primary)
    assert used() == 8
    for number in range(11):
        assert check_same(session, f"small{number}", ROWS[0])[0] == count(connection, f"small{number}")
    by_index = [n for n in range(11) if check_same(session, f"small{n}", ROWS[0])[1]]
    for number in by_index[:3]:
        connection.execute(f"TRUNCATE small{number}")
        connection.execute(f"DROP INDEX small{number}_v_idx")
    wait_until_replayed(standby, primary)
    wait_until(lambda: used() == 8, "others have their entries", 60)


@replicas.long_mode
def test_more_databases_than_followers(primary, standbys):
    names = [f"database{number}" for number in range(6)]
    for name in names:
        primary.sql(f"CREATE DATABASE {name}")
        connection = primary.connect(name)
        connection.execute("CREATE EXTENSION dvec")
        vectors.make_table(connection, ROWS[:200])
    standby = standbys.make(primary, max_worker_processes="16")

    def used():
        found = 0
        for name in names:
            connection = standby.connect(name)
            rows, by_index = check_same(connection, "items", ROWS[0])
            assert rows == len(answers.ids_in_table(primary.connect(name), "items"))
            found += by_index
        standby.forget_connections()
        primary.forget_connections()
        return found

    wait_until(lambda: used() == 4, "four followers", 60)
    for name in names:
        connection = primary.connect(name)
        vectors.copy_in(connection, "items", 1000, ROWS[200:300])
        connection.execute("DELETE FROM items WHERE id % 4 = 0")
        connection.execute("VACUUM (INDEX_CLEANUP ON) items")
    wait_until_replayed(standby, primary)
    assert used() == 4


# ---- Recovery conflicts ---------------------------------------------------------------------------

def open_scan(standby, table="items"):
    """A transaction in the middle of an index scan."""
    session = standby.connect(autocommit=False)
    session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    session.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
    session.execute(f"DECLARE nearest CURSOR FOR SELECT id FROM {table} "
                    f"ORDER BY v <-> (SELECT v FROM {table} WHERE id = 1)")
    assert len(session.execute("FETCH 10 FROM nearest").fetchall()) == 10
    return session


# Table -> what is done to it.
CONFLICTS = {
    "vacuumed": ["DELETE FROM vacuumed WHERE id % 2 = 0", "VACUUM (INDEX_CLEANUP ON) vacuumed"],
    "rewritten": ["VACUUM FULL rewritten"],
    "without_index": ["DROP INDEX without_index_v_idx"],
    "truncated": ["TRUNCATE truncated"],
    "dropped": ["DROP TABLE dropped"],
    "locked": ["BEGIN", "LOCK locked", "INSERT INTO locked SELECT 5000, v FROM locked LIMIT 1", "COMMIT"],
}


def test_conflicts_with_a_scan(primary, standbys):
    """The scan is cancelled, and not answered wrongly; the replay goes on."""
    connection = primary.connect()
    for table in CONFLICTS:
        vectors.make_table(connection, ROWS[:300], table)
    standby = standbys.make(primary, max_standby_streaming_delay="100ms")
    for table, statements in CONFLICTS.items():
        wait_until_followed(standby, table)
        session = open_scan(standby, table)
        for statement in statements:
            connection.execute(statement)
        wait_until_replayed(standby, primary)
        with pytest.raises(psycopg.OperationalError, match="conflict with recovery|connection"):
            session.execute("FETCH ALL FROM nearest")
        with contextlib.suppress(psycopg.Error):
            session.rollback()
        if table != "dropped":
            assert check_same(standby.connect(), table, ROWS[0])[0] == count(connection, table)
        if table not in ("dropped", "without_index"):
            wait_until_followed(standby, table)
            check(standby, count(connection, table), table)


@replicas.long_mode
def test_scan_that_replay_waits_for(primary, standbys):
    """With hot_standby_feedback, or when replay has time, a scan has the rows of its snapshot to the end."""
    standby = standbys.make(primary, max_standby_streaming_delay="-1")
    wait_until_followed(standby)
    session = open_scan(standby)
    connection = primary.connect()
    vectors.copy_in(connection, "items", 1000, ROWS[1000:1500])
    connection.execute("DELETE FROM items WHERE id % 2 = 0")
    connection.execute("VACUUM (INDEX_CLEANUP ON) items")
    vectors.copy_in(connection, "items", 2000, ROWS[1500:2500])
    [[position]] = connection.execute("SELECT pg_current_wal_flush_lsn()").fetchall()
    wait_until(lambda: standby.sql("SELECT pg_last_wal_receive_lsn() >= %s", [position]) == [(True,)],
               "the standby has everything")
    others = standby.connect()
    check_same(others, "items", ROWS[0])
    assert len(session.execute("FETCH ALL FROM nearest").fetchall()) == 990
    session.rollback()
    wait_until_replayed(standby, primary)
    check(standby, count(connection), session=others)
