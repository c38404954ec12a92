"""Who is measured: servers, and hnswlib without one.

    dvec       a server with dvec and its index
    pgvector   a server with pgvector and its index, when there is one
    heap       dvec's server and type, but no index: exact scans, and what an insert costs by itself
    hnswlib    in a process of its own, without a server; likewise dvec's engine in the section on libraries
    Qdrant     its engine, in a process of its own, in the section on filters (harness/qdrant.py)
    libraries  of Python's registry, each in a process of its own (harness/libraries.py)
"""

import json
import os
import subprocess
import time

from harness import data
from harness.plan import EF_CONSTRUCTION, K, M
from harness.processes import PeakMemory
from harness.server import OWN_BIN, Server

LOAD_BATCH = 10_000
HNSW_LIBRARY = """
    SELECT p.probin FROM pg_am a JOIN pg_proc p ON p.oid = a.amhandler WHERE a.amname = 'hnsw'"""


class ServerPeer:
    def __init__(self, name, scale, threads, bin_folder=OWN_BIN, cluster=None):
        self.name = name
        self.threads = threads
        self.indexed = name != "heap"
        self.extension = "vector" if name == "pgvector" else "dvec"
        settings = dict(scale.settings, shared_preload_libraries=self.extension,
                        max_parallel_maintenance_workers=str(threads - 1),
                        max_worker_processes=str(threads + 8), max_parallel_workers=str(threads))
        self.server = Server(cluster or name, settings, bin_folder).start()
        self.server.sql(f"CREATE EXTENSION {self.extension}")
        library = self.server.value(HNSW_LIBRARY)
        if not library.endswith("/" + self.extension):
            raise SystemExit(f"the extension {self.extension} of {bin_folder} is {library}")
        self.loaded = set()

    def version(self):
        return self.server.value("SELECT extversion FROM pg_extension WHERE extname = %s",
                                 [self.extension])

    def destroy(self):
        self.server.destroy()

    # ---- tables ----

    def load(self, dataset, files, purpose="search", rows=None):
        """A table (id, v), with a primary key if it is to be searched, and no other index; of the first `rows`
        vectors, or of all."""
        table = dataset.name.replace("-", "_") + ("" if purpose == "search" else f"_{purpose}")
        if table in self.loaded:
            return table
        facts = files.described()
        self.server.sql(f"DROP TABLE IF EXISTS {table}")
        self.server.sql(f"CREATE TABLE {table} (id integer NOT NULL, v vector({facts['dimensions']:.0f}))")
        data.run("bench_client", "load", connect=self.server.address, table=table, insert_data=files.base,
                 rows=rows or int(facts["base"]), batch=LOAD_BATCH)
        if purpose == "search":
            self.server.sql(f"ALTER TABLE {table} ADD PRIMARY KEY (id)")
        self.server.sql(f"VACUUM (ANALYZE) {table}")
        self.server.sql("CHECKPOINT")
        self.loaded.add(table)
        return table

    def index(self, dataset, table, parallel="default", ef_construction=EF_CONSTRUCTION):
        """Builds the index anew. `parallel` is default or forced: PostgreSQL plans workers by the size of
        the table without its TOAST."""
        name = f"{table}_hnsw"
        self.server.sql(f"DROP INDEX IF EXISTS {name}")
        reset = f"ALTER TABLE {table} RESET (parallel_workers)"
        force = f"ALTER TABLE {table} SET (parallel_workers = {self.threads - 1})"
        self.server.sql(force if parallel == "forced" else reset)
        built = self.build(f"CREATE INDEX {name} ON {table} USING hnsw (v {dataset.operator_class}) "
                           f"WITH (m = {M}, ef_construction = {ef_construction})")
        return built | {"index_bytes": self.index_bytes(dataset, table)}

    def build(self, statement):
        """What it takes. The memory is that of the session, without its parallel workers."""
        self.server.sql("CHECKPOINT")
        with self.server.connect() as session, PeakMemory(session.info.backend_pid) as peak:
            before, cpu = peak.bytes, self.server.cpu_seconds()
            start = time.monotonic()
            session.execute(statement)
            seconds = time.monotonic() - start
        return {"build_seconds": seconds, "build_cpu_seconds": self.server.cpu_seconds() - cpu,
                "build_peak_bytes": float(peak.bytes - before)}

    def index_bytes(self, dataset, table):
        name = f"{table}_hnsw"
        if self.extension != "dvec":
            return float(self.server.value("SELECT pg_relation_size(%s)", [name]))
        with self.server.connect() as connection:
            # An index that nobody has used since it was made is not open, and tells no size.
            connection.execute("SET enable_seqscan = off")
            connection.execute(self.nearest(dataset, table).replace(
                "$1", f"(SELECT v FROM {table} LIMIT 1)"))
            cursor = connection.execute("SELECT bytes FROM dvec_indexes WHERE index = %s::regclass",
                                        [name])
            return float(cursor.fetchone()[0])

    def ensure_index(self, dataset, table):
        if self.indexed and not self.has_index(table):
            self.index(dataset, table, "forced")

    def has_index(self, table):
        return self.server.value("SELECT to_regclass(%s) IS NOT NULL", [f"{table}_hnsw"])

    # ---- statements ----

    def nearest(self, dataset, table):
        return f"SELECT id FROM {table} ORDER BY v {dataset.operator} $1 LIMIT {K}"

    @staticmethod
    def floor(table):
        """What SQL costs without a search: the same parameter and as many rows, read by primary key."""
        return f"SELECT id FROM {table} ORDER BY id LIMIT {K}"

    def setup(self, ef):
        if not self.indexed:
            return ""
        return f"SET hnsw.ef_search = {ef}; SET enable_seqscan = off"

    def must_use(self, node, sql, setup, table):
        with self.server.connect() as connection:
            if setup:
                connection.execute(setup)
            query = sql.replace("$1", f"(SELECT v FROM {table} LIMIT 1)")
            plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {query}").fetchall())
        if node not in plan:
            raise SystemExit(f"{self.name}: the plan has no {node}:\n{plan}")

    def search(self, dataset, files, table, ef, clients, seconds, recall, /, **more):
        sql, setup = self.nearest(dataset, table), self.setup(ef)
        node = f"Index Scan using {table}_hnsw" if self.indexed else f"Seq Scan on {table}"
        self.must_use(node, sql, setup, table)
        result = self.client(files, sql, setup, clients, seconds, recall, **more)
        if result.get("rows", K) != K:
            raise SystemExit(f"{self.name} returned {result['rows']} rows a query, not {K}")
        return result

    def client(self, files, sql, setup, clients, seconds, recall=False, **more):
        if recall:
            more.update(truth=files.truth, base=files.base)
        return data.run("bench_client", "search", connect=self.server.address, sql=sql,
                        setup=setup or "SELECT", queries=files.queries, clients=clients,
                        seconds=seconds, postmaster=self.server.process.pid, k=K, **more)

    @staticmethod
    def tail_sql(table):
        return f"SELECT tail FROM dvec_indexes WHERE index = '{table}_hnsw'::regclass"

    def wait_for_tail(self, table):
        if self.name == "dvec":
            while self.server.value(self.tail_sql(table)) > 0:
                time.sleep(0.01)


