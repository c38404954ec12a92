"""VectorSearch in the middle of what others do: rows that change while they are being locked, many draws of
filters and limits, counted work."""

import bisect
import random
import re
import threading

import numpy as np
import pytest

import vectors
from answers import plan_of
from cluster import wait_until

DIMENSIONS = 16
ROWS = 6000


@pytest.fixture
def table(cluster):
    connection = cluster.connect()
    connection.execute(f"CREATE TABLE loaded (id integer, v vector({DIMENSIONS}))")
    points = vectors.clustered(ROWS, DIMENSIONS, seed=18)
    vectors.copy_in(connection, "loaded", 0, points)
    connection.execute("CREATE TABLE items AS SELECT id, id % 1000 AS kind, v FROM loaded")
    connection.execute("CREATE INDEX ON items USING hnsw (v vector_l2_ops)")
    connection.execute("VACUUM ANALYZE items")
    return connection, points


def query_of(points, number, rest, where="true"):
    return (f"SELECT id FROM items WHERE {where} ORDER BY v <-> '{vectors.text(points[number])}' "
            f"LIMIT {rest}")


def test_a_row_changed_while_it_is_locked(cluster, table):
    """The row that a session waits for no longer passes the condition when it gets it, so that the next
    one is taken, or passes it in another version: PostgreSQL checks it again, through the node."""
    connection, points = table
    connection.execute("SET enable_seqscan = off")
    statement = query_of(points, 7, "2 FOR UPDATE", "kind <> 3")
    first, second, third = [row[0] for row in
                            connection.execute(query_of(points, 7, "3", "kind <> 3"))]
    for change, expected in (("kind = 3", {second, third}), ("kind = 5", {first, second})):
        other = cluster.connect(autocommit=False)
        other.execute(f"UPDATE items SET {change} WHERE id = {first}")
        found = []
        with cluster.connect_for_thread() as waiting:
            waiting.execute("SET enable_seqscan = off")
            [[pid]] = waiting.execute("SELECT pg_backend_pid()").fetchall()
            thread = threading.Thread(target=lambda: found.extend(waiting.execute(statement).fetchall()))
            thread.start()
            wait_until(lambda: connection.execute(
                "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
                [pid]).fetchall(), "the session waits for the row")
            other.commit()
            thread.join()
        assert {row[0] for row in found} == expected, change
        connection.execute(f"UPDATE items SET kind = mod(id, 1000) WHERE id = {first}")


def answer(connection, statement, setting):
    connection.execute(f"SET {setting} = off")
    rows = [row[0] for row in connection.execute(statement)]
    connection.execute(f"RESET {setting}")
    return rows


def test_filters_of_every_strength(table):
    """Ten rows, or as many as pass: the same ones when they cannot be ten, nearly the same when they are."""
    connection, points = table
    draw = random.Random(18)
    found = wanted = 0
    for _ in range(60):
        below = draw.choice([1, 1, 2, 5, 20, 100, 500, 1000])
        statement = query_of(points, draw.randrange(ROWS), draw.choice([1, 10, 50]), f"kind < {below}")
        with_index = answer(connection, statement, "enable_seqscan")
        without = answer(connection, statement, "enable_indexscan")
        assert len(with_index) == len(set(with_index)) == len(without), statement
        if below * ROWS // 1000 <= len(without):
            assert with_index == without, statement
        found += len(set(with_index) & set(without))
        wanted += len(without)
    assert found >= 0.98 * wanted


def test_work_in_vain_is_bounded(table):
    """No row passes and the planner does not know: few of the rows are handed out."""
    connection, points = table
    connection.execute("SET enable_seqscan = off")
    statement = query_of(points, 3, "10", "kind % 1000 = -1")
    plan = "\n".join(row[0] for row in connection.execute(
        "EXPLAIN (ANALYZE, COSTS off, TIMING off) " + statement))
    assert "Changes to Exact Search: 1" in plan
    [handed_out] = re.findall(r"Index Rows: (\d+)", plan)
    assert int(handed_out) < ROWS / 10, plan


def counts(connection, statement):
    """Rows that the index has handed out, and changes to the exact search."""
    plan = "\n".join(row[0] for row in connection.execute(
        "EXPLAIN (ANALYZE, COSTS off, TIMING off) " + statement))
    return [int(re.search(name + r": (\d+)", plan)[1])
            for name in ("Index Rows", "Changes to Exact Search")]


