"""What a search did, told by EXPLAIN, by dvec_last_searches() and in the server's log: the same numbers in all
three, and those that the data demands."""

import re

import psycopg
import pytest

import vectors
from cluster import wait_until
from worker import stop_in_its_sleep, stopped

ROWS = vectors.clustered(3000, 16, seed=344)
COUNTS = {"Index Rows": "rows", "Index Distances": "distances", "Index Estimates": "estimates",
          "Index Nodes": "nodes", "Index Rounds": "rounds", "Index Tail": "tail", "Index Refused": "refused",
          "Index Exact Searches": "exact_searches", "Index Candidates": "ef_search"}


@pytest.fixture
def table(cluster):
    connection = cluster.connect()
    vectors.make_table(connection, ROWS)
    connection.execute("ALTER TABLE items ADD kind integer")
    connection.execute("UPDATE items SET kind = id % 10")
    connection.execute("VACUUM ANALYZE items")
    connection.execute("SET enable_seqscan = off")
    connection.execute("SET max_parallel_workers_per_gather = 0")
    wait_until(lambda: connection.execute("SELECT tail FROM dvec_indexes").fetchall() == [(0,)], "all is linked")
    return connection


def last_searches(connection):
    cursor = connection.execute("SELECT * FROM dvec_last_searches()")
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]


def last_search(connection):
    [row] = last_searches(connection)
    return row


def nearest(rest, number=5, where="true"):
    return f"SELECT id FROM items WHERE {where} ORDER BY v <-> '{vectors.text(ROWS[number])}' {rest}"


def nodes_of(connection, statement):
    [[[plan]]] = connection.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + statement).fetchall()
    nodes = [plan["Plan"]]
    for node in nodes:
        nodes += node.get("Plans", [])
    return nodes


def shown(node):
    return {COUNTS[label]: node[label] for label in COUNTS if label in node}