class InProcess:
    """An index in the memory of one process: hnswlib's, or that of dvec's engine (bench/peers/in_process.hpp)."""

    def __init__(self, program, dataset, files, threads, **more):
        self.name = program.removeprefix("bare_")
        command = data.program(program, "", base=files.base, queries=files.queries,
                               truth=files.truth, metric=dataset.metric, m=M,
                               ef_construction=EF_CONSTRUCTION, threads=threads, **more)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.build = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} failed")
        return json.loads(line)

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return self.answer()

    def search(self, ef, clients, seconds, recall):
        result = self.ask("recall", ef) if recall else {}
        return result | self.ask("search", ef, clients, seconds)

    def destroy(self):
        self.process.stdin.close()
        self.process.wait()


class Peers:
    """Those that take part, started when first needed, all ended at the end."""

    def __init__(self, scale, names, pgvector, threads=None, qdrant=None, libraries=None):
        self.scale = scale
        self.names = names
        self.pgvector = pgvector
        self.qdrant = qdrant
        self.libraries = libraries
        self.threads = threads or os.cpu_count()
        self.servers = {}
        self.bare = {}

    def __getitem__(self, name):
        if name not in self.servers:
            folder = self.pgvector if name == "pgvector" else OWN_BIN
            self.servers[name] = ServerPeer(name, self.scale, self.threads, folder)
        return self.servers[name]

    def indexed(self):
        return [self[name] for name in ("dvec", "pgvector") if name in self.names]

    def all_servers(self):
        return self.indexed() + ([self["heap"]] if "heap" in self.names else [])

    def hnswlib(self, dataset, files):
        """None when it takes no part."""
        if "hnswlib" not in self.names:
            return None
        if dataset.name not in self.bare:
            self.bare[dataset.name] = InProcess("bare_hnswlib", dataset, files, self.threads)
        return self.bare[dataset.name]

    def forget_hnswlib(self, dataset):
        """Gives its memory back; it is built again when it is asked for."""
        if dataset.name in self.bare:
            self.bare.pop(dataset.name).destroy()

    def destroy(self):
        for peer in list(self.bare.values()) + list(self.servers.values()):
            peer.destroy()
        self.bare, self.servers = {}, {}
