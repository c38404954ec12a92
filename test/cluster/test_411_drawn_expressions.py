"""Expressions of a distance are drawn, and conditions and orders made of them; answers through the index
are those of the same table without one, also where a bound is met exactly. DVEC_EXPRESSION_SEED repeats a run."""

import os

import numpy as np
import psycopg
import pytest

import vectors
from cluster import Cluster

DRAWS = int(os.environ.get("DVEC_EXPRESSION_DRAWS", 400))
SEED = int(os.environ.get("DVEC_EXPRESSION_SEED", np.random.SeedSequence().entropy % 2**32))
METRICS = {"<->": "vector_l2_ops", "<#>": "vector_ip_ops", "<+>": "vector_l1_ops", "<=>": "vector_cosine_ops"}
FUNCTIONS = {"<->": "l2_distance(v, {q})", "<+>": "l1_distance({q}, v)", "<=>": "cosine_distance(v, {q})",
             "<#>": "-inner_product(v, {q})"}
CONSTANTS = ["1", "2", "-1", "-0.5", "3.25", "100", "0", "1e-3", "-7"]
STEPS = ["({x}) + {c}", "{c} + ({x})", "({x}) - {c}", "{c} - ({x})", "({x}) * {c}", "{c} * ({x})", "({x}) / {c}",
         "{c} / ({x})", "-({x})", "({x}) ^ 2", "exp(({x})::float8)", "sqrt(({x})::float8)", "({x})::real",
         "({x})::numeric", "({x})::float8", "round(({x})::numeric, 1)", "trunc(({x})::numeric, 2)", "floor({x})",
         "ceil({x})", "round({x})", "({x})::int", "({x})::numeric(12,1)"]
ROWS = 400


class Draw:
    def __init__(self, random):
        self.random = random
        self.operator = random.choice(list(METRICS))
        self.query = f"'{vectors.text(np.round(random.normal(size=3) * 2, 1))}'::vector"
        self.distance = f"v {self.operator} {self.query}"
        self.expression = self.distance_form()
        for _ in range(random.integers(0, 4)):
            step = random.choice(STEPS)
            self.expression = step.format(x=self.expression, c=random.choice(CONSTANTS))

    def distance_form(self):
        form = self.random.choice(["v {o} {q}", "{q} {o} v", FUNCTIONS[self.operator]])
        return form.format(o=self.operator, q=self.query)

    def condition(self, bounds):
        """`bounds` are values of the expression in the table: some row lies exactly there."""
        low, high = sorted(self.random.choice(bounds, size=2).tolist(), key=float)
        forms = [f"({self.expression}) {sign} {low}" for sign in ("<", "<=", ">", ">=", "=")]
        forms += [f"({self.expression}) BETWEEN {low} AND {high}", f"{low} >= ({self.expression})",
                  f"({self.expression}) < {low} OR ({self.expression}) >= {high}",
                  f"NOT ({self.expression}) > {low}", f"({self.expression}) > {low} AND grp <> 2"]
        return str(self.random.choice(forms))

    def order(self):
        keys = [self.distance, f"{self.expression} {self.random.choice(['', 'DESC', 'ASC NULLS FIRST', 'DESC NULLS LAST'])}"]
        return f"{self.random.choice(keys)}, id LIMIT {self.random.integers(1, 60)}"


@pytest.fixture(scope="module", name="connection")
def make_connection(request, prepared_template):
    cluster = Cluster(prepared_template)
    request.addfinalizer(cluster.destroy)
    cluster.start()
    connection = cluster.connect()
    random = np.random.default_rng(SEED)
    points = np.round(random.normal(size=(ROWS, 3)) * 2, 1)
    points[np.all(points == 0, axis=1)] = 1
    for table in ("indexed", "plain"):
        connection.execute(f"CREATE TABLE {table} (id integer, v vector(3), grp integer)")
        with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
            for i, row in enumerate(points):
                copy.write_row((i, vectors.text(row), i % 3))
    for operator_class in METRICS.values():
        connection.execute(f"CREATE INDEX ON indexed USING hnsw (v {operator_class})")
    connection.execute("ANALYZE indexed, plain")
    connection.execute("SET enable_seqscan = off")
    return connection


def statement(draw, table, condition, ordered):
    rows = f"SELECT id, {draw.expression} FROM {table} WHERE {condition}"
    return f"{rows} ORDER BY {ordered}" if ordered else f"SELECT id FROM ({rows}) s ORDER BY id"


def answer(connection, query):
    """Rows, or the error that the query ends with."""
    try:
        return connection.execute(query).fetchall()
    except psycopg.errors.DataError as error:
        return type(error).__name__


def some_values(connection, draw):
    rows = answer(connection, f"SELECT ({draw.expression})::text FROM plain ORDER BY random() LIMIT 30")
    return [row[0] for row in rows if row[0] not in ("NaN", "Infinity", "-Infinity")] if isinstance(rows, list) else []


def check(connection, draw, bounds):
    condition, ordered = draw.condition(bounds), draw.random.choice([None, draw.order()])
    wanted = answer(connection, statement(draw, "plain", condition, ordered))
    if not isinstance(wanted, list):
        return False
    query = statement(draw, "indexed", condition, ordered)
    given = answer(connection, query)
    plan = "\n".join(row[0] for row in connection.execute("EXPLAIN (COSTS off) " + query))
    assert given == wanted, f"seed {SEED}: {query}\n{plan}"
    return "Order By:" in plan


def test_drawn_expressions(connection):
    random = np.random.default_rng(SEED)
    by_index = 0
    for _ in range(DRAWS):
        draw = Draw(random)
        bounds = some_values(connection, draw)
        if bounds:
            by_index += check(connection, draw, bounds)
    print(f"{by_index} of {DRAWS} by index")
    assert by_index > DRAWS / 5
