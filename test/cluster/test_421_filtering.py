"""The examples of docs/filtering.md do what the page says: each is marked as one whose conditions an index
checks, or as one of which it leaves some to the table's rows."""

import pathlib
import re

import pytest

import vectors
from cluster import Cluster

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "filtering.md"
EXAMPLE = re.compile(r"<!-- (condition|filter) -->\n```sql\n(.*?);?\n```", re.DOTALL)
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = EXAMPLE.findall(TEXT)
[DEFINITION] = re.findall(r"^CREATE INDEX .*;$", TEXT, re.MULTILINE)


def test_page_has_examples():
    assert sum(kind == "condition" for kind, _ in EXAMPLES) > 5
    assert sum(kind == "filter" for kind, _ in EXAMPLES) > 0


@pytest.fixture(scope="module", name="connection")
def make_connection(request, prepared_template):
    cluster = Cluster(prepared_template)
    request.addfinalizer(cluster.destroy)
    cluster.start()
    connection = cluster.connect()
    for table in ("products", "plain"):
        connection.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, tenant_id integer, price numeric, "
                           "created timestamptz, tags text[], embedding vector(3) NOT NULL)")
        with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
            for i, row in enumerate(vectors.clustered(3000, 3, seed=421) * 3):
                tags = "{" + ("red," if i % 3 else "blue,") + ("small" if i % 7 < 3 else "large") + "}"
                copy.write_row((i, i % 10, i % 90, f"2024-0{1 + i % 3}-{1 + i % 28:02}", tags, vectors.text(row)))
    connection.execute(DEFINITION)
    connection.execute("ANALYZE products, plain")
    # Of so few rows a plan that reads the table may be as good.
    connection.execute("SET enable_seqscan = off; SET enable_sort = off")
    return connection


@pytest.mark.parametrize("kind,query", EXAMPLES, ids=range(len(EXAMPLES)))
def test_example(connection, kind, query):
    plan = "\n".join(row[0] for row in connection.execute("EXPLAIN " + query))
    assert ("Index Cond:" in plan) == (kind == "condition"), f"{query}\n{plan}"
    rows = connection.execute(query).fetchall()
    wanted = connection.execute(re.sub(r"\bproducts\b", "plain", query)).fetchall()
    assert wanted, f"no row to compare: {query}"
    assert rows == wanted, query
