"""The planner takes the index where it is the cheaper way and the exact search where that is; filtered
queries get as many rows as they ask for, and the right ones."""

import re

import numpy as np
import pytest

import answers
import vectors

LIMIT = 10
QUERIES = 30
# Rows for which `share` is below the value, of 10000.
FILTERS = {"10%": 1000, "1%": 100, "0.1%": 10}


class Table:
    """Clustered rows in a table (id, v, share), share spread evenly over 0..9999."""

    def __init__(self, cluster, rows, dimensions):
        points = vectors.clustered(rows + QUERIES, dimensions, seed=16)
        self.points, self.queries = points[:rows], points[rows:]
        self.share = np.arange(rows) * 7919 % 10000
        self.connection = connection = cluster.connect()
        connection.execute(f"CREATE TABLE loaded (id integer, v vector({dimensions}))")
        vectors.copy_in(connection, "loaded", 0, self.points)
        # Into a new table, so that its pages hold nothing but the rows.
        connection.execute("CREATE TABLE items AS SELECT id, v, id * 7919 % 10000 AS share FROM loaded")
        connection.execute("DROP TABLE loaded")
        connection.execute("CREATE INDEX items_v_idx ON items USING hnsw (v vector_l2_ops)")
        connection.execute("CREATE INDEX items_id_idx ON items (id)")
        connection.execute("VACUUM ANALYZE items")
        connection.execute("SET max_parallel_workers_per_gather = 0")

    def query(self, rest, number=0):
        text = f"'{vectors.text(self.queries[number])}'"
        return rest.replace("$q", text)

    def uses_index(self, statement):
        return "Order By:" in answers.plan_of(self.connection, self.query(statement))

    def cost(self, statement):
        [[line], *_] = self.connection.execute("EXPLAIN " + self.query(statement)).fetchall()
        return float(re.search(r"\.\.([0-9.]+) rows", line)[1])


def table(request, prepared_template):
    from cluster import Cluster
    cluster = Cluster(prepared_template)
    request.addfinalizer(cluster.destroy)
    cluster.start()
    return Table(cluster, *request.param)


in_line = pytest.fixture(scope="module", name="in_line", params=[(20000, 128)], ids=["20000x128"])(table)
short = pytest.fixture(scope="module", name="short", params=[(10000, 3)], ids=["10000x3"])(table)
toasted = pytest.fixture(scope="module", name="toasted", params=[(2000, 1024)], ids=["2000x1024"])(table)

NEAREST = "SELECT id FROM items ORDER BY v <-> $q"


def test_in_line(in_line):
    assert in_line.uses_index(NEAREST + " LIMIT 10")
    assert in_line.uses_index(NEAREST + " LIMIT 200")
    assert not in_line.uses_index(NEAREST)
    assert not in_line.uses_index(NEAREST + " DESC LIMIT 10")
    assert in_line.uses_index("SELECT id FROM items WHERE v <-> $q < 1")
    assert not in_line.uses_index("SELECT id FROM items WHERE v <-> $q > 1")
    assert not in_line.uses_index("SELECT count(*) FROM items")


def test_filters(in_line):
    for name, share in FILTERS.items():
        by_index = in_line.uses_index(
            f"SELECT id FROM items WHERE share < {share} ORDER BY v <-> $q LIMIT 10")
        # Where one row in a hundred passes, a thousand would be handed out for the ten, which takes about as long as
        # reading the table, and more where they do not suffice.
        assert by_index == (share >= 1000), name
    # Where another index finds the few rows, the exact search has little to do.
    for rows, by_index in ((6000, True), (200, False), (20, False)):
        assert by_index == in_line.uses_index(
            f"SELECT id FROM items WHERE id < {rows} ORDER BY v <-> $q LIMIT 10"), rows


@pytest.mark.parametrize("limit, below, by_index", [
    (10, 10000, True), (1000, 10000, True), (10, 5000, True), (100, 5000, True), (1000, 7000, True), (10, 1000, True),
    (100, 1000, False), (10, 100, False), (1000, 100, False)])
def test_an_index_that_is_taken_is_kept(in_line, limit, below, by_index):
    """A large LIMIT, and a condition on the rows: either the index gives the answer, or it is not begun with. To give it
    up costs half as much again as reading the table, and more."""
    statement = in_line.query(f"SELECT id FROM items WHERE share < {below} ORDER BY v <-> $q LIMIT {limit}")
    assert in_line.uses_index(statement) == by_index
    if by_index:
        plan = "\n".join(row[0] for row in in_line.connection.execute(
            "EXPLAIN (ANALYZE, COSTS off, TIMING off) " + statement))
        assert "Changes to Exact Search: 0" in plan, plan