def test_rows_at_hand_are_used(table):
    """A LIMIT widens the first round, which then costs more than may be spent in vain. Its rows are the
    answer all the same, if enough of them pass; if not, the exact search gives it."""
    connection, points = table
    connection.execute("SET enable_seqscan = off")
    enough = query_of(points, 3, "150", "kind % 1000 < 800")
    handed_out, changes = counts(connection, enough)
    assert changes == 0 and 150 <= handed_out <= 225
    found = answer(connection, enough, "enable_seqscan")
    assert len(set(found) & set(answer(connection, enough, "enable_indexscan"))) >= 140
    too_few = query_of(points, 3, "150", "kind % 1000 < 100")
    connection.execute("SET enable_seqscan = off")
    handed_out, changes = counts(connection, too_few)
    assert changes == 1 and handed_out <= 225
    assert answer(connection, too_few, "enable_seqscan") == \
        answer(connection, too_few, "enable_indexscan")


def test_no_row_is_lost_where_it_is_not_known_how_many_are_wanted(cluster):
    """Rows are returned as the index finds them, by a walk that misses some. When it has cost enough, the
    exact search returns all others, those that are nearer, too."""
    connection = cluster.connect()
    draw = np.random.default_rng(18)
    rows = draw.random((ROWS, DIMENSIONS), dtype=np.float32)
    vectors.make_table(connection, rows)
    connection.execute("ANALYZE items")
    for setting in ("enable_seqscan", "enable_nestloop", "enable_mergejoin"):
        connection.execute(f"SET {setting} = off")
    connection.execute("SET hnsw.ef_search = 1")
    other = cluster.connect(autocommit=False)
    joined = ("SELECT items.id FROM items JOIN (SELECT DISTINCT id % 1000 AS kind FROM items WHERE id % 1000 < 300) kinds"
              " ON kinds.kind = items.id % 1000")
    connection.execute("CREATE TABLE kinds AS SELECT kind FROM generate_series(0, 299) AS kind; ALTER TABLE kinds ADD PRIMARY KEY (kind)")
    kept = ("SELECT items.id FROM items CROSS JOIN LATERAL"
            " (SELECT FROM kinds WHERE kind = items.id % 1000 LIMIT 1) AS kinds")
    few = {id for id in range(ROWS) if id % 1000 < 30}
    for query in draw.random((10, DIMENSIONS)):
        order = f"ORDER BY v <-> '{vectors.text(query)}' LIMIT"
        handed_out, changes = counts(connection, f"{joined} {order} 9000")
        assert changes == 1 and 0 < handed_out < ROWS
        ids = [row[0] for row in connection.execute(f"{joined} {order} 9000")]
        assert sorted(ids) == [id for id in range(ROWS) if id % 1000 < 300]
        # Where the join keeps their order they come in it, and those that the walk has missed, which are few, at the very end.
        ids = [row[0] for row in connection.execute(f"{kept} {order} 9000")]
        assert sorted(ids) == [id for id in range(ROWS) if id % 1000 < 300]
        distances = vectors.distances("l2", rows, query)[ids]
        in_order = np.argmax(np.append(np.diff(distances) < -1e-6, True)) + 1
        assert in_order >= 0.95 * len(ids) and (np.diff(distances[in_order:]) >= -1e-6).all()
        assert len(ids) == in_order or distances[in_order:].max() <= distances[:in_order].max()
        # By rounded distances likewise, among which a row that is farther may come before one that is nearer.
        rounded = f"{kept} ORDER BY round((v <-> '{vectors.text(query)}')::numeric, 0) LIMIT 9000"
        assert counts(connection, rounded)[1] == 1
        ids = [row[0] for row in connection.execute(rounded)]
        assert sorted(ids) == [id for id in range(ROWS) if id % 1000 < 300]
        locked = {row[0] for row in other.execute(
            f"SELECT id FROM items WHERE id % 1000 < 30 {order} 20 FOR UPDATE")}
        # What the other has not locked, in three limits, the last of which is more than there is.
        for limit, found in ((20, 20), (150, 150), (1000, len(few) - len(locked))):
            ids = [row[0] for row in connection.execute(
                f"SELECT id FROM items WHERE id % 1000 < 30 {order} {limit} FOR UPDATE SKIP LOCKED")]
            assert len(ids) == len(set(ids)) == found and set(ids) <= few - locked
        other.rollback()


