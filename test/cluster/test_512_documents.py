"""The examples of the pages on slow queries and on choices: all of a page run in its order, in one session, and
where the page shows what one prints, it prints lines of those words."""

import pathlib
import re
import textwrap

import pytest

import vectors
from cluster import wait_until

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
EXAMPLE = re.compile(r"^( *)```sql\n(.*?)^ *```\n(?: *```text\n(.*?)^ *```\n)?", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"\d+(\.\d+)?(e-?\d+)?")


def examples(page):
    """(statements, the lines shown)"""
    return [(textwrap.dedent(statements), (shown or "").splitlines())
            for _, statements, shown in EXAMPLE.findall((DOCS / page).read_text(encoding="utf-8"))]


def words(line):
    """Without what differs from run to run: numbers, and how columns are set."""
    return " ".join(NUMBER.sub("N", line).split())


def shown_value(value):
    """As psql does it."""
    if isinstance(value, bool):
        return "t" if value else "f"
    return "" if value is None else str(value)


def printed(connection, statements):
    lines = []
    for statement in statements.split(";\n"):
        if statement.strip():
            cursor = connection.execute(statement)
            if cursor.description:
                lines.append(" | ".join(column.name for column in cursor.description))
                lines += [" | ".join(map(shown_value, row)) for row in cursor.fetchall()]
    return lines


def fill(connection, page):
    """Makes the page's table, and fills it."""
    printed(connection, examples(page)[0][0])
    with connection.cursor().copy("COPY items FROM STDIN") as copy:
        for i, row in enumerate(vectors.clustered(8000, 64, seed=512)):
            copy.write_row((i, i % 500, vectors.text(row)))
    connection.execute("VACUUM ANALYZE items")


@pytest.mark.parametrize("page, least", [("slow-queries.md", 8), ("choosing.md", 8), ("questions.md", 6)])
def test_examples_of_page(cluster, page, least):
    _, *others = examples(page)
    assert len(others) >= least
    connection = cluster.connect()
    fill(connection, page)
    connection.execute("SET max_parallel_workers_per_gather = 0")
    wait_until(lambda: connection.execute("SELECT tail FROM dvec_indexes").fetchall() == [(0,)], "all is linked")
    for statements, shown in others:
        found = {words(line) for line in printed(connection, statements)}
        for line in shown:
            assert words(line) in found, f"{statements}\nhas no line\n{line}\nbut\n" + "\n".join(found)


NEAREST = "SELECT id FROM items ORDER BY embedding <=> %s::vector LIMIT 10"
OF_A_ROW = "SELECT id FROM items ORDER BY embedding <=> (SELECT embedding FROM items WHERE id = 7) LIMIT 10"
OFF = "SET LOCAL enable_indexscan = off"
CUSTOM = "SET LOCAL plan_cache_mode = force_custom_plan"


def uses_index(connection, query, parameters=None, settings=(), **how):
    """Whether a search of the index is counted for it."""
    def searches():
        return connection.execute("SELECT searches FROM dvec_stat_indexes", prepare=False).fetchone()[0]

    before = searches()
    with connection.transaction():
        for setting in settings:
            connection.execute(setting, prepare=False)
        assert len(connection.execute(query, parameters, **how).fetchall()) == 10
    return searches() > before


def test_exact_search_of_prepared_statements(cluster):
    """What the page on questions warns of, and each remedy that it names."""
    connection = cluster.connect()
    fill(connection, "questions.md")
    query = [vectors.text(vectors.clustered(1, 64, seed=513)[0])]
    assert uses_index(connection, NEAREST, query) and not uses_index(connection, NEAREST, query, [OFF])
    for _ in range(15):  # psycopg prepares the statement; then the server settles upon one plan for all parameters
        connection.execute(NEAREST, query)
        connection.execute(OF_A_ROW)
    assert uses_index(connection, NEAREST, query, [OFF]) and uses_index(connection, OF_A_ROW, None, [OFF])
    assert not uses_index(connection, NEAREST, query, [OFF], prepare=False)
    assert not uses_index(connection, OF_A_ROW, None, [OFF], prepare=False)
    assert not uses_index(connection, NEAREST, query, [OFF, CUSTOM])
    assert uses_index(connection, OF_A_ROW, None, [OFF, CUSTOM])
    [measured] = [statements for statements, _ in examples("questions.md") if "MATERIALIZED" in statements]
    connection.execute("SET enable_seqscan = off")
    assert not uses_index(connection, measured.rstrip(";\n"))
    connection.execute("RESET enable_seqscan")

    # A plan that was made while the setting was off stays as well.
    other = cluster.connect()
    assert not uses_index(other, OF_A_ROW, None, [OFF], prepare=True)
    assert not uses_index(other, OF_A_ROW, None, prepare=True)

    assert uses_index(connection, NEAREST, query, [OFF])
    connection.prepare_threshold = None
    assert not uses_index(connection, NEAREST, query, [OFF])
