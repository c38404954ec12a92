"""Nearest rows among those that satisfy a condition, of which there is a given share:

    independent   the condition knows nothing of the vectors
    near          rows in the regions nearest to the query: what is asked for is what is there
    far           rows in the regions farthest from it

A region has the rows that are nearest to one of some rows chosen at random. dvec has the columns behind the
vector; pgvector has an index on the vector and scans it iteratively; Qdrant's engine has an index on each payload. For
each way the least ef that finds 0.95
of the exact answers counts, or the greatest one tried. Processor time is that of one session, from the
kernel's accounting of its process, for statements that are planned once, and of each query the least of some
repetitions; so others may use the machine.
"""

import dataclasses
import os
import time

from harness import data, plan
from harness.limits import Session, vectors
from harness.machine import stat_fields
from harness.qdrant import Qdrant

SHARES = (50, 20, 10, 5, 2, 1, 0.5, 0.1, 0.01)  # per cent
REGIONS = 200
LEAST_SHARE_OF_REGIONS = 1
QUERIES = 20
REPEATED = 3
PAUSE = 0.001  # seconds
INSERTED, INSERTED_AT_ONCE = 3000, 100  # rows
WANTED_RECALL = 0.95
EFS = (40, 80, 160, 320)

GENERIC = "SET plan_cache_mode = force_generic_plan; SET work_mem = '64MB';"
SETUPS = {"dvec": GENERIC, "pgvector": GENERIC + "SET hnsw.iterative_scan = relaxed_order; SET enable_seqscan = off;"}
EXACTLY = GENERIC + "SET enable_indexscan = off;"


@dataclasses.dataclass
class Asked:
    """A condition for each vector."""
    kind: str
    share: object  # per cent, "" for none
    conditions: list
    facts: list  # the same as Qdrant's filter takes it (bench/peers/qdrant_filter.py)


class Table:
    """With columns `number`, of which each value is one row's, and `region`."""

    def __init__(self, peer, dataset, files):
        self.peer, self.dataset = peer, dataset
        source = peer.load(dataset, files)
        self.name = f"{source}_filter"
        self.session = Session(peer.server)
        self.rows = peer.server.value(f"SELECT count(*) FROM {source}")
        self.fill(source)

    def fill(self, source):
        self.execute(f"""
            DROP TABLE IF EXISTS {self.name}, anchors;
            CREATE TABLE anchors AS SELECT row_number() OVER (ORDER BY id)::integer AS region, v
                FROM {source} ORDER BY hashint4(id) LIMIT {REGIONS};
            CREATE TABLE {self.name} AS SELECT id, v,
                (row_number() OVER (ORDER BY hashint4(id), id) - 1)::integer AS number,
                (SELECT region FROM anchors a ORDER BY a.v {self.dataset.operator} s.v LIMIT 1) AS region
                FROM {source} s;
            ALTER TABLE {self.name} ADD PRIMARY KEY (id)""")
        columns = "v " + self.dataset.operator_class
        if self.peer.name == "dvec":
            columns += ", number, region"
            self.execute(f"CREATE INDEX ON {self.name} (number); CREATE INDEX ON {self.name} (region)")
        self.execute(f"CREATE INDEX {self.name}_hnsw ON {self.name} USING hnsw ({columns}) "
                     f"WITH (m = {plan.M}, ef_construction = {plan.EF_CONSTRUCTION})")
        self.peer.server.sql(f"VACUUM (ANALYZE) {self.name}")
        self.peer.server.sql("CHECKPOINT")

    def execute(self, statements):
        self.session.connection.execute("RESET ALL;" + statements)

    def nearest(self, condition):
        return (f"SELECT id FROM {self.name} WHERE {condition} "
                f"ORDER BY v {self.dataset.operator} %s LIMIT {plan.K}")

    def regions(self, vector):
        """Each with its rows, from the nearest to the farthest."""
        return self.session.connection.execute(
            f"SELECT region, count(*) FROM {self.name} JOIN anchors a USING (region) "
            f"GROUP BY region, a.v ORDER BY a.v {self.dataset.operator} %s", [vector]).fetchall()


def among(regions, rows):
    """The first regions that have so many rows together."""
    chosen = []
    for region, count in regions:
        if rows <= 0:
            break
        chosen.append(region)
        rows -= count
    return chosen


def within(chosen):
    return f"region = ANY ('{{{','.join(map(str, chosen))}}}')"


def questions(table, asking):
    yield Asked("none", "", ["true"] * len(asking), [{}] * len(asking))
    for share in SHARES:
        below = round(table.rows * share / 100)
        yield Asked("independent", share, [f"number < {below}"] * len(asking), [{"below": below}] * len(asking))
    ordered = [table.regions(vector) for vector in asking]
    for kind, step in (("near", 1), ("far", -1)):
        for share in SHARES:
            if share >= LEAST_SHARE_OF_REGIONS:
                chosen = [among(regions[::step], table.rows * share / 100) for regions in ordered]
                yield Asked(kind, share, [within(each) for each in chosen], [{"regions": each} for each in chosen])


def least_used(session, execute):
    """Microseconds of processor time. What a process uses is accounted when it goes to sleep."""
    used = []
    for _ in range(REPEATED):
        before, _, _ = session.used()
        execute()
        time.sleep(PAUSE)
        used.append(session.used()[0] - before)
    return min(used) / 1000


