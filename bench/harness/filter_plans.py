"""Which plan the planner takes for nearest rows under a condition, against the others that it could take.

Tables of several sizes and dimensions have an index with the columns behind the vector and an ordinary one on
each column. Every case is planned four ways:

    chosen    as the planner likes
    index     by the index on the vector: sorting is switched off
    columns   by the ordinary indexes and a sort: the index on the vector is invalid, sequential scans are off
    table     by reading the table and a sort: the index on the vector is invalid, other scans are off

What counts is the processor time of the session, from the kernel's accounting of its process, for statements that
are planned once. The ways take turns, and each has its median; ways that have the same plan share what was
measured. So others may use the machine.
"""

import dataclasses
import statistics

from harness import data, plan
from harness.limits import Session, vectors

QUERIES = 3
ROUNDS = 3
LEAST_NANOSECONDS = 2_000_000  # of one sample
REGIONS = 100
TENANTS = 1000
SHARES = (50, 20, 10, 5, 2, 1, 0.5, 0.1, 0.01)  # per cent
WITHIN = 1.5

SESSION = "RESET ROLE; RESET ALL; SET plan_cache_mode = force_generic_plan; SET app.tenant = '17';"
WITHOUT_INDEX = """UPDATE pg_index SET indisvalid = false FROM pg_class c, pg_am a
    WHERE indexrelid = c.oid AND c.relam = a.oid AND a.amname = 'hnsw';"""
WAYS = {
    "chosen": "",
    "index": "SET LOCAL enable_sort = off;",
    "columns": WITHOUT_INDEX + "SET LOCAL enable_seqscan = off;",
    "table": WITHOUT_INDEX + "SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off;",
}

# With other limits, and with a parameter in place of the constant.
VARIED = ("number < … 10 %", "number < … 1 %", "class = … 1 %", f"tenant = ANY (10 of {TENANTS})")

COLUMNS = "number, price, tenant, region, class, ended, tags, created"
OWNERS_WAY = ""
POLICY_WAY = "SET LOCAL ROLE asking;"


@dataclasses.dataclass
class Case:
    """A statement for each vector: `$1` is the vector, the others have values."""
    name: str
    statements: list
    values: list  # of each statement, as SQL
    role: str = OWNERS_WAY


def class_of(number):
    """SQL for a value that half of the rows have, another that a fifth has, and so on."""
    below, whens = 0.0, []
    for each, share in enumerate(SHARES):
        below += share / 100
        whens.append(f"WHEN {number} < {below:.4f} THEN {each}")
    return f"CASE {' '.join(whens)} ELSE {len(SHARES)} END"


