"""A session that may remember rows and conditions measures fewer rows, finds what the exact search finds but for a row
now and then, and returns every row that satisfies the condition once, whatever has happened to the table since."""

import vectors

DIMENSIONS = 128
ROWS = 4000
CONDITION = "tenant < 3"


def test_sketches(cluster):
    connection = cluster.connect()
    connection.execute(f"CREATE TABLE items (id integer, v vector({DIMENSIONS}) NOT NULL, tenant integer)")
    rows = list(vectors.clustered(ROWS + 60, DIMENSIONS, seed=423))
    with connection.cursor().copy("COPY items FROM STDIN") as copy:
        for i, row in enumerate(rows[:ROWS]):
            copy.write_row((i, vectors.text(row), i % 10))
    connection.execute("CREATE INDEX ON items USING hnsw (v vector_l2_ops, tenant)")
    connection.execute("ANALYZE items; DELETE FROM items WHERE id % 7 = 0")
    queries = [vectors.text(row) for row in rows[ROWS:]]

    def nearest(query, rows=10):
        return connection.execute(f"SELECT id FROM items WHERE {CONDITION} ORDER BY v <-> '{query}' LIMIT {rows}").fetchall()

    def by_index(memory):
        connection.execute(f"SET enable_seqscan = off; SET dvec.filter_memory = '{memory}'")
        found, measured = [], 0
        for query in queries:
            found.append(set(nearest(query)))
            [distances] = connection.execute("SELECT distances FROM dvec_last_searches()").fetchone()
            measured += distances
        return found, measured

    connection.execute("SET enable_indexscan = off")
    truth = [set(nearest(query)) for query in queries]
    connection.execute("RESET enable_indexscan")
    everything = sorted(connection.execute(f"SELECT id FROM items WHERE {CONDITION}").fetchall())

    _, measured_without = by_index("0")
    by_index("16MB")
    found, measured = by_index("16MB")
    assert measured < measured_without
    assert sum(len(a & b) for a, b in zip(found, truth)) >= 0.95 * sum(len(each) for each in truth)
    # A limit beyond all of them, which brings what a pass by sketches has missed, too.
    connection.execute("RESET enable_seqscan")
    for query in queries:
        assert sorted(nearest(query, ROWS)) == everything
    connection.execute("SET enable_seqscan = off")
    # As a cursor, which asks for a row after the other until there is none.
    connection.execute(f"BEGIN; DECLARE c CURSOR FOR SELECT id FROM items WHERE {CONDITION} ORDER BY v <-> '{queries[0]}'")
    fetched = sorted(connection.execute("FETCH ALL FROM c").fetchall())
    assert len(fetched) == len(set(fetched))
    assert fetched == everything
    connection.execute("COMMIT")


def test_a_condition_that_comes_again(cluster):
    connection = cluster.connect()
    connection.execute(f"CREATE TABLE told (id integer PRIMARY KEY, v vector({DIMENSIONS}) NOT NULL, tenant integer)")
    rows = [vectors.text(row) for row in vectors.clustered(ROWS, DIMENSIONS, seed=424)]

    def add(ids):
        with connection.cursor().copy("COPY told FROM STDIN") as copy:
            for i in ids:
                copy.write_row((i, rows[i], i % 50))

    add(range(2000))
    connection.execute("CREATE INDEX ON told USING hnsw (v vector_l2_ops, tenant)")
    connection.execute("ANALYZE told; SET plan_cache_mode = force_generic_plan; SET dvec.filter_memory = '8MB'")
    query = f"SELECT id FROM told WHERE tenant = %s ORDER BY v <-> '{rows[0]}' LIMIT 200"

    def expect_all():
        for tenant in (1, 2, 1, 2, 1):
            connection.execute("SET enable_indexscan = off")
            wanted = connection.execute(query, [tenant], prepare=False).fetchall()
            connection.execute("RESET enable_indexscan; SET enable_seqscan = off")
            assert connection.execute(query, [tenant], prepare=False).fetchall() == wanted
            [how] = connection.execute("SELECT count(*) FROM dvec_last_searches()").fetchone()
            assert how == 1
            connection.execute("RESET enable_seqscan")

    expect_all()
    add(range(2000, 3000))
    connection.execute("DELETE FROM told WHERE id % 100 = 1; UPDATE told SET tenant = 1 WHERE id % 100 = 2")
    expect_all()
    connection.execute("VACUUM told")
    expect_all()
    # The ids of rows are new then.
    connection.execute("DELETE FROM told WHERE id % 2 = 0 AND id < 2500")
    connection.execute("VACUUM told")
    add(range(3000, ROWS))
    expect_all()
    connection.execute("REINDEX TABLE told")
    expect_all()
