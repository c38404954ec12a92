"""Random tables and random queries, as applications have them: for test_400_properties.py.

A table is drawn twice, with an index and without, and goes through the same history in both. A query is
text in which {t} stands for the table, so that the same text can be asked of either.
"""

import dataclasses

import numpy as np

import vectors

METRICS = {
    "vector": {"<->": "vector_l2_ops", "<#>": "vector_ip_ops", "<=>": "vector_cosine_ops",
               "<+>": "vector_l1_ops"},
    "halfvec": {"<->": "halfvec_l2_ops", "<#>": "halfvec_ip_ops", "<=>": "halfvec_cosine_ops",
                "<+>": "halfvec_l1_ops"},
    "sparsevec": {"<->": "sparsevec_l2_ops", "<#>": "sparsevec_ip_ops", "<=>": "sparsevec_cosine_ops",
                  "<+>": "sparsevec_l1_ops"},
    "bit": {"<~>": "bit_hamming_ops", "<%>": "bit_jaccard_ops"},
}
FUNCTIONS = {"<->": "l2_distance", "<=>": "cosine_distance", "<+>": "l1_distance",
             "<~>": "hamming_distance", "<%>": "jaccard_distance"}
# Weighted: most users have vectors.
TYPES = ["vector"] * 5 + ["halfvec"] * 2 + ["sparsevec", "bit"]
KINDS = ["distinct", "repeated", "few", "near", "tiny", "huge", "wide", "integers"]


def points(random, kind, count, dimensions):
    """float32[count, dimensions] of one kind."""
    normal = random.normal(size=(count, dimensions))
    if kind == "repeated":  # a third of the rows are copies of few others
        copies = random.random(count) < 0.33
        normal[copies] = normal[random.integers(min(3, count), size=copies.sum())]
    elif kind == "few":  # nothing but copies
        normal = normal[random.integers(min(7, count), size=count)]
    elif kind == "near":  # around few points, hardly apart
        normal = normal[random.integers(min(5, count), size=count)] + 1e-5 * normal
    elif kind == "tiny":
        normal *= 1e-20
    elif kind == "huge":
        normal *= 1e18
    elif kind == "wide":  # lengths from 1e-12 to 1e12
        normal *= 10.0 ** random.integers(-12, 13, size=(count, 1))
    elif kind == "integers":  # many ties
        normal = np.rint(normal)
    return normal.astype(np.float32)


def literal(type_name, row):
    """What the type reads. Halves hold little, so those are brought into their range."""
    if type_name == "bit":
        return "".join("1" if x > 0.5 else "0" for x in row)
    if type_name == "halfvec":
        row = np.clip(row, -60000, 60000).astype(np.float16)
    if type_name == "sparsevec":
        entries = [f"{i + 1}:{float(x)!r}" for i, x in enumerate(row) if x != 0 and i % 3 != 1]
        return "{" + ",".join(entries) + "}" + f"/{len(row)}"
    return vectors.text(row)


