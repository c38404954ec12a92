"""The examples of docs/writing-queries.md do what the page says: each is marked as one that an index
answers or one that it does not."""

import pathlib
import re

import pytest

import vectors
from cluster import Cluster

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "writing-queries.md"
EXAMPLE = re.compile(r"<!-- (index|exact) -->\n```sql\n(.*?);?\n```", re.DOTALL)
EXAMPLES = EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))


def test_page_has_examples():
    assert sum(kind == "index" for kind, _ in EXAMPLES) > 10
    assert sum(kind == "exact" for kind, _ in EXAMPLES) > 3


@pytest.fixture(scope="module", name="connection")
def make_connection(request, prepared_template):
    cluster = Cluster(prepared_template)
    request.addfinalizer(cluster.destroy)
    cluster.start()
    connection = cluster.connect()
    for table in ("items", "plain"):
        connection.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, category integer, embedding vector(3))")
        with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
            for i, row in enumerate(vectors.clustered(3000, 3, seed=410) * 3):
                copy.write_row((i, i % 5, vectors.text(row)))
    for operator_class in ("vector_cosine_ops", "vector_l2_ops", "vector_ip_ops"):
        connection.execute(f"CREATE INDEX ON items USING hnsw (embedding {operator_class})")
    connection.execute("ANALYZE items, plain")
    connection.execute("SET max_parallel_workers_per_gather = 0")
    return connection


@pytest.mark.parametrize("kind,query", EXAMPLES, ids=range(len(EXAMPLES)))
def test_example(connection, kind, query):
    plan = "\n".join(row[0] for row in connection.execute("EXPLAIN " + query))
    assert ("Order By:" in plan) == (kind == "index"), f"{query}\n{plan}"
    rows = connection.execute(query).fetchall()
    wanted = connection.execute(re.sub(r"\bitems\b", "plain", query)).fetchall()
    if "ORDER BY" not in query:
        rows, wanted = sorted(rows), sorted(wanted)
    assert wanted, f"no row to compare: {query}"
    assert rows == wanted, query
