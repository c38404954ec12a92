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


@pytest.mark.parametrize("page, least", [("slow-queries.md", 8), ("choosing.md", 8), ("questions.md", 6)])
def test_examples_of_page(cluster, page, least):
    table, *others = examples(page)
    assert len(others) >= least
    connection = cluster.connect()
    printed(connection, table[0])
    with connection.cursor().copy("COPY items FROM STDIN") as copy:
        for i, row in enumerate(vectors.clustered(8000, 64, seed=512)):
            copy.write_row((i, i % 500, vectors.text(row)))
    connection.execute("VACUUM ANALYZE items")
    connection.execute("SET max_parallel_workers_per_gather = 0")
    wait_until(lambda: connection.execute("SELECT tail FROM dvec_indexes").fetchall() == [(0,)], "all is linked")
    for statements, shown in others:
        found = {words(line) for line in printed(connection, statements)}
        for line in shown:
            assert words(line) in found, f"{statements}\nhas no line\n{line}\nbut\n" + "\n".join(found)
