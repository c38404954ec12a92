"""What a query costs that asks more of the index than it can give, against the exact search of the same rows:

    range     all rows within a distance, of which there are a given share: counted, in order, or as they come
    filter    LIMIT 10 where a given share of the rows passes a condition that the planner cannot judge

Each as the planner chooses, and "forced": with the index where the planner would rather not. Processor time is
that of one session, from the kernel's accounting of its process. The two ways take turns, and the median of the
ratios of pairs counts, so others may use the machine.

Then the same, and a plain search, by a server that may use a quarter of the memory that the table needs. There
it counts what was read from the disk, and how long it took.
"""

import pathlib
import re
import statistics
import time

from harness import data, plan
from harness.memory_group import MemoryGroup, forget_pages
from harness.peers import ServerPeer

RANGES = (1, 5, 20, 50)  # per cent of the rows
PASSING = {"0": "id % 70000 = 69999", "0.1": "id % 1000 = 7", "1": "id % 100 = 7", "10": "id % 10 = 7"}
QUERIES = 3

EXACTLY = "SET enable_indexscan = off"
WAYS = {"chosen": "SET enable_seqscan = on", "forced": "SET enable_seqscan = off"}


class Session:
    """One backend, and what it uses."""

    def __init__(self, server):
        self.connection = server.connect()
        # A prepared statement would keep the plan it was given under other settings.
        self.connection.prepare_threshold = None
        self.folder = pathlib.Path(f"/proc/{self.connection.info.backend_pid}")

    def used(self):
        """Processor time in nanoseconds, bytes read from the disk, time."""
        read = re.search(r"^read_bytes: (\d+)", (self.folder / "io").read_text(), re.M)
        return int((self.folder / "schedstat").read_text().split()[0]), int(read[1]), time.monotonic_ns()

    def node(self, query):
        lines = self.connection.execute("EXPLAIN (COSTS OFF) " + query).fetchall()
        text = "\n".join(line for [line] in lines)
        return next((node for node in ("VectorSearch", "Index Scan", "Seq Scan") if node in text), "?")

    def measure(self, setup, query):
        self.connection.execute("RESET ALL; SET work_mem = '64MB'; " + setup)
        node = self.node(query)
        before = self.used()
        self.connection.execute(query).fetchall()
        return [after - then for after, then in zip(self.used(), before)], node

    def compare(self, setup, query, rounds):
        """A dict of numbers for each round, and the plan's node."""
        found = []
        for _ in range(rounds):
            exact, exact_node = self.measure(EXACTLY, query)
            if exact_node != "Seq Scan":
                raise SystemExit(f"limits: the exact search is a {exact_node}: {query[:200]}")
            index, node = self.measure(setup, query)
            found.append({
                "cpu_ms": index[0] / 1e6, "exact_cpu_ms": exact[0] / 1e6, "cpu_ratio": index[0] / exact[0],
                "mb": index[1] / 2**20, "exact_mb": exact[1] / 2**20,
                "ms": index[2] / 1e6, "exact_ms": exact[2] / 1e6, "ratio": index[2] / exact[2]})
        return found, node


def vectors(path, count):
    """The first of a file, in words."""
    with open(path, "rb") as file:
        for _ in range(count):
            width = int.from_bytes(file.read(4), "little")
            values = memoryview(file.read(4 * width)).cast("f")
            yield "[" + ",".join(repr(value) for value in values) + "]"


def queries(session, dataset, table, vector):
    """(kind, per cent, query)"""
    distance = f"v {dataset.operator} '{vector}'"
    session.connection.execute("RESET ALL; " + EXACTLY)
    for share in RANGES:
        [radius] = session.connection.execute(
            f"SELECT percentile_disc({share / 100}) WITHIN GROUP (ORDER BY {distance}) FROM {table}"
        ).fetchone()
        within = f"{table} WHERE {distance} <= {radius!r}"
        yield "range, counted", share, f"SELECT count(*) FROM {within}"
        yield ("range, in order", share, "SELECT count(*), max(d) FROM "
               f"(SELECT id, {distance} AS d FROM {within} ORDER BY {distance} OFFSET 0) s")
        yield ("range, rows", share, f"SELECT sum(id) FROM (SELECT id FROM {within} OFFSET 0) s")
    for share, condition in PASSING.items():
        yield ("filter", share,
               f"SELECT id FROM {table} WHERE {condition} ORDER BY {distance} LIMIT {plan.K}")
    yield "nearest", "", f"SELECT id FROM {table} ORDER BY {distance} LIMIT {plan.K}"


def measure_all(bench, session, asked, keys):
    """`asked` has the queries for each of some vectors; rounds of all vectors are put together."""
    for same in zip(*asked):
        kind, share, _ = same[0]
        for way, setup in WAYS.items():
            rounds, nodes = [], []
            for _, _, query in same:
                found, node = session.compare(setup, query, bench.scale.rounds)
                rounds += found
                nodes.append(node)
            variant = ", ".join(each for each in (kind, f"{share} %" if share != "" else "", way) if each)
            bench.results.add(rounds, variant=variant, **keys)
            bench.results.put(dict(keys, variant=variant, metric="node",
                                   value=" or ".join(sorted(set(nodes)))))


def in_memory(bench, dataset):
    bench.say(f"limits {dataset.name}")
    peer, files = bench.peers["dvec"], data.ensure(dataset)
    table = peer.load(dataset, files)
    peer.ensure_index(dataset, table)
    peer.wait_for_tail(table)
    session = Session(peer.server)
    asked = [list(queries(session, dataset, table, vector))
             for vector in vectors(files.queries, QUERIES)]
    measure_all(bench, session, asked, dict(section="limits", dataset=dataset.name, peer="dvec"))
    session.connection.close()


def in_a_quarter(bench, dataset):
    """By a server of its own, which is filled outside of the group and then begins in it, with none of its
    files in memory."""
    bench.say(f"limits {dataset.name} in a quarter of its memory")
    scale = plan.dataclasses.replace(bench.scale, settings=bench.scale.settings | {
        "shared_buffers": "16MB", "max_connections": "10"})
    peer = ServerPeer("dvec", scale, bench.peers.threads, cluster="limits")
    server, files = peer.server, data.ensure(dataset)
    try:
        table = peer.load(dataset, files)
        peer.ensure_index(dataset, table)
        peer.wait_for_tail(table)
        needed = server.value("SELECT pg_table_size(%s)", [table])
        session = Session(server)
        asked = [list(queries(session, dataset, table, vector)) for vector in vectors(files.queries, 1)]
        session.connection.close()
        server.stop()
        forget_pages(server.data)
        with MemoryGroup(needed // 4):
            server.start()
        session = Session(server)
        keys = dict(section="limits", dataset=f"{dataset.name}, a quarter in memory", peer="dvec")
        bench.results.add([{"table_mb": needed / 2**20}], **keys)
        measure_all(bench, session, asked, keys)
        session.connection.close()
    except OSError as error:
        bench.say(f"limits: nothing is larger than memory: {error}")
    finally:
        server.destroy()


def limits(bench):
    for dataset in bench.scale.limits:
        in_memory(bench, dataset)
    in_a_quarter(bench, bench.scale.large)
