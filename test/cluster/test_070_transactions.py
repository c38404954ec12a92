"""DDL in transactions: an abort leaves the index as it was, and no wrong answers."""

import pytest

import answers
import vectors

ROWS = 200


@pytest.fixture
def items(cluster):
    rows = vectors.clustered(ROWS + 100, 8, seed=27)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:ROWS])
    answers.force_index(connection)
    return connection, rows


@pytest.mark.parametrize("statement", [
    "CREATE INDEX second ON items USING hnsw (v vector_l1_ops)",
    "REINDEX INDEX items_v_idx",
    "REINDEX TABLE items",
    "TRUNCATE items",
    "DROP INDEX items_v_idx",
    "ALTER TABLE items SET UNLOGGED",
    "ALTER TABLE items ALTER v TYPE vector(7) USING subvector(v, 1, 7)",
    "CREATE INDEX by_id ON items (id); CLUSTER items USING by_id",
    "DROP TABLE items",
])
@pytest.mark.parametrize("how", ["rollback", "savepoint"])
def test_abort(items, statement, how):
    connection, rows = items
    connection.execute("BEGIN")
    vectors.copy_in(connection, "items", 1000, rows[ROWS:ROWS + 10])
    if how == "savepoint":
        connection.execute("SAVEPOINT s")
    connection.execute(statement)
    if "DROP" not in statement:
        dimensions = 7 if "vector(7)" in statement else 8
        vectors.copy_in(connection, "items", 2000, rows[ROWS + 10:ROWS + 20, :dimensions])
        if "CREATE INDEX second" not in statement:
            answers.check_complete(connection, "items", rows[0, :dimensions])
    if how == "savepoint":
        connection.execute("ROLLBACK TO s")
        vectors.copy_in(connection, "items", 3000, rows[ROWS + 20:ROWS + 30])
        assert answers.check_complete(connection, "items", rows[0]) == ROWS + 20
        connection.execute("COMMIT")
        assert answers.check_complete(connection, "items", rows[0]) == ROWS + 20
    else:
        connection.execute("ROLLBACK")
        assert answers.check_complete(connection, "items", rows[0]) == ROWS
    connection.execute("VACUUM items")
    vectors.copy_in(connection, "items", 4000, rows[ROWS + 30:ROWS + 40])
    answers.check_complete(connection, "items", rows[0])
    answers.check_own_neighbours(connection, "items")


@pytest.mark.parametrize("statement", [
    "REINDEX INDEX items_v_idx",
    "REINDEX INDEX CONCURRENTLY items_v_idx",
    "TRUNCATE items",
    "VACUUM FULL items",
    "ALTER TABLE items SET UNLOGGED",
])
def test_other_sessions_follow(items, cluster, statement):
    """A session that has the index open goes on with the new files."""
    connection, rows = items
    other = cluster.connect()
    answers.force_index(other)
    answers.check_complete(other, "items", rows[0])
    connection.execute(statement)
    vectors.copy_in(connection, "items", 1000, rows[ROWS:ROWS + 20])
    expected = 20 if "TRUNCATE" in statement else ROWS + 20
    assert answers.check_complete(other, "items", rows[0]) == expected
    vectors.copy_in(other, "items", 2000, rows[ROWS + 20:ROWS + 40])
    assert answers.check_complete(connection, "items", rows[0]) == expected + 20


def test_truncate_of_a_table_made_in_the_same_transaction(cluster):
    """The server empties such a table in place: the index keeps its file and its number."""
    connection = cluster.connect()
    rows = vectors.clustered(100, 8, seed=28)
    connection.execute("BEGIN")
    vectors.make_table(connection, rows[:20])
    for round in range(3):
        vectors.copy_in(connection, "items", 100 * round, rows[20:40])
        answers.check_complete(connection, "items", rows[0])
        connection.execute("TRUNCATE items")
        assert answers.check_complete(connection, "items", rows[0]) == 0
    vectors.copy_in(connection, "items", 1000, rows[40:60])
    assert answers.check_complete(connection, "items", rows[0]) == 20
    connection.execute("COMMIT")
    vectors.copy_in(connection, "items", 2000, rows[60:80])
    assert answers.check_complete(connection, "items", rows[0]) == 40
    cluster.restart()
    assert answers.check_complete(cluster.connect(), "items", rows[0]) == 40


@pytest.mark.parametrize("crash", ["kill", "fast"])
def test_prepared_transactions(cluster, crash):
    rows = vectors.clustered(400, 8, seed=29)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:100])
    for name, first in (("commit", 100), ("abort", 200)):
        connection.execute("BEGIN")
        vectors.copy_in(connection, "items", first, rows[first:first + 100])
        connection.execute("DELETE FROM items WHERE id BETWEEN %s AND %s", [first - 100, first - 91])
        connection.execute(f"PREPARE TRANSACTION '{name}'")
    assert answers.check_complete(connection, "items", rows[0]) == 100
    if crash == "kill":
        cluster.kill()
        cluster.start()
    else:
        cluster.restart()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == 100
    connection.execute("VACUUM items")
    connection.execute("COMMIT PREPARED 'commit'")
    connection.execute("ROLLBACK PREPARED 'abort'")
    assert answers.check_complete(connection, "items", rows[0]) == 190
    connection.execute("VACUUM items")
    vectors.copy_in(connection, "items", 1000, rows[300:350])
    assert answers.check_complete(connection, "items", rows[0]) == 240


def test_prepared_ddl_across_a_crash(cluster):
    rows = vectors.clustered(300, 8, seed=30)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:100])
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE more (LIKE items)")
    vectors.copy_in(connection, "more", 0, rows[100:200])
    connection.execute("CREATE INDEX more_v_idx ON more USING hnsw (v vector_l2_ops)")
    vectors.copy_in(connection, "more", 1000, rows[200:300])
    connection.execute("TRUNCATE items")
    vectors.copy_in(connection, "items", 500, rows[:30])
    connection.execute("PREPARE TRANSACTION 'ddl'")
    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    connection.execute("COMMIT PREPARED 'ddl'")
    assert answers.check_complete(connection, "items", rows[0]) == 30
    assert answers.check_complete(connection, "more", rows[0]) == 200


def test_concurrent_builds_while_others_insert(cluster):
    """CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY miss no row that comes meanwhile."""
    import threading
    rows = vectors.clustered(3000, 8, seed=31)
    connection = cluster.connect()
    connection.execute("CREATE TABLE items (id integer, v vector(8))")
    vectors.copy_in(connection, "items", 0, rows[:1000])
    stop = threading.Event()
    failures = []

    def insert(first):
        try:
            session = cluster.connect()
            for i in range(1000):
                if stop.is_set():
                    return
                session.execute("INSERT INTO items VALUES (%s, %s)",
                                [first + i, vectors.text(rows[first + i])])
                if i % 3 == 0:
                    session.execute("UPDATE items SET v = %s WHERE id = %s",
                                    [vectors.text(rows[first + i] + 0.1), first + i - 1])
                if i % 5 == 0:
                    session.execute("DELETE FROM items WHERE id = %s", [first + i - 2])
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=insert, args=[first]) for first in (1000, 2000)]
    for thread in threads:
        thread.start()
    connection.execute("CREATE INDEX CONCURRENTLY items_v_idx ON items USING hnsw (v vector_l2_ops)")
    for _ in range(3):
        connection.execute("REINDEX INDEX CONCURRENTLY items_v_idx")
    stop.set()
    for thread in threads:
        thread.join(30)
    assert not failures, failures
    answers.check_complete(connection, "items", rows[0])
