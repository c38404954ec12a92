"""Asking an index, and checking its answers against the table itself."""

import collections
import time

import vectors


def force_index(connection, ef_search=200):
    """From now on the session orders by the index wherever one fits."""
    connection.execute("SET enable_seqscan = off")
    connection.execute("SET enable_bitmapscan = off")
    # What rows_in_table sets lasts to the end of a transaction that goes on.
    connection.execute("SET enable_indexscan = on")
    connection.execute(f"SET hnsw.ef_search = {ef_search}")


def plan_of(connection, query, parameters=None):
    return "\n".join(row[0] for row in connection.execute("EXPLAIN (COSTS off) " + query, parameters))


def check_plan(connection, query, parameters=None):
    """The query must be answered by an hnsw index: otherwise it would test nothing. Planning opens the
    index; while another session does that, or it needs a repair, plans avoid it."""
    plan = plan_of(connection, query, parameters)
    deadline = time.monotonic() + 30
    again = 3  # whoever was at it while the plan was made may be done by now
    while "Order By:" not in plan and (again > 0 or in_repair(connection)) and time.monotonic() < deadline:
        again -= 1
        time.sleep(0.02)
        plan = plan_of(connection, query, parameters)
    assert "Order By:" in plan and "Index Scan" in plan, f"no index in the plan of {query}:\n{plan}"


def in_repair(connection):
    """Some index of this database is not ready yet. (Nor is the plan sure to be newer than this look, so
    a repair that ended a moment ago counts.)"""
    return connection.execute(
        "SELECT 1 FROM dvec_indexes WHERE state <> 'closed' AND (state <> 'ready' OR repaired > 0)"
    ).fetchall()


def nearest(connection, table, query, limit, operator="<->"):
    """Ids and distances through the index."""
    statement = (f"SELECT id, v {operator} %(q)s::vector FROM {table} "
                 f"ORDER BY v {operator} %(q)s::vector LIMIT {limit}")
    parameters = {"q": vectors.text(query)}
    return connection.execute(statement, parameters).fetchall()


def ids_by_index(connection, table, query, operator="<->"):
    """All ids the index returns, in its order."""
    statement = f"SELECT id FROM {table} ORDER BY v {operator} %s::vector"
    parameters = [vectors.text(query)]
    check_plan(connection, statement, parameters)
    return [row[0] for row in connection.execute(statement, parameters)]


def rows_in_table(connection, columns, table, parameters=None):
    """The truth, read from the heap."""
    with connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = on")
        connection.execute("SET LOCAL enable_indexscan = off")
        return connection.execute(f"SELECT {columns} FROM {table}", parameters).fetchall()


def ids_in_table(connection, table):
    return [id for [id] in rows_in_table(connection, "id", table)]


def check_order(name, distances):
    """By distance from the first row to the last, with one exception: rows that the walk through the graph
    has missed come at the very end, in order too. There are never many. A distance of a row that differs
    from its entry's stands in the wrong place."""
    falls = [i for i in range(1, len(distances)) if distances[i] < distances[i - 1]]
    late = len(distances) - falls[0] if falls else 0
    assert len(falls) <= 1 and late <= 2 + len(distances) // 20, (
        f"{name}: out of order at {falls[:10]} of {len(distances)}: "
        f"{[(distances[i - 1], distances[i]) for i in falls[:3]]}")


def check_complete(connection, table, query, operator="<->", type_name="vector"):
    """Every visible row comes out of the index once, with its distance and in the order of these, and
    nothing else: by a search that keeps so few candidates that it walks through the graph, however small
    the index is, and leaves to the exact search what no links lead to; and by one that, mostly, measures all
    rows. `query` is a vector, or what the type reads. Nobody may write meanwhile. Returns how many rows there
    are."""
    for ef_search in (10, 200):
        force_index(connection, ef_search)
        count = check_rows(connection, table, query, operator, type_name)
    return count


def check_rows(connection, table, query, operator, type_name):
    distance = f"v {operator.replace('%', '%%')} %(q)s::{type_name}"
    columns = f"id, {distance}"
    statement = f"SELECT {columns} FROM {table} ORDER BY {distance}"
    parameters = {"q": query if isinstance(query, str) else vectors.text(query)}
    check_plan(connection, statement, parameters)
    from_index = connection.execute(statement, parameters).fetchall()
    from_heap = rows_in_table(connection, columns, table, parameters)
    missing = collections.Counter(from_heap) - collections.Counter(from_index)
    too_many = collections.Counter(from_index) - collections.Counter(from_heap)
    state = connection.execute("SELECT * FROM dvec_indexes WHERE \"table\" = %s::regclass",
                               [table]).fetchall()
    assert not missing and not too_many, (
        f"{table}: {len(missing)} of {len(from_heap)} rows missing, e.g. {sorted(missing)[:20]}; "
        f"{len(too_many)} too many, e.g. {sorted(too_many.items())[:20]}; {state}")
    check_order(f"{table} from {parameters['q']}", [d for _, d in from_index])
    return len(from_heap)


def missed_in_the_end(missed, allowed):
    """What `missed` returns as soon as it is no more than is allowed, or after ten seconds: the worker connects what
    linking has cut off when it comes to rest."""
    deadline = time.monotonic() + 10
    while True:
        rows = missed()
        if len(rows) <= allowed or time.monotonic() > deadline:
            return rows
        time.sleep(0.1)


def check_own_neighbours(connection, table):
    """Every row is the first answer to its own vector, but for the few that a graph search may miss
    by its nature. Vectors must be distinct, ids too."""
    force_index(connection)
    statement = f"""
        SELECT a.id, n.id, n.d FROM {table} a CROSS JOIN LATERAL
            (SELECT b.id, b.v <-> a.v AS d FROM {table} b ORDER BY b.v <-> a.v LIMIT 1) n
        WHERE n.id IS DISTINCT FROM a.id"""
    check_plan(connection, statement)
    [[rows]] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    wrong = missed_in_the_end(lambda: connection.execute(statement).fetchall(), rows / 500)
    assert len(wrong) <= rows / 500, (
        f"{table}: {len(wrong)} of {rows} rows not found as their own neighbour: {wrong[:10]}")


def index_state(connection, index):
    """The row of dvec_indexes, as a dictionary."""
    cursor = connection.execute("SELECT * FROM dvec_indexes WHERE index = %s::regclass", [index])
    names = [column.name for column in cursor.description]
    rows = cursor.fetchall()
    assert len(rows) == 1, f"{len(rows)} rows for {index} in dvec_indexes"
    return dict(zip(names, rows[0]))