def test_what_was_returned_is_remembered_in_work_mem(cluster):
    """When the TIDs of rows that the index has returned have filled it, the exact search returns all others."""
    connection = cluster.connect()
    # Vectors that are stored out of line: the exact search is dear, so that the index may go far.
    vectors.make_table(connection, np.random.default_rng(18).random((16000, 520), dtype=np.float32),
                       options="WITH (m = 8, ef_construction = 16)")
    connection.execute("ANALYZE items")
    for setting in ("enable_seqscan", "enable_nestloop", "enable_mergejoin"):
        connection.execute(f"SET {setting} = off")
    connection.execute("SET work_mem = '64kB'")
    statement = ("SELECT items.id FROM items JOIN (SELECT DISTINCT id % 100 AS kind FROM items) kinds"
                 " ON kinds.kind = items.id % 100 ORDER BY v <-> (SELECT v FROM items WHERE id = 5) LIMIT 20000")
    handed_out, changes = counts(connection, statement)
    assert changes == 1 and 0 < handed_out <= 65536 // 6 + 1
    assert sorted(row[0] for row in connection.execute(statement)) == list(range(16000))


def test_minimum(table):
    """MIN() asks for distances that are not NULL, which all rows of an index have. Where other conditions
    are checked on the rows as well, the planner knows that the node would only sort them."""
    connection, points = table
    distance = f"v <-> '{vectors.text(points[3])}'"
    least = f"SELECT min({distance}) FROM items"
    connection.execute("SET enable_seqscan = off")
    assert counts(connection, least) == [1, 0]
    assert connection.execute(least).fetchall() == [(0,)]
    assert connection.execute("SELECT min(v <-> (SELECT v FROM items WHERE false)) FROM items").fetchall() == [(None,)]
    connection.execute("RESET enable_seqscan")
    for statement in (least + " WHERE kind % 1000 < 500",
                      f"SELECT id, rank() OVER (ORDER BY {distance}) FROM items WHERE kind % 1000 < 500"):
        plan = "\n".join(row[0] for row in connection.execute("EXPLAIN (COSTS off) " + statement))
        assert "VectorSearch" not in plan, plan


def test_more_than_the_planner_thinks(table):
    """Most of the table has been deleted since the planner learned its size."""
    connection, points = table
    connection.execute("DELETE FROM items WHERE id >= 5")
    for statement in (query_of(points, 3, "4"), query_of(points, 3, "5"),
                      query_of(points, 3, "10", "kind < 900"), query_of(points, 3, "200")):
        assert sorted(answer(connection, statement, "enable_seqscan")) == \
            sorted(answer(connection, statement, "enable_indexscan")), statement


def analyzed(connection, statement):
    """The VectorSearch of a plan that was run, with what it has counted."""
    [[[plan]]] = connection.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement).fetchall()
    nodes = [plan["Plan"]]
    while nodes:
        node = nodes.pop()
        if node["Node Type"] == "Custom Scan":
            return node
        nodes += node.get("Plans", [])
    raise AssertionError(plan)


def test_a_returned_distance_is_not_computed_again(cluster):
    """The exact search has measured every row in the table's order. A vector stored out of line costs pages
    whenever it is read, which after the sort lie here and there."""
    connection = cluster.connect()
    connection.execute("CREATE TABLE long (id integer, v vector(768))")
    connection.execute("ALTER TABLE long ALTER v SET STORAGE EXTERNAL")
    points = vectors.clustered(600, 768, seed=19)
    vectors.copy_in(connection, "long", 0, points)
    connection.execute("CREATE INDEX ON long USING hnsw (v vector_l2_ops)")
    connection.execute("VACUUM ANALYZE long")
    distance = f"(v <-> '{vectors.text(points[5])}')"
    statement = f"SELECT id, 1 - {distance}, {distance} FROM long WHERE {distance} < 1000 ORDER BY {distance}"
    node = analyzed(connection, statement)
    assert node["Changes to Exact Search"] == 1, node
    pages = [plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in [node] + node["Plans"]]
    assert pages[0] == sum(pages[1:]) > 600, pages
    found = connection.execute(statement).fetchall()
    connection.execute("SET enable_indexscan = off")
    assert found == connection.execute(statement).fetchall()