def answers(table, asked, asking):
    """Of each vector the ids, and the processor time of one answer in microseconds."""
    found, used = [], 0
    connection = table.session.connection
    for condition, vector in zip(asked.conditions, asking):
        query = table.nearest(condition)
        # Plans, and prepares.
        rows = connection.execute(query, [vector], prepare=True).fetchall()
        used += least_used(table.session, lambda: connection.execute(query, [vector], prepare=True))
        found.append({row for [row] in rows})
        connection.execute("DEALLOCATE ALL")
    return found, used / len(asking)


def recall(found, truth):
    wanted = sum(len(each) for each in truth)
    return sum(len(a & b) for a, b in zip(found, truth)) / wanted if wanted else 1


def floor(table, asking):
    """What a statement with the same parameter takes that finds its rows by the primary key."""
    connection = table.session.connection
    query = f"SELECT id FROM {table.name} WHERE %s::vector IS NOT NULL ORDER BY id LIMIT {plan.K}"
    connection.execute(query, [asking[0]], prepare=True)
    used = [least_used(table.session, lambda: connection.execute(query, [vector], prepare=True)) for vector in asking]
    return sum(used) / len(asking)


def measure_peer(bench, table, asking, asked, truths):
    setup = SETUPS[table.peer.name]
    table.execute(setup)
    bench.results.add([{"floor_us": floor(table, asking)}], section="filter", dataset=table.dataset.name,
                      peer=table.peer.name)

    def answer(question, ef):
        table.execute(setup + f"SET hnsw.ef_search = {ef}")
        return answers(table, question, asking)

    measure_answers(bench, table.dataset, table.peer.name, asked, truths, answer)


def measure_qdrant(bench, table, files, asking, asked, truths):
    qdrant = Qdrant(bench.peers.qdrant, table, files, REPEATED)

    def answer(question, ef):
        return qdrant.answers(question.facts, asking, ef)

    measure_answers(bench, table.dataset, "qdrant", asked, truths, answer)
    qdrant.end()


def measure_answers(bench, dataset, peer, asked, truths, answer):
    """By the least ef that finds enough. `answer` takes a question and an ef."""
    keys = dict(section="filter", dataset=dataset.name, peer=peer)
    for question, truth in zip(asked, truths):
        for ef in EFS:
            found, microseconds = answer(question, ef)
            reached = recall(found, truth)
            if reached >= WANTED_RECALL:
                break
        numbers = {"recall": reached, "ef_search": ef, "cpu_us": microseconds}
        bench.results.add([numbers], variant=question.kind, batch=question.share, **keys)


def processor_seconds(session):
    """Of all threads of the session's process."""
    return sum(map(int, stat_fields(session.folder)[11:13])) / os.sysconf("SC_CLK_TCK")


def column_costs(bench, table):
    """What the two columns cost beside an index without any: processor time of building and inserting, and bytes. By
    turns, in tables of their own; inserts do not wait for the disk."""
    vectors_only, operators = f"{table.name}_plain", table.dataset.operator_class
    tables = {"without": (vectors_only, "v " + operators), "with": (f"{table.name}_columns", f"v {operators}, number, region")}
    found = {}
    for _ in range(REPEATED):
        for kind, (name, columns) in tables.items():
            table.execute(f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} AS TABLE {table.name}; SET synchronous_commit = off")
            before = processor_seconds(table.session)
            table.session.connection.execute(f"CREATE INDEX {name}_hnsw ON {name} USING hnsw ({columns}) "
                                             f"WITH (m = {plan.M}, ef_construction = {plan.EF_CONSTRUCTION})")
            built = processor_seconds(table.session) - before
            before, _, _ = table.session.used()
            for first in range(0, INSERTED, INSERTED_AT_ONCE):
                table.session.connection.execute(
                    f"INSERT INTO {name} SELECT id + 1000000, v, number, region FROM {table.name} "
                    f"WHERE number >= {first} AND number < {first + INSERTED_AT_ONCE}")
            time.sleep(PAUSE)
            inserted = (table.session.used()[0] - before) / INSERTED / 1000
            [size] = table.session.connection.execute(
                f"SELECT bytes FROM dvec_indexes WHERE index = '{name}_hnsw'::regclass").fetchone()
            now = {"build_cpu_s": built, "insert_cpu_us": inserted, "bytes_per_row": size / (table.rows + INSERTED)}
            found[kind] = {key: min(value, found[kind][key]) if kind in found else value for key, value in now.items()}
    for kind, numbers in found.items():
        bench.results.add([numbers], section="filter", dataset=table.dataset.name, peer="dvec", variant=kind + " columns")
    for name, _ in tables.values():
        table.execute(f"DROP TABLE {name}")


def filters(bench):
    for dataset in [each for each in bench.datasets if each not in bench.scale.datasets] or bench.scale.filters:
        bench.say(f"filter {dataset.name}")
        files = data.ensure(dataset)
        asking = list(vectors(files.queries, QUERIES))
        table = Table(bench.peers["dvec"], dataset, files)
        asked = list(questions(table, asking))
        column_costs(bench, table)
        table.execute(EXACTLY)
        exact = [answers(table, question, asking) for question in asked]
        keys = dict(section="filter", dataset=dataset.name, peer="dvec, without its index")
        for question, (_, microseconds) in zip(asked, exact):
            bench.results.add([{"cpu_us": microseconds}], variant=question.kind, batch=question.share, **keys)
        truths = [found for found, _ in exact]
        measure_peer(bench, table, asking, asked, truths)
        if bench.peers.qdrant:
            bench.say(f"filter {dataset.name}: Qdrant")
            measure_qdrant(bench, table, files, asking, asked, truths)
        if "pgvector" in bench.peers.names:
            bench.say(f"filter {dataset.name}: pgvector")
            measure_peer(bench, Table(bench.peers["pgvector"], dataset, files), asking, asked, truths)
        bench.results.save()
