"""A session that may remember sketches of rows measures fewer of them, finds what the exact search finds but for a row
now and then, and returns every row that satisfies the condition once."""

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
        connection.execute(f"SET enable_seqscan = off; SET dvec.sketch_memory = '{memory}'")
        found, measured = [], 0
        for query in queries:
            found.append(set(nearest(query)))
            [distances] = connection.execute("SELECT distances FROM dvec_last_searches()").fetchone()
            measured += distances
        return found, measured

    connection.execute("SET enable_indexscan = off")
    truth = [set(nearest(query)) for query in queries]
    everything = sorted(nearest(queries[0], ROWS))
    connection.execute("RESET enable_indexscan")

    _, measured_without = by_index("0")
    by_index("16MB")
    found, measured = by_index("16MB")
    assert measured < measured_without
    assert sum(len(a & b) for a, b in zip(found, truth)) >= 0.95 * sum(len(each) for each in truth)
    # As a cursor, which asks for a row after the other until there is none.
    connection.execute(f"BEGIN; DECLARE c CURSOR FOR SELECT id FROM items WHERE {CONDITION} ORDER BY v <-> '{queries[0]}'")
    assert sorted(connection.execute("FETCH ALL FROM c").fetchall()) == everything