class Table:
    """`number` and `price` are spread evenly and know nothing of the vectors or of each other; `created` goes with
    the place in the table, `region` with the vectors; a tenant has a thousandth of the rows, a class has a share
    of SHARES, and a tag t one in t + 2 rows; `ended` is NULL for all but a hundredth."""

    def __init__(self, peer, dataset, files):
        self.peer, self.dataset = peer, dataset
        source = peer.load(dataset, files)
        self.name = f"{source}_plans"
        self.session = Session(peer.server)
        self.rows = peer.server.value(f"SELECT count(*) FROM {source}")
        self.fill(source)

    def fill(self, source):
        dimensions = self.dataset.dimensions
        self.session.connection.execute(f"""
            RESET ALL;
            DROP TABLE IF EXISTS {self.name}, {self.name}_parts, anchors, tenants;
            DROP ROLE IF EXISTS asking;
            CREATE ROLE asking;
            CREATE TABLE anchors AS SELECT row_number() OVER (ORDER BY id)::integer AS region, v
                FROM {source} ORDER BY hashint4(id) LIMIT {REGIONS};
            CREATE TABLE tenants AS SELECT id, 'tenant ' || id AS name FROM generate_series(0, {TENANTS - 1}) id;
            ALTER TABLE tenants ADD PRIMARY KEY (id);
            CREATE TABLE {self.name} (id integer PRIMARY KEY, v vector({dimensions}) NOT NULL, number integer,
                price double precision, tenant integer, region integer, class smallint, ended timestamptz,
                tags integer[], created integer);
            INSERT INTO {self.name} SELECT id, v, number, price, number % {TENANTS},
                (SELECT region FROM anchors a ORDER BY a.v {self.dataset.operator} s.v LIMIT 1),
                {class_of('price')}, CASE WHEN number % 100 = 3 THEN '2024-01-01'::timestamptz + id * '1 s'::interval END,
                ARRAY(SELECT t FROM generate_series(0, 200) t WHERE hashint4extended(id, t) % (t + 2) = 0),
                id
            FROM (SELECT id, v, (row_number() OVER (ORDER BY hashint4(id), id) - 1)::integer AS number,
                    (hashint8extended(id, 7) & 1048575) / 1048576.0::float8 AS price FROM {source}) s
            ORDER BY id;
            CREATE TABLE {self.name}_parts (LIKE {self.name}) PARTITION BY HASH (id);
            """)
        for part in range(4):
            self.session.connection.execute(
                f"CREATE TABLE {self.name}_parts_{part} PARTITION OF {self.name}_parts "
                f"FOR VALUES WITH (MODULUS 4, REMAINDER {part})")
        if self.has_parts():
            self.session.connection.execute(f"INSERT INTO {self.name}_parts SELECT * FROM {self.name} ORDER BY id")
        for table in (self.name, self.name + "_parts"):
            for column in COLUMNS.split(", "):
                method = "gin" if column == "tags" else "btree"
                self.session.connection.execute(f"CREATE INDEX ON {table} USING {method} ({column})")
            self.session.connection.execute(
                f"CREATE INDEX ON {table} USING hnsw (v {self.dataset.operator_class}, {COLUMNS}) "
                f"WITH (m = {plan.M}, ef_construction = {plan.EF_CONSTRUCTION})")
        self.session.connection.execute(f"""
            CREATE POLICY own ON {self.name} USING (tenant = current_setting('app.tenant')::integer);
            ALTER TABLE {self.name} ENABLE ROW LEVEL SECURITY;
            GRANT SELECT ON {self.name} TO asking""")
        for table in (self.name, self.name + "_parts", "tenants"):
            self.peer.server.sql(f"VACUUM (ANALYZE) {table}")
        self.peer.server.sql("CHECKPOINT")

    def has_parts(self):
        return self.rows <= 20_000

    def nearest(self, condition, limit=plan.K, table=None):
        return (f"SELECT id FROM {table or self.name} WHERE {condition} "
                f"ORDER BY v {self.dataset.operator} $1 LIMIT {limit}")

    def regions(self, vector):
        """Each with its rows, from the nearest to the farthest."""
        return self.session.connection.execute(
            f"SELECT region, count(*) FROM {self.name} JOIN anchors a USING (region) "
            f"GROUP BY region, a.v ORDER BY a.v {self.dataset.operator} %s", [vector]).fetchall()


def first_regions(regions, rows):
    chosen = []
    for region, count in regions:
        if rows <= 0:
            break
        chosen.append(str(region))
        rows -= count
    return "'{" + ",".join(chosen) + "}'"


def conditions(table):
    """Name, condition with $2 for its value, and the value."""
    for share in SHARES:
        below = max(1, round(table.rows * share / 100))
        yield f"number < … {share} %", "number < $2::integer", below
    for share in (50, 10, 1, 0.1):
        below = max(1, round(table.rows * share / 100))
        yield f"created < … {share} %", "created < $2::integer", below
    for each, share in enumerate(SHARES):
        if share in (20, 1, 0.1):
            yield f"class = … {share} %", "class = $2::smallint", each
    for tenants in (1, 10, 100):
        values = ",".join(str(7 * tenant) for tenant in range(tenants))
        yield f"tenant = ANY ({tenants} of {TENANTS})", "tenant = ANY ($2::integer[])", f"'{{{values}}}'"
    for tag in (0, 8, 98):
        yield f"tags @> 1 in {tag + 2}", "tags @> $2::integer[]", f"'{{{tag}}}'"
    yield "tags && 1 in 50 or 100", "tags && $2::integer[]", "'{48,98}'"
    yield "number and price, 10 % of each", f"number < $2::integer AND price < {0.1}", round(table.rows / 10)
    yield "number and price, 50 and 1 %", f"number < $2::integer AND price < {0.01}", round(table.rows / 2)
    yield "number BETWEEN, 2 %", "number BETWEEN $2::integer AND $2::integer + " + str(
        round(table.rows / 50)), round(table.rows / 3)