def test_the_better_of_several_indexes(in_line):
    """An index of whole vectors before one of compact ones, which reads what it returns in the table; one with the
    column of the condition before one without it, however the vectors are held. Which is the newest does not matter."""
    connection = in_line.connection
    connection.execute("CREATE INDEX compact ON items USING hnsw (v vector_l2_ops) WITH (storage = compact)")
    connection.execute("CREATE INDEX compact_share ON items USING hnsw (v vector_l2_ops, share) WITH (storage = compact)")
    try:
        for names, where, chosen in ((("items_v_idx", "compact"), "true", "items_v_idx"),
                                     (("items_v_idx", "compact_share"), "share < 1000", "compact_share"),
                                     (("compact", "compact_share"), "share < 1000", "compact_share"),
                                     (("items_v_idx", "compact", "compact_share"), "true", "items_v_idx")):
            with connection.transaction(force_rollback=True):
                connection.execute("""UPDATE pg_index SET indisvalid = false WHERE indexrelid IN
                    (SELECT c.oid FROM pg_class c JOIN pg_am a ON a.oid = c.relam AND a.amname = 'hnsw'
                     WHERE c.relname <> ALL (%s))""", [list(names)])
                plan = answers.plan_of(connection, in_line.query(
                    f"SELECT id FROM items WHERE {where} ORDER BY v <-> $q LIMIT 10"))
                assert f"using {chosen} on" in plan, (names, where, plan)
    finally:
        connection.execute("DROP INDEX compact, compact_share")


def test_joins(in_line):
    assert in_line.uses_index("SELECT a.id FROM items a JOIN items b ON a.id = b.id "
                              "ORDER BY a.v <-> $q LIMIT 10")
    assert not in_line.uses_index("SELECT a.id FROM items a JOIN items b ON a.id = b.share "
                                  "WHERE b.id < 200 ORDER BY a.v <-> $q LIMIT 10")
    assert in_line.uses_index("SELECT n.id FROM (SELECT v FROM items WHERE id < 20) q "
                              "CROSS JOIN LATERAL (SELECT i.id FROM items i ORDER BY i.v <-> q.v LIMIT 5) n")


def test_toasted(toasted):
    pages = toasted.connection.execute("SELECT relpages FROM pg_class WHERE relname = 'items'").fetchone()[0]
    assert pages < 100, "the vectors are not stored out of line"
    assert toasted.uses_index(NEAREST + " LIMIT 10")
    assert toasted.uses_index(NEAREST + " LIMIT 200")
    # Also for all rows: the index measures its own vectors in one pass and assembles none.
    assert toasted.uses_index(NEAREST)
    assert not toasted.uses_index(NEAREST + " DESC LIMIT 10")
    assert toasted.uses_index("SELECT id FROM items WHERE share < 1000 ORDER BY v <-> $q LIMIT 10")
    for share in (200, 10):
        assert not toasted.uses_index(f"SELECT id FROM items WHERE share < {share} ORDER BY v <-> $q LIMIT 10")


def test_filters_on_short_rows(short):
    """Where a row is small the table is read so fast that the index has to be worth its jumps."""
    for share, limit, by_index in ((1000, 10, True), (500, 10, True), (200, 20, False), (100, 10, False)):
        assert by_index == short.uses_index(
            f"SELECT id FROM items WHERE share < {share} ORDER BY v <-> $q LIMIT {limit}"), share


@pytest.mark.parametrize("rows, by_index", [(10, False), (1000, True)])
def test_small(cluster, rows, by_index):
    assert Table(cluster, rows, 128).uses_index(NEAREST + " LIMIT 10") == by_index


def test_wider_search_costs_more(in_line):
    costs = []
    for ef in (10, 100, 1000):
        in_line.connection.execute(f"SET hnsw.ef_search = {ef}")
        costs.append(in_line.cost(NEAREST + " LIMIT 10"))
    in_line.connection.execute("RESET hnsw.ef_search")
    assert costs == sorted(costs) and costs[2] > 10 * costs[0], costs


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("way", ["chosen", "index"])
def test_filtered_answers(in_line, name, way):
    """Ten rows, and nearly those that the exact search finds, at the default ef_search; by the plan of
    the planner's choice and by the index in any case."""
    connection = in_line.connection
    kept = np.flatnonzero(in_line.share < FILTERS[name])
    found = 0
    with connection.transaction():
        if way == "index":
            answers.force_index(connection, ef_search=40)
        for number, vector in enumerate(in_line.queries):
            exact = vectors.distances("l2", in_line.points[kept], vector)
            wanted = set(kept[np.argsort(exact)[:LIMIT]].tolist())
            hits = connection.execute(in_line.query(
                f"SELECT id FROM items WHERE share < {FILTERS[name]} ORDER BY v <-> $q LIMIT {LIMIT}",
                number)).fetchall()
            assert len(hits) == len({hit[0] for hit in hits}) == LIMIT
            found += len(wanted & {hit[0] for hit in hits})
        for setting in ("enable_seqscan", "enable_bitmapscan", "hnsw.ef_search"):
            connection.execute(f"RESET {setting}")
    recall = found / (QUERIES * LIMIT)
    print(f"recall@{LIMIT} with a filter of {name} ({way}): {recall:.4f}")
    assert recall >= 0.95, f"recall@{LIMIT} with a filter of {name} is {recall:.4f}"