class Drawn:
    """Two tables of the same rows and the same history: `plain`, and `indexed`."""

    def __init__(self, connection, random, number, method="hnsw"):
        self.connection, self.random, self.method = connection, random, method
        self.plain, self.indexed = f"plain_{number}", f"indexed_{number}"
        self.type = random.choice(TYPES)
        self.operator = random.choice(list(METRICS[self.type]))
        self.kind = random.choice(KINDS)
        self.dimensions = int(random.choice([3, 8, 16, 130] if self.type != "bit" else [8, 64]))
        self.rows = int(random.choice([0, 3, 60, 400, 900, 1500], p=[.02, .05, .13, .3, .3, .2]))
        self.nulls = float(random.choice([0, 0, 0.05]))
        self.zeros = float(random.choice([0, 0, 0, 0.02]))
        self.partitioned = bool(random.random() < 0.15)
        self.ids = 0
        self.make()

    def __str__(self):
        return (f"{self.rows} rows of {self.type}({self.dimensions}), {self.kind}, {self.operator}, "
                f"nulls {self.nulls}, zeros {self.zeros}, partitioned {self.partitioned}")

    def make(self):
        suffix = " PARTITION BY LIST (grp)" if self.partitioned else ""
        for table in (self.plain, self.indexed):
            self.connection.execute(
                f"CREATE TABLE {table} (id integer, v {self.type}({self.dimensions}), grp integer, "
                f"price float8){suffix}")
            if self.partitioned:
                self.connection.execute(f"CREATE TABLE {table}_a PARTITION OF {table} FOR VALUES IN (0, 1, 2, 3)")
                self.connection.execute(f"CREATE TABLE {table}_b PARTITION OF {table} DEFAULT")
        first = self.random.choice(["rows", "index", "half"])
        if first != "index":
            self.insert(self.rows if first == "rows" else self.rows // 2)
        self.connection.execute(f"CREATE INDEX ON {self.indexed} USING {self.method} "
                                f"(v {METRICS[self.type][self.operator]})")
        if first != "rows":
            self.insert(self.rows if first == "index" else self.rows - self.rows // 2)
        if self.random.random() < 0.4:
            self.change()
        self.both("ANALYZE {t}")

    def both(self, statement):
        for table in (self.plain, self.indexed):
            self.connection.execute(statement.replace("{t}", table))

    def insert(self, count):
        rows = points(self.random, self.kind, count, self.dimensions)
        rows[self.random.random(count) < self.zeros] = 0
        values = []
        for row in rows:
            null = self.random.random() < self.nulls
            text = "NULL" if null else f"'{literal(self.type, row)}'"
            values.append(f"({self.ids}, {text}, {self.random.integers(10)}, {self.random.random():.4f})")
            self.ids += 1
        for start in range(0, len(values), 500):
            self.both("INSERT INTO {t} VALUES " + ",".join(values[start:start + 500]))

    def change(self):
        """Deletes, updates of another column and of the vector, a vacuum or none."""
        self.both(f"DELETE FROM {{t}} WHERE id % {self.random.integers(2, 6)} = 0")
        if self.random.random() < 0.5:
            self.both("VACUUM {t}")
        self.both("UPDATE {t} SET price = price / 2 WHERE id % 3 = 0")
        self.both("UPDATE {t} SET v = (SELECT v FROM {t} WHERE v IS NOT NULL ORDER BY id LIMIT 1) "
                  "WHERE id % 17 = 1")
        if self.random.random() < 0.5:
            self.both("VACUUM {t}")

    def drop(self):
        self.both("DROP TABLE {t}")

    # ---- queries ----

    def query_vector(self):
        """Of a row, near one, or from elsewhere."""
        row = points(self.random, self.kind, 1, self.dimensions)[0]
        if self.random.random() < 0.5:
            found = self.connection.execute(
                f"SELECT v::text FROM {self.plain} WHERE v IS NOT NULL ORDER BY id "
                f"OFFSET {self.random.integers(max(self.ids, 1))} LIMIT 1").fetchall()
            if found:
                return f"'{found[0][0]}'::{self.type}({self.dimensions})"
        return f"'{literal(self.type, row)}'::{self.type}({self.dimensions})"

    def distance(self, query):
        return f"v {self.operator} {query}"

    def a_distance(self, query):
        """The distance of some row: to be a threshold that is met exactly."""
        distance = self.distance(query)
        found = self.connection.execute(
            f"SELECT d::text FROM (SELECT {distance} AS d FROM {self.plain} WHERE v IS NOT NULL) s "
            f"WHERE d <> 'NaN' ORDER BY s.d OFFSET {int(self.random.integers(1, 60))} LIMIT 1").fetchall()
        text = found[0][0] if found else "0.5"
        return f"'{text}'::float8"


class Check:
    """How the two answers have to agree."""
    SAME = "the same rows in the same order, except among equal distances"
    SET = "the same rows in any order"
    NEAREST = "rows in order of distance, as many, hardly any of them farther than need be"


@dataclasses.dataclass
class Asked:
    text: str
    check: str
    # Column of the answer that holds the distance, by which rows are ordered; None where there is none.
    distance: int = 1
    falling: bool = False

    def nulls_last(self):
        return not self.falling or "NULLS LAST" in self.text


def limit_of(random):
    return int(random.choice([1, 5, 10, 10, 10, 40, 100, 5000]))


def conditions(drawn, random):
    return random.choice([f"grp = {random.integers(12)}", f"price < {random.random() ** 3:.4f}",
                          f"id % {random.integers(2, 300)} = 0", "grp IN (1, 2, 3)",
                          "price > 0.2 AND grp < 5", "v IS NOT NULL"])


def plain(drawn, random, q, d):
    offset = f" OFFSET {random.integers(20)}" if random.random() < 0.3 else ""
    return Asked(f"SELECT id, {d} FROM {{t}} ORDER BY {d} LIMIT {limit_of(random)}{offset}", Check.NEAREST)


def filtered(drawn, random, q, d):
    return Asked(f"SELECT id, {d} FROM {{t}} WHERE {conditions(drawn, random)} "
                 f"ORDER BY {d} LIMIT {limit_of(random)}", Check.NEAREST)


def threshold_forms(drawn, random, q, d):
    r = drawn.a_distance(q)
    forms = [f"{d} < {r}", f"{d} <= {r}", f"{r} > {d}", f"{r} >= {d}", f"{d} BETWEEN '-1e300' AND {r}",
             f"1 - ({d}) > 1 - {r}", f"1 - ({d}) >= 1 - {r}", f"-({d}) > -{r}", f"({d}) * -1 >= {r} * -1",
             f"({d}) * 2 < {r} * 2", f"({d}) / 4 + 1 <= {r} / 4 + 1", f"1 - {r} < 1 - ({d})"]
    if drawn.operator in FUNCTIONS:
        call = f"{FUNCTIONS[drawn.operator]}(v, {q})"
        forms += [f"{call} < {r}", f"{call} <= {r}", f"1 - {call} >= 1 - {r}"]
    elif drawn.operator == "<#>":
        forms += [f"inner_product(v, {q}) > -{r}", f"inner_product(v, {q}) >= -{r}"]
    return str(random.choice(forms))


def threshold(drawn, random, q, d):
    more = f" AND {conditions(drawn, random)}" if random.random() < 0.3 else ""
    return Asked(f"SELECT id, {d} FROM {{t}} WHERE {threshold_forms(drawn, random, q, d)}{more} "
                 f"ORDER BY {d} LIMIT {limit_of(random)}", Check.NEAREST)


def keyset(drawn, random, q, d):
    r = drawn.a_distance(q)
    key = random.choice([f"{d} > {r}", f"{d} >= {r}", f"({d}, id) > ({r}, 100)"])
    order = f"{d}, id" if "id" in key else d
    return Asked(f"SELECT id, {d} FROM {{t}} WHERE {key} ORDER BY {order} LIMIT 10", Check.NEAREST)


def range_query(drawn, random, q, d):
    where = threshold_forms(drawn, random, q, d)
    if random.random() < 0.4:
        return Asked(f"SELECT count(*) FROM {{t}} WHERE {where}", Check.SET, None)
    return Asked(f"SELECT id, {d} FROM {{t}} WHERE {where}", Check.SET, None)


def other_orders(drawn, random, q, d):
    call = f"{FUNCTIONS[drawn.operator]}(v, {q})" if drawn.operator in FUNCTIONS else f"({d})"
    expression, direction = random.choice(np.array([
        (f"1 - ({d})", "DESC"), (f"1 - ({d})", "DESC NULLS LAST"), (f"({d}) * -1", "DESC"),
        (f"-({d})", "DESC"), (f"({d}) * 3 + 1", ""), (f"({d}) / 2", "ASC"), (f"2 + ({d})", ""),
        (call, ""), (f"1 - {call}", "DESC"), (f"({d})::real", ""), (f"round(({d})::numeric, 3)", ""),
        (f"({d})::numeric", "")]))
    if "numeric" in expression and drawn.kind in ("huge", "tiny", "wide"):
        expression = d  # infinity and NaN are no numeric of 15
    where = f" WHERE {conditions(drawn, random)}" if random.random() < 0.3 else ""
    return Asked(f"SELECT id, {expression} AS score FROM {{t}}{where} ORDER BY score {direction} "
                 f"LIMIT {limit_of(random)}", Check.NEAREST, falling="DESC" in direction)


def second_key(drawn, random, q, d):
    return Asked(f"SELECT id, {d} FROM {{t}} ORDER BY {d}, id LIMIT {limit_of(random)}", Check.NEAREST)


def grouped(drawn, random, q, d):
    limit = random.choice(["", " LIMIT 10", " LIMIT 100"])
    return Asked(str(random.choice([
        f"SELECT count(*), {d} AS d FROM {{t}} GROUP BY d ORDER BY d{limit}",
        f"SELECT DISTINCT 1, {d} AS d FROM {{t}} ORDER BY d{limit}",
        f"SELECT DISTINCT ON (d) 1, d FROM (SELECT *, {d} AS d FROM {{t}}) s ORDER BY d{limit}",
        f"SELECT 1, {d} AS d FROM {{t}} ORDER BY d FETCH FIRST {random.integers(1, 30)} ROWS WITH TIES",
        f"SELECT rank() OVER (ORDER BY {d}), {d} AS d FROM {{t}} ORDER BY d{limit}",
        f"SELECT count(*) OVER (ORDER BY {d}), {d} AS d FROM {{t}} ORDER BY d{limit}",
        f"SELECT count(*), d FROM (SELECT {d} AS d FROM {{t}} ORDER BY {d}) s GROUP BY d ORDER BY d{limit}",
    ])), Check.SAME)


def joined(drawn, random, q, d):
    r = drawn.a_distance(q)
    return random.choice([
        Asked(f"SELECT t.id, t.{d} FROM {{t}} t JOIN {{t}} u ON u.id = t.id AND u.grp = {random.integers(10)} "
              f"ORDER BY t.{d} LIMIT 10", Check.NEAREST),
        Asked(f"SELECT t.id, t.{d} FROM {{t}} t JOIN (VALUES (1), (2), (3)) u (grp) USING (grp) "
              f"ORDER BY t.{d} LIMIT 10", Check.NEAREST),
        Asked(f"SELECT count(*) FROM {{t}} t JOIN (SELECT DISTINCT {d} AS d FROM {{t}}) u ON t.{d} = u.d "
              f"WHERE t.{d} < {r}", Check.SET, None),
        Asked(f"SELECT p.id, n.d, n.id FROM (SELECT id, v FROM {{t}} WHERE v IS NOT NULL ORDER BY id LIMIT 3) p "
              f"CROSS JOIN LATERAL (SELECT t.id, t.v {drawn.operator} p.v AS d FROM {{t}} t "
              f"WHERE t.v IS NOT NULL ORDER BY t.v {drawn.operator} p.v LIMIT 3) n", Check.NEAREST, None),
        Asked(f"SELECT id, d FROM (SELECT id, {d} AS d FROM {{t}} ORDER BY {d} LIMIT 20) s WHERE d <= {r} "
              f"ORDER BY d LIMIT 10", Check.NEAREST),
    ])


def combined(drawn, random, q, d):
    r = drawn.a_distance(q)
    return random.choice([
        Asked(f"SELECT id, {d} AS d FROM {{t}} WHERE {d} <= {r} INTERSECT SELECT id, {d} FROM {{t}} "
              f"WHERE grp < 5 ORDER BY d", Check.SET, None),
        Asked(f"SELECT id, d FROM (SELECT id, {d} AS d FROM {{t}} WHERE grp = 1 UNION ALL "
              f"SELECT id, {d} FROM {{t}} WHERE grp = 2) s ORDER BY d LIMIT 20", Check.NEAREST),
        Asked(f"SELECT count(*) FROM (SELECT {d} FROM {{t}} EXCEPT SELECT {d} FROM {{t}} WHERE grp = 3) s",
              Check.SET, None),
        Asked(f"SELECT id, {d} AS d FROM {{t}} WHERE id NOT IN (SELECT id FROM {{t}} WHERE {d} < {r}) "
              f"ORDER BY d LIMIT 10", Check.NEAREST),
    ])


SHAPES = [plain, filtered, threshold, keyset, range_query, other_orders, second_key, grouped, joined,
          combined]


def ask(drawn, random):
    query = drawn.query_vector()
    return random.choice(SHAPES)(drawn, random, query, drawn.distance(query))