def test_a_table_that_does_not_stay_in_memory(make_cluster):
    """The rows of a range are fetched here and there. Where that is seen to take a page each, reading the whole
    table costs less, and what was returned is not returned again."""
    for buffers, changes in (("128kB", 1), ("64MB", 0)):
        connection = make_cluster(shared_buffers=buffers).connect()
        points = vectors.clustered(ROWS, DIMENSIONS, seed=20)
        vectors.make_table(connection, points)
        connection.execute("VACUUM ANALYZE items")
        distance = f"v <-> '{vectors.text(points[3])}'"
        [[radius]] = connection.execute(
            f"SELECT max(d) FROM (SELECT {distance} AS d FROM items ORDER BY 1 LIMIT 200) s").fetchall()
        connection.execute("SELECT sum(id) FROM items")
        statement = f"SELECT id, {distance} FROM items WHERE {distance} <= {radius!r} ORDER BY {distance}"
        node = analyzed(connection, statement)
        assert node["Changes to Exact Search"] == changes, node
        assert node["Index Rows"] == 200 if changes == 0 else 32 <= node["Index Rows"] < 200, node
        found = connection.execute(statement).fetchall()
        connection.execute("SET enable_indexscan = off")
        assert found == connection.execute(statement).fetchall() and len(found) == 200


def test_an_index_that_has_all_rows_is_enough(table):
    """A LIMIT that is not filled when the index has no more rows wants those without a vector, which come last.
    Where no row ever was without one, the table is not read for them."""
    connection, points = table
    connection.execute("CREATE INDEX filtered ON items USING hnsw (v vector_l2_ops, kind)")
    connection.execute("SET enable_seqscan = off")
    statement = query_of(points, 7, "10", "kind = 77")

    def answer(rows, changes):
        node = analyzed(connection, statement)
        assert node["Changes to Exact Search"] == changes, node
        found = connection.execute(statement).fetchall()
        connection.execute("SET enable_indexscan = off")
        assert found == connection.execute(statement).fetchall() and len(found) == rows
        connection.execute("RESET enable_indexscan")

    answer(rows=6, changes=0)
    connection.execute("UPDATE items SET v = NULL WHERE id = 1077")
    answer(rows=6, changes=1)
    connection.execute("DELETE FROM items WHERE kind = 77")
    answer(rows=0, changes=1)


def test_the_exact_search_uses_an_index_on_a_condition(table):
    """Also where the planner has dropped its path, because that of the vector's index cost less."""
    connection, points = table
    connection.execute("CREATE INDEX of_kind ON items (kind)")
    connection.execute("CREATE INDEX filtered ON items USING hnsw (v vector_l2_ops, kind, id)")
    connection.execute("DROP INDEX items_v_idx")
    connection.execute("ANALYZE items")
    for where in ("kind < 20 AND id < 300", "kind < 30 AND id < 200", "kind < 60"):
        node = analyzed(connection, query_of(points, 7, "3", where))
        index, exact = node["Plans"]
        assert index["Index Name"] == "filtered" and "of_kind" in str(exact), (where, exact)


def test_the_exact_search_begins_when_it_is_needed(table):
    """In a later rescan with other parameters, again after that, and not in those that the index fills."""
    connection, points = table
    connection.execute("CREATE INDEX by_kind ON items (kind); ANALYZE items")
    asked = f"""
        SELECT k, n.id FROM (VALUES (0, 900), (1, 1), (2, 900), (3, 0), (4, 999), (5, 1)) w (k, below)
        CROSS JOIN LATERAL (SELECT id FROM items WHERE kind < w.below
                            ORDER BY v <-> '{vectors.text(points[11])}' LIMIT 5) n"""
    connection.execute("SET enable_seqscan = off")
    assert analyzed(connection, asked)["Changes to Exact Search"] >= 2
    found = connection.execute(asked).fetchall()
    assert {k for k, _ in found} == {0, 1, 2, 4, 5}
    connection.execute("SET enable_indexscan = off")
    assert sorted(found) == sorted(connection.execute(asked).fetchall())


def test_a_plan_is_shown_whole_that_nobody_had_asked_to_see(cluster, table):
    """auto_explain shows a plan at its end, whose exact search has not been needed."""
    connection, points = table
    connection.execute("LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET enable_seqscan = off")
    begin = len(cluster.log_text())
    connection.execute("PREPARE asked (integer) AS " + query_of(points, 7, "10", "kind < $1"))
    for _ in range(7):
        connection.execute("EXECUTE asked (900)")
    logged = cluster.log_text()[begin:]
    assert logged.count("Custom Scan (VectorSearch)") == 7
    assert logged.count("->  Seq Scan on items") == 7, logged


