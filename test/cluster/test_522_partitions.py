"""A partitioned table on one server: its partitions are merged by the distances that their indexes know."""

import pytest

import vectors

DIMENSIONS = 16
ROWS = vectors.clustered(6000, DIMENSIONS, seed=523)
NEAREST = "SELECT id FROM parts ORDER BY v <-> %s::vector LIMIT 10"
# Computed by the index scan and read by nobody, or returned.
RETURNED = NEAREST.replace("id FROM", "id, v <-> %s::vector FROM")


def make(cluster, count):
    connection = cluster.connect()
    connection.execute(f"CREATE TABLE parts (id integer, v vector({DIMENSIONS})) PARTITION BY HASH (id)")
    for number in range(count):
        connection.execute(f"CREATE TABLE parts_{number} PARTITION OF parts "
                           f"FOR VALUES WITH (MODULUS {count}, REMAINDER {number})")
    vectors.copy_in(connection, "parts", 0, ROWS)
    connection.execute("INSERT INTO parts SELECT id + 100000, v FROM parts WHERE id < 30")  # equal distances
    connection.execute("CREATE INDEX ON parts USING hnsw (v vector_l2_ops) WITH (ef_search = 20); ANALYZE parts")
    connection.execute("SET enable_seqscan = off")
    return connection


def plan(connection, statement, parameters):
    return "\n".join(row[0] for row in connection.execute("EXPLAIN (VERBOSE, COSTS off) " + statement, parameters))


# In the second case there are more searches at a time than a session keeps memory for.
@pytest.mark.parametrize("count", [4, 70])
def test_they_are_merged_as_the_server_does(cluster, count):
    connection = make(cluster, count)
    queries = [vectors.text(query) for query in (*vectors.clustered(20, DIMENSIONS, seed=523), ROWS[7])]
    text = plan(connection, NEAREST, queries[:1])
    assert "PartitionMerge" in text and text.count("Index Scan") == count, text
    # That of the node and that of each partition, in which it is the distance.
    assert text.count("NULL::double precision") == count + 2, text
    for query in queries:
        rows = connection.execute(RETURNED, [query, query]).fetchall()
        searches = connection.execute("SELECT count(*), sum(searches) FROM dvec_last_searches()").fetchall()
        assert searches == [(count, count)]
        connection.execute("SET dvec.enable_partition_merge = off")
        of_server = connection.execute(RETURNED, [query, query]).fetchall()
        connection.execute("RESET dvec.enable_partition_merge")
        assert [distance for _, distance in rows] == [distance for _, distance in of_server]
        found = [number for [number] in connection.execute(NEAREST, [query]).fetchall()]
        assert sorted(found) == sorted(number for number, _ in of_server)
    many = connection.execute(NEAREST + " OFFSET 5000", [queries[0]]).fetchall()
    assert len(many) == 10