def test_explain_shows_what_the_function_does(table):
    for statement, rows in ((nearest("LIMIT 7"), 7), (nearest("LIMIT 60"), 60)):
        scans = [node for node in nodes_of(table, statement) if node["Node Type"] == "Index Scan"]
        counted = last_search(table)
        assert (counted["index"], counted["searches"], counted["rows"]) == ("items_v_idx", 1, rows)
        assert counted["distances"] >= counted["nodes"] >= 7, counted
        assert counted["estimates"] == 0, "without link codes"
        assert counted["ef_search"] == max(40, rows * 3 // 2)
        assert counted["rounds"] == 0, counted
        if table.info.server_version >= 180000:
            assert shown(scans[0]) == {name: counted[name] for name in COUNTS.values()}
        else:
            assert shown(scans[0]) == {}


def test_a_limit_that_changes_from_scan_to_scan(table):
    """It is looked for in the plan once, and read for each search."""
    def distances(*limits):
        table.execute(f"""SELECT count(n.id) FROM unnest(ARRAY{list(limits)}) wanted
            CROSS JOIN LATERAL ({nearest("LIMIT wanted")}) n""")
        counted = last_search(table)
        assert (counted["searches"], counted["rows"]) == (len(limits), sum(limits))
        return counted["distances"]

    assert distances(80) > distances(5)
    assert distances(5, 80, 5) == distances(80) + 2 * distances(5)


def test_explain_of_vector_search(table):
    table.execute("SET hnsw.ef_search = 5")
    # The pages that the search needs are in the session's memory: waiting for them would count, and might make the table
    # the better choice.
    statement = nearest("LIMIT 7", where="kind < 5")
    table.execute(statement)
    nodes = nodes_of(table, statement)
    [search] = [node for node in nodes if node["Node Type"] == "Custom Scan"]
    counted = last_search(table)
    assert shown(search) == {name: counted[name] for name in COUNTS.values()}
    assert counted["rows"] >= 7
    # Half of the rows pass, and the first walk keeps one and a half for each that is wanted.
    assert (counted["ef_search"], counted["rounds"] > 0) == (10, True), counted
    # The node above has shown them.
    assert all(shown(node) == {} for node in nodes if node is not search)


def test_text_leaves_out_what_was_not_done(table):
    plan = "\n".join(line for [line] in table.execute("EXPLAIN (ANALYZE) " + nearest("LIMIT 7", where="kind < 5")))
    assert "Index Nodes: " in plan and "Index Tail" not in plan and "Index Exact" not in plan
    assert "Index Refused" not in plan and "Index Estimates" not in plan


def test_what_conditions_refuse(table):
    """By the walk, which meets nodes that do not satisfy the condition, and by the pass, which looks at all rows. What is
    checked above the index is not counted."""
    table.execute(nearest("LIMIT 7", where="kind < 5"))
    assert last_search(table)["refused"] == 0
    table.execute("CREATE INDEX with_columns ON items USING hnsw (v vector_l2_ops, kind, id); "
                  "DROP INDEX items_v_idx; ANALYZE items")
    nodes = nodes_of(table, nearest("LIMIT 7", where="kind < 9"))
    walked = last_search(table)
    assert (walked["index"], walked["exact_searches"]) == ("with_columns", 0), walked
    assert 0 < walked["refused"] <= walked["distances"], walked
    [search] = [node for node in nodes if node["Node Type"] == "Custom Scan"]
    assert search["Index Refused"] == walked["refused"]
    table.execute(nearest("LIMIT 7", where="id = 17"))
    passed = last_search(table)
    assert (passed["refused"], passed["rows"], passed["exact_searches"]) == (len(ROWS) - 1, 1, 1), passed


def test_every_restart_counts(table):
    table.execute("SELECT q.id, n.id FROM items q, LATERAL (SELECT id FROM items ORDER BY v <-> q.v LIMIT 3) n "
                  "WHERE q.id BETWEEN 10 AND 29")
    counted = last_search(table)
    assert (counted["searches"], counted["rows"]) == (20, 60)


def test_all_scans_of_a_statement_by_index(cluster, table):
    table.execute("CREATE INDEX by_cosine ON items USING hnsw (v vector_cosine_ops)")
    query = vectors.text(ROWS[9])
    table.execute(f"(SELECT id FROM items ORDER BY v <-> '{query}' LIMIT 3) UNION ALL "
                  f"(SELECT id FROM items ORDER BY v <=> '{query}' LIMIT 4) UNION ALL "
                  f"(SELECT id FROM items ORDER BY v <-> '{query}' LIMIT 5)")
    rows = {row["index"]: (row["searches"], row["rows"]) for row in last_searches(table)}
    assert rows == {"items_v_idx": (2, 8), "by_cosine": (1, 4)}
    # A statement that searches nothing changes nothing, and other sessions see nothing of it.
    table.execute("SELECT count(*) FROM items")
    assert len(last_searches(table)) == 2
    assert last_searches(cluster.connect()) == []
    table.execute(nearest("LIMIT 2"))
    assert last_search(table)["rows"] == 2
    table.execute("DROP INDEX items_v_idx")
    assert last_search(table)["index"].isdigit()


def test_of_a_statement_that_failed(table):
    statement = f"SELECT 1 / (v <-> '{vectors.text(ROWS[5])}' > 0)::integer FROM ({nearest('LIMIT 9').replace('id', 'v')}) s"
    with pytest.raises(psycopg.errors.DivisionByZero):
        table.execute(statement)
    assert last_search(table)["searches"] == 1


def test_tail_and_exact_search(cluster, table):
    with stopped(cluster.worker_pid(), stop_in_its_sleep):
        vectors.copy_in(table, "items", 10000, ROWS[:25])
        table.execute(nearest("LIMIT 7"))
        counted = last_search(table)
        assert (counted["tail"], counted["exact_searches"]) == (25, 0)
    table.execute("SET hnsw.max_scan_tuples = 100")
    table.execute(nearest("LIMIT 300"))
    counted = last_search(table)
    assert counted["exact_searches"] == 1 and counted["distances"] >= len(ROWS), counted


def scans_in_log(cluster, begin):
    return re.findall(r'LOG:  duration: [\d.]+ ms  index scan on "(\w+)"\n.*DETAIL:  (.*)\n', cluster.log_text()[begin:])


def test_log(cluster, table):
    begin = len(cluster.log_text())
    table.execute(nearest("LIMIT 3"))
    assert last_search(table)["milliseconds"] is None
    table.execute("SET dvec.log_search_min_duration = 2147483647")
    table.execute(nearest("LIMIT 4"))
    assert last_search(table)["milliseconds"] >= 0
    assert scans_in_log(cluster, begin) == []
    table.execute("SET dvec.log_search_min_duration = 0")
    table.execute(nearest("LIMIT 5"))
    counted = last_search(table)
    [(index, detail)] = scans_in_log(cluster, begin)
    assert index == "items_v_idx"
    assert detail == ", ".join(f"{word}: {counted[name]}" for word, name in (
        ("searches", "searches"), ("rows", "rows"), ("distances", "distances"), ("estimates", "estimates"),
        ("nodes", "nodes"), ("rounds", "rounds"), ("tail", "tail"), ("refused", "refused"), ("exact", "exact_searches"),
        ("ef", "ef_search")))
    table.execute("CREATE ROLE somebody")
    table.execute("SET ROLE somebody")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        table.execute("SET dvec.log_search_min_duration = -1")