def test_a_limit_that_grows_from_scan_to_scan(table):
    """A join without parameters of its own has what is below it keep the rows that it has sorted. They are too few
    when the next LIMIT is larger."""
    connection, points = table
    for setting in ("enable_seqscan", "enable_material", "enable_hashjoin", "enable_mergejoin"):
        connection.execute(f"SET {setting} = off")
    asked = f"""
        SELECT w.rows, r, near.id FROM (VALUES (2), (5), (1), (6)) w (rows) CROSS JOIN LATERAL
            (SELECT r, n.id FROM generate_series(1, 2) r LEFT JOIN LATERAL
                (SELECT id FROM items WHERE kind % 1000 = 7
                 ORDER BY v <-> '{vectors.text(points[11])}' LIMIT w.rows) n ON true OFFSET 0) near"""
    assert analyzed(connection, asked)["Changes to Exact Search"] == 8
    nearest = answer(connection, query_of(points, 11, "6", "kind = 7"), "enable_indexscan")
    connection.execute("SET enable_seqscan = off")
    assert connection.execute(asked).fetchall() == \
        [(rows, r, id) for rows in (2, 5, 1, 6) for r in (1, 2) for id in nearest[:rows]]


def subplans(node):
    """Those below a node of a plan."""
    for child in node.get("Plans", []):
        if child["Parent Relationship"] == "SubPlan":
            yield child
        yield from subplans(child)


def test_a_subquery_of_a_condition_is_executed_once(table):
    """Its hash table serves both children, in whichever it was made, in rescans as well. One that has a parameter is
    made anew for each value, and by each of them."""
    connection, points = table
    connection.execute("CREATE TABLE kinds AS SELECT kind, of FROM generate_series(0, 999) kind, generate_series(1, 2) of"
                       " WHERE kind <> 6 + of; ANALYZE kinds; SET enable_seqscan = off")

    def near(where, limit):
        return (f"(SELECT id FROM items WHERE {where} ORDER BY v <-> '{vectors.text(points[7])}' "
                f"LIMIT {limit}) n")

    passing = "kind NOT IN (SELECT kind FROM kinds WHERE of = 1)"
    node = analyzed(connection, "SELECT id FROM " + near(passing, 10))
    assert node["Changes to Exact Search"] == 1, node
    assert [plan["Actual Loops"] for plan in subplans(node)] == [1], node

    # Numbers of rows that the index has, and has not, before it has cost too much.
    rescanned = ("SELECT w.rows, n.id FROM (VALUES (1), (900), (2), (800)) w (rows) CROSS JOIN LATERAL "
                 + near("kind NOT IN (SELECT kind FROM kinds WHERE of = 1 AND kind > 900)", "w.rows"))
    node = analyzed(connection, rescanned)
    assert node["Changes to Exact Search"] == 2, node
    assert [plan["Actual Loops"] for plan in subplans(node)] == [1], node

    correlated = ("SELECT w.of, n.id FROM (VALUES (1), (2), (1), (3)) w (of) CROSS JOIN LATERAL "
                  + near("kind NOT IN (SELECT kind FROM kinds WHERE of = w.of)", 10))
    for statement in ("SELECT id FROM " + near(passing, 10), rescanned, correlated):
        found = connection.execute(statement).fetchall()
        connection.execute("SET enable_indexscan = off")
        exact = connection.execute(statement).fetchall()
        connection.execute("RESET enable_indexscan")
        if statement is rescanned:
            assert len(found) == len(set(found)) == len(exact)
        else:
            assert found == exact, statement


def test_what_nobody_reads_is_not_sorted(cluster):
    """A vector that is stored in line is most of a row, and read for its distance only."""
    connection = cluster.connect()
    points = vectors.clustered(3000, 384, seed=21)
    vectors.make_table(connection, points)
    connection.execute("VACUUM ANALYZE items")
    connection.execute("SET enable_seqscan = off; SET work_mem = '256kB'")
    distance = f"v <-> '{vectors.text(points[5])}'"
    for columns, space in (("id", "Memory"), (f"id, {distance}", "Memory"), (f"id - 1, ctid, 2 * ({distance})", "Memory"),
                           ("id, v", "Disk"), ("items", "Disk")):
        # Fewer rows than the limit, which is no large part of the table.
        statement = f"SELECT {columns} FROM items WHERE id % 10 = 0 ORDER BY {distance} LIMIT 370"
        node = analyzed(connection, statement)
        assert node["Changes to Exact Search"] == 1, node
        sort = node["Plans"][1]
        assert (sort["Node Type"], sort["Sort Space Type"]) == ("Sort", space), (columns, sort)
        found = connection.execute(statement).fetchall()
        connection.execute("SET enable_indexscan = off")
        assert len(found) == 300 and found == connection.execute(statement).fetchall(), columns
        connection.execute("RESET enable_indexscan")


