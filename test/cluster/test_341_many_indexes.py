"""More indexes than the registry has entries: each is used as if it were alone, and nothing fails."""

import os
import threading

import psycopg
import pytest

import repairs
import vectors
from cluster import wait_until

# As many tenants as a long run may have: DVEC_MANY_INDEXES=10000 make cluster PYTEST_ARGS='-k many_indexes'
MANY = int(os.environ.get("DVEC_MANY_INDEXES", "40"))
ENTRIES = 8 if MANY <= 100 else 1024


def make_tenants(connection, count, rows):
    for begin in range(0, count, 100):
        connection.execute("".join(
            f"CREATE TABLE tenant_{number} (id int, v vector({rows.shape[1]}));"
            f"CREATE INDEX ON tenant_{number} USING hnsw (v vector_l2_ops);"
            for number in range(begin, min(begin + 100, count))))


def add(connection, number, first, rows):
    values = ", ".join(f"({first + i}, '{vectors.text(row)}')" for i, row in enumerate(rows))
    connection.execute(f"INSERT INTO tenant_{number} VALUES {values}")


def ids(connection, number, query, index):
    connection.execute(f"SET enable_indexscan = {index}; SET enable_seqscan = {not index}")
    statement = f"SELECT id FROM tenant_{number} ORDER BY v <-> '{vectors.text(query)}'"
    plan = "\n".join(line for line, in connection.execute(f"EXPLAIN {statement}").fetchall())
    assert ("Index Scan" in plan) == index, plan
    return [row[0] for row in connection.execute(statement).fetchall()]


def check_all(connection, rows):
    for number in range(MANY):
        assert ids(connection, number, rows[number % 7], True) == \
            ids(connection, number, rows[number % 7], False), f"tenant {number}"


def used_entries(connection):
    return connection.execute("SELECT count(*) FROM dvec_index_states()").fetchone()[0]


@pytest.fixture
def tenants(make_cluster):
    return make_cluster(dvec__max_indexes=ENTRIES, max_locks_per_transaction=512)


def test_one_session_uses_them_all(tenants):
    connection = tenants.connect()
    rows = vectors.clustered(20, 8, seed=1)
    make_tenants(connection, MANY, rows)
    for first in (0, 10):
        for number in range(MANY):
            add(connection, number, first, rows[first:first + 10])
        check_all(connection, rows)
    for number in range(MANY):
        connection.execute(f"UPDATE tenant_{number} SET id = id + 100 WHERE id % 3 = 0")
        connection.execute(f"DELETE FROM tenant_{number} WHERE id % 3 = 1")
        connection.execute(f"VACUUM tenant_{number}")
    check_all(connection, rows)
    assert used_entries(connection) <= ENTRIES
    # What was let go of needs nothing but to be opened again; what was not, its log.
    tenants.kill()
    tenants.start()
    check_all(tenants.connect(), rows)
    assert "rebuil" not in tenants.log_text()
    tenants.restart()
    check_all(tenants.connect(), rows)


def test_rows_of_an_open_transaction_outlive_their_entry(tenants):
    """An index is let go of while a transaction that wrote to it is open: it commits, or not, as ever."""
    connection, other = tenants.connect(), tenants.connect()
    rows = vectors.clustered(20, 8, seed=2)
    make_tenants(connection, MANY, rows)
    connection.execute("SET dvec.wal_sync = commit")
    for outcome in ("COMMIT", "ROLLBACK"):
        connection.execute("BEGIN")
        add(connection, 0, 0 if outcome == "COMMIT" else 10, rows[:10])
        for _ in range(2):
            for number in range(1, MANY):
                add(other, number, 0, rows[:2])
        add(connection, 0, 50 if outcome == "COMMIT" else 60, rows[12:14])
        connection.execute(outcome)
    wanted = sorted([*range(10), 50, 51])
    assert sorted(ids(other, 0, rows[0], True)) == wanted
    tenants.kill()
    tenants.start()
    connection = tenants.connect()
    assert sorted(ids(connection, 0, rows[0], True)) == wanted
    assert ids(connection, 0, rows[0], True) == ids(connection, 0, rows[0], False)


def test_a_scan_goes_on_when_its_entry_is_gone(tenants):
    connection, other = tenants.connect(), tenants.connect()
    rows = vectors.clustered(400, 8, seed=3)
    make_tenants(connection, MANY, rows)
    add(connection, 0, 0, rows)
    wanted = ids(connection, 0, rows[0], False)
    connection.execute("SET enable_indexscan = on; SET enable_seqscan = off; BEGIN")
    connection.execute("DECLARE c CURSOR FOR SELECT id FROM tenant_0 "
                       f"ORDER BY v <-> '{vectors.text(rows[0])}'")
    found = [row[0] for row in connection.execute("FETCH 20 FROM c").fetchall()]
    for number in range(1, MANY):
        add(other, number, 0, rows[:2])
    found += [row[0] for row in connection.execute("FETCH ALL FROM c").fetchall()]
    connection.execute("COMMIT")
    assert found == wanted