def cases(table, asking):
    ordered = [table.regions(vector) for vector in asking]
    limits = (1, 100)
    for name, condition, value in conditions(table):
        known = condition.replace("$2", str(value))
        yield Case(name, [table.nearest(known)], [])
        if name in VARIED:
            for limit in limits:
                yield Case(f"{name}, LIMIT {limit}", [table.nearest(known, limit)], [])
            yield Case(f"{name}, parameter", [table.nearest(condition)], [str(value)])
    for kind, step in (("near", 1), ("far", -1)):
        for share in (50, 10, 1):
            chosen = [first_regions(regions[::step], table.rows * share / 100) for regions in ordered]
            yield Case(f"{kind} {share} %", [table.nearest(f"region = ANY ({each})") for each in chosen], [])
    yield Case("ended IS NOT NULL, 1 %", [table.nearest("ended IS NOT NULL")], [])
    yield Case("ended IS NULL, 99 %", [table.nearest("ended IS NULL")], [])
    yield Case("two tenants, LATERAL", [
        f"SELECT n.id FROM (VALUES (3), (17)) t (id) CROSS JOIN LATERAL ({table.nearest('tenant = t.id')}) n"], [])
    yield Case("a class of 20 and one of 1 %, LATERAL", [
        f"SELECT n.id FROM (VALUES (1), (5)) t (id) CROSS JOIN LATERAL ({table.nearest('class = t.id')}) n"], [])
    yield Case("a tenant by its name, joined", [
        f"SELECT i.id FROM {table.name} i JOIN tenants t ON i.tenant = t.id WHERE t.name = 'tenant 17' "
        f"ORDER BY v {table.dataset.operator} $1 LIMIT {plan.K}"], [])
    yield Case("a tenant by a policy", [table.nearest("true")], [], POLICY_WAY)
    yield Case("a tenant by a policy, and half of the numbers",
               [table.nearest(f"number < {table.rows // 2}")], [], POLICY_WAY)
    if table.has_parts():
        for share in (50, 10, 1, 0.1):
            below = max(1, round(table.rows * share / 100))
            yield Case(f"four partitions, number < … {share} %",
                       [table.nearest(f"number < {below}", table=table.name + "_parts")], [])


class Way:
    """Prepared statements of a case under some settings, in a transaction that is rolled back."""

    def __init__(self, table, case, way, asking):
        self.connection, self.session = table.session.connection, table.session
        self.connection.execute(f"{SESSION} BEGIN; {WAYS[way]} {case.role}")
        types = "(vector" + ", unknown" * len(case.values) + ")"
        self.asked = []
        for number, vector in enumerate(asking):
            statement = case.statements[number % len(case.statements)]
            self.connection.execute(f"PREPARE q{number} {types} AS {statement}")
            self.asked.append(f"EXECUTE q{number} ({', '.join([f'{chr(39)}{vector}{chr(39)}', *case.values])})")
        lines = self.connection.execute("EXPLAIN (COSTS OFF) " + self.asked[0]).fetchall()
        self.plan = "\n".join(line for [line] in lines)

    def run(self):
        """Microseconds for an answer."""
        runs, used = 0, 0
        while used < LEAST_NANOSECONDS:
            before, _, _ = self.session.used()
            for query in self.asked:
                self.connection.execute(query)
            used += self.session.used()[0] - before
            runs += len(self.asked)
        return used / 1000 / runs

    def end(self):
        self.connection.execute("ROLLBACK; DEALLOCATE ALL")


def described(text, table):
    """A plan in a few words, from the scan at its bottom."""
    if "VectorSearch" in text:
        return "VectorSearch"
    for words in ("Bitmap Heap Scan", "Index Scan", "Seq Scan"):
        if f"{words} using {table.name}" in text or f"{words} on {table.name}" in text:
            return words
    return "?"


def measure(table, case, asking):
    """Of each plan, in full, the median of its times; and the plan of each way."""
    times, plans = {}, {}
    for _ in range(ROUNDS):
        for name in WAYS:
            way = Way(table, case, name, asking)
            plans[name] = way.plan
            if name == "chosen" or len([each for each in plans.values() if each == way.plan]) == 1:
                times.setdefault(way.plan, []).append(way.run())
            way.end()
    return {text: statistics.median(each) for text, each in times.items()}, plans


def filter_plans(bench):
    for dataset in [each for each in bench.datasets if each in bench.scale.plans] or bench.scale.plans:
        bench.say(f"filter-plans {dataset.name}")
        files = data.ensure(dataset)
        asking = list(vectors(files.queries, QUERIES))
        table = Table(bench.peers["dvec"], dataset, files)
        for case in cases(table, asking):
            times, plans = measure(table, case, asking)
            best = min(times, key=times.get)
            keys = dict(section="filter-plans", dataset=dataset.name, variant=case.name)
            for name, text in plans.items():
                bench.results.add([{"cpu_us": times[text]}], peer=name, **keys)
            ratio = times[plans["chosen"]] / times[best]
            bench.results.add([{"ratio": ratio}], peer="chosen", **keys)
            bench.results.put(dict(keys, peer="chosen", metric="plan", value=described(plans["chosen"], table)))
            bench.results.put(dict(keys, peer="best", metric="plan", value=described(best, table)))
            bench.say(f"{dataset.name} {case.name}: {described(plans['chosen'], table)} {times[plans['chosen']]:.0f} us, "
                      f"{ratio:.2f} x of {described(best, table)}; " +
                      ", ".join(f"{name} {times[text]:.0f}" for name, text in plans.items()))
        bench.peers["dvec"].server.sql(f"DROP TABLE {table.name}, {table.name}_parts")