def test_a_query_that_takes_the_order_from_a_limit(cluster):
    """It does not sort what it ranks, groups or returns by the distance. Rows that the walk has missed may be missing,
    and must not come out of order."""
    connection = cluster.connect()
    draw = np.random.default_rng(22)
    rows = draw.random((ROWS, DIMENSIONS), dtype=np.float32)
    vectors.make_table(connection, rows)
    connection.execute("ANALYZE items; CREATE TABLE kinds AS SELECT kind FROM generate_series(0, 299) AS kind;"
                       " ALTER TABLE kinds ADD PRIMARY KEY (kind)")
    for setting in ("enable_seqscan = off", "enable_sort = off", "enable_hashagg = off", "hnsw.ef_search = 1"):
        connection.execute("SET " + setting)
    for query in draw.random((10, DIMENSIONS)):
        near = (f"(SELECT items.id, v <-> '{vectors.text(query)}' AS d FROM items CROSS JOIN LATERAL"
                " (SELECT FROM kinds WHERE kind = items.id % 1000 LIMIT 1) AS kinds ORDER BY d LIMIT 9000) s")
        assert counts(connection, "SELECT * FROM " + near)[1] == 1
        for statement in ("SELECT id, d, rank() OVER (ORDER BY d) FROM " + near,
                          "SELECT min(id), d, count(*) FROM " + near + " GROUP BY d",
                          "SELECT id, d, 1 FROM " + near + " ORDER BY d"):
            ids, found, places = zip(*connection.execute(statement).fetchall())
            assert list(found) == sorted(found), statement
            assert 1700 < len(set(ids)) == len(ids) <= 1800 and {id % 1000 for id in ids} <= set(range(300))
            if "rank" in statement:
                assert list(places) == [1 + bisect.bisect_left(found, d) for d in found]
            if "GROUP" in statement:
                assert len(found) == len(set(found))
        [[ids, found]] = connection.execute(
            "SELECT array_agg(id ORDER BY d), array_agg(d ORDER BY d) FROM " + near).fetchall()
        assert found == sorted(found) and len(ids) > 1700


def test_rows_from_before_a_column_was_not_null(cluster):
    """NOT NULL … NOT VALID binds new rows only. Without a distance, former ones come first in a descending order."""
    connection = cluster.connect()
    if connection.info.server_version < 180000:
        pytest.skip("before PostgreSQL 18 all rows satisfy NOT NULL")
    points = vectors.clustered(500, DIMENSIONS, seed=23)
    vectors.make_table(connection, points)
    connection.execute("INSERT INTO items SELECT id, NULL FROM generate_series(500, 502) AS id; ANALYZE items;"
                       " ALTER TABLE items ADD CONSTRAINT known NOT NULL v NOT VALID; SET enable_seqscan = off")
    asked = f"SELECT id FROM items ORDER BY 1 - (v <-> '{vectors.text(points[5])}') DESC LIMIT 4"

    def found():
        assert "Order By:" in plan_of(connection, asked)
        return [id for [id] in connection.execute(asked)]
    assert set(found()) == {5, 500, 501, 502}
    connection.execute("UPDATE items SET v = '%s' WHERE v IS NULL" % vectors.text(points[5] + np.float32(1)))
    connection.execute("ALTER TABLE items VALIDATE CONSTRAINT known")
    assert found()[0] == 5


def test_every_scan_is_weighed_alike(table):
    """How many rows the scan before has handed out, for other parameters, says nothing of the next."""
    connection, points = table
    connection.execute("SET enable_seqscan = off; SET enable_memoize = off")
    asked = f"""
        SELECT w.below, n.id FROM (VALUES (900), (901), (902)) w (below) CROSS JOIN LATERAL
            (SELECT id FROM items WHERE kind < w.below
             ORDER BY v <-> '{vectors.text(points[11])}' FETCH FIRST 3 ROWS WITH TIES) n"""
    assert analyzed(connection, asked)["Changes to Exact Search"] in (0, 3)