def test_repaired_indexes_beside_an_old_transaction(tenants):
    """A transaction that is older than the repairs of all indexes keeps no entry from being given to
    another; and its rows that a repair has read are not added twice, whatever became of the entry."""
    connection = tenants.connect()
    rows = vectors.clustered(20, 8, seed=5)
    make_tenants(connection, MANY, rows)
    for number in range(MANY):
        add(connection, number, 0, rows[:5])
    # Between the entries of two of its rows in the first index a COPY waits at the second.
    connection.execute("""
        CREATE FUNCTION gate(id integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(341);
            RETURN id;
        END $$""")
    connection.execute("CREATE INDEX ON tenant_0 (gate(id))")
    repairs.lose_folders(tenants, *(f"tenant_{number}_v_idx" for number in range(MANY)))
    old, keeper, other = tenants.connect_for_thread(autocommit=False), tenants.connect(), tenants.connect()
    keeper.execute("SELECT pg_advisory_lock(341)")

    def copy():
        with old.cursor().copy("COPY tenant_0 FROM STDIN") as copy:
            for number, row in enumerate(rows[8:18]):
                copy.write_row((100 + number, vectors.text(row)))

    thread = threading.Thread(target=copy)
    thread.start()
    try:
        wait_until(lambda: other.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall(),
                   "the COPY waits between its rows", 60)
        other.execute("SET statement_timeout = '120s'")
        for number in range(1, MANY):
            add(other, number, 5, rows[5:6])
        assert "tenant_0_v_idx" not in {name for [name] in other.execute(
            "SELECT index::text FROM dvec_indexes WHERE state <> 'closed'").fetchall()}
    finally:
        keeper.execute("SELECT pg_advisory_unlock_all()")
        thread.join()
    old.commit()
    old.close()
    connection = tenants.connect()
    check_all(connection, rows)
    assert sorted(ids(connection, 0, rows[0], True)) == [*range(5), *range(100, 110)]


def test_indexes_that_cannot_be_opened_take_no_entries(tenants):
    connection = tenants.connect()
    rows = vectors.clustered(20, 8, seed=6)
    make_tenants(connection, MANY, rows)
    for number in range(MANY):
        add(connection, number, 0, rows[:5])
    spoilt = range(ENTRIES + 2)
    paths = [tenants.data / connection.execute(
        "SELECT pg_relation_filepath(%s::regclass)", [f"tenant_{number}_v_idx"]).fetchone()[0]
        for number in spoilt]
    tenants.stop()
    for path in paths:
        with open(path, "r+b") as file:
            file.seek(24 + 4)  # the version, behind the page header and the magic
            file.write((99).to_bytes(4, "little"))
    tenants.start()
    connection = tenants.connect()
    connection.execute("SET statement_timeout = '120s'; SET client_min_messages = error")
    for number in spoilt:
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            add(connection, number, 5, rows[5:6])
    for number in range(spoilt.stop, min(MANY, spoilt.stop + 20)):
        add(connection, number, 5, rows[5:6])
        assert ids(connection, number, rows[0], True) == ids(connection, number, rows[0], False)


def test_sessions_that_take_each_others_entries(tenants):
    """Six writers and searchers on all indexes: entries change hands all the time."""
    connection = tenants.connect()
    rows = vectors.clustered(200, 8, seed=4)
    make_tenants(connection, MANY, rows)
    failures = []

    def use(worker):
        try:
            with tenants.connect_for_thread() as mine:
                for step in range(60):
                    number = (worker * 7 + step * 13) % MANY
                    add(mine, number, worker * 1000 + step, rows[step:step + 1])
                    mine.execute("SET enable_seqscan = off")
                    mine.execute(f"SELECT id FROM tenant_{number} "
                                 f"ORDER BY v <-> '{vectors.text(rows[step])}' LIMIT 3").fetchall()
                    if step % 20 == 19:
                        mine.execute(f"DELETE FROM tenant_{number} WHERE id % 2 = 0")
                        mine.execute(f"VACUUM tenant_{number}")
        except (psycopg.Error, AssertionError) as error:
            failures.append(error)

    threads = [threading.Thread(target=use, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    check_all(connection, rows)
    tenants.kill()
    tenants.start()
    check_all(tenants.connect(), rows)
