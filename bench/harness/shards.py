"""What partitions cost beside one table with one index, each search with the same rows:

    node        one index for all rows
    shard       the slowest of three servers that have a third of the rows each, asked by itself
    shards      a table of which these three are the partitions, by postgres_fdw, as dvec plans it (PartitionMerge)
    postgres_fdw
                the same, as PostgreSQL plans it (MergeAppend)
    partitions  a table with eight partitions on one server, with the least ef whose recall is the node's

All servers are on one machine, and one client asks. The ways take turns, and the median counts.
"""

import collections


from harness import data, plan
from harness.peers import ServerPeer
from harness.server import Server

EF = 40
EFS = (4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 40)  # of partitions
SHARDS, PARTITIONS = 3, 8
PLANNED = {"shards": "SET dvec.enable_partition_merge = on", "postgres_fdw": "SET dvec.enable_partition_merge = off"}
FORCE = "SET enable_seqscan = off"


def copy_part(source, target, table, part, number, of):
    """Rows of a remainder, from one session to another."""
    select = f"COPY (SELECT id, v FROM {table} WHERE id % {of} = {number}) TO STDOUT (FORMAT binary)"
    with source.cursor().copy(select) as rows, target.cursor().copy(f"COPY {part} FROM STDIN (FORMAT binary)") as copy:
        for block in rows:
            copy.write(block)


class Layouts:
    """One node, the shards, and the partitions, of the same rows."""

    def __init__(self, bench, dataset):
        self.bench, self.dataset = bench, dataset
        self.files = data.ensure(dataset)
        self.peer = ServerPeer("dvec", bench.scale, bench.peers.threads, cluster="coordinator")
        self.servers = []
        self.table = self.peer.load(dataset, self.files)
        self.peer.ensure_index(dataset, self.table)
        with self.peer.server.connect() as session:
            self.make_shards(session)
            self.make_partitions(session)

    def destroy(self):
        for server in (*self.servers, self.peer.server):
            server.destroy()

    def index(self, table):
        return (f"CREATE INDEX ON {table} USING hnsw (v {self.dataset.operator_class}) "
                f"WITH (m = {plan.M}, ef_construction = {plan.EF_CONSTRUCTION})")

    def columns(self):
        return f"(id integer NOT NULL, v vector({self.files.described()['dimensions']:.0f}))"

    def make_shards(self, session):
        session.execute("CREATE EXTENSION postgres_fdw")
        session.execute(f"CREATE TABLE shards {self.columns()} PARTITION BY LIST ((id % {SHARDS}))")
        for number in range(SHARDS):
            settings = dict(self.bench.scale.settings, shared_preload_libraries="dvec")
            server = Server(f"shard{number}", settings).start()
            self.servers.append(server)
            with server.connect() as own:
                own.execute("CREATE EXTENSION dvec")
                own.execute(f"CREATE TABLE part {self.columns()}")
                copy_part(session, own, self.table, "part", number, SHARDS)
                own.execute(self.index("part"))
                own.execute("VACUUM ANALYZE part")
                own.execute("CHECKPOINT")
            session.execute(
                f"CREATE SERVER shard{number} FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{server.socket}', "
                f"port '5432', dbname 'postgres', extensions 'dvec', async_capable 'true', parallel_commit 'true', "
                f"fetch_size '{plan.K}', options '-c hnsw.ef_search={EF} -c enable_seqscan=off')")
            session.execute(f"CREATE USER MAPPING FOR CURRENT_USER SERVER shard{number} OPTIONS (user 'postgres')")
            session.execute(f"CREATE FOREIGN TABLE shards_{number} PARTITION OF shards FOR VALUES IN ({number}) "
                            f"SERVER shard{number} OPTIONS (table_name 'part')")

    def make_partitions(self, session):
        session.execute(f"CREATE TABLE parts {self.columns()} PARTITION BY LIST ((id % {PARTITIONS}))")
        for number in range(PARTITIONS):
            session.execute(f"CREATE TABLE parts_{number} PARTITION OF parts FOR VALUES IN ({number})")
        session.execute(f"INSERT INTO parts SELECT * FROM {self.table}")
        session.execute(self.index("parts"))
        session.execute("VACUUM ANALYZE parts")
        session.execute("CHECKPOINT")

    # ---- asking ----

    def search(self, server, table, setup, recall=True):
        more = {"truth": self.files.truth, "base": self.files.base} if recall else {}
        return data.run("bench_client", "search", connect=server.address, sql=self.peer.nearest(self.dataset, table),
                        setup=f"{FORCE}; {setup}", queries=self.files.queries, clients=1,
                        seconds=self.bench.scale.seconds, postmaster=server.process.pid, k=plan.K, **more)

    def check_plan(self, way):
        """That what is measured is what it is called."""
        query = self.peer.nearest(self.dataset, "shards").replace("$1", f"(SELECT v FROM {self.table} LIMIT 1)")
        with self.peer.server.connect() as session:
            session.execute(PLANNED[way])
            text = "\n".join(row[0] for row in session.execute(f"EXPLAIN {query}"))
        wanted = {"shards": "PartitionMerge", "postgres_fdw": "Merge Append"}[way]
        if wanted not in text:
            raise SystemExit(f"shards: no {wanted} in\n{text}")

    def one_round(self, ef):
        """What each way takes; of the shards themselves the slowest."""
        coordinator = self.peer.server
        found = {"node": self.search(coordinator, self.table, f"SET hnsw.ef_search = {EF}"),
                 "shard": max((self.search(server, "part", f"SET hnsw.ef_search = {EF}", False)
                               for server in self.servers), key=lambda each: each["p50_us"]),
                 "partitions": self.search(coordinator, "parts", f"SET hnsw.ef_search = {ef}")}
        for way, setup in PLANNED.items():
            self.check_plan(way)
            found[way] = self.search(coordinator, "shards", setup)
        return found

    def ef_of_partitions(self):
        """The least with the recall of one index."""
        wanted = self.search(self.peer.server, self.table, f"SET hnsw.ef_search = {EF}")["recall"]
        for ef in EFS:
            if self.search(self.peer.server, "parts", f"SET hnsw.ef_search = {ef}")["recall"] >= wanted:
                return ef
        return EFS[-1]


def shards(bench):
    for dataset in bench.scale.shards:
        bench.say(f"shards {dataset.name}: load")
        layouts = Layouts(bench, dataset)
        try:
            measure(bench, dataset, layouts)
        finally:
            layouts.destroy()


def measure(bench, dataset, layouts):
    ef = layouts.ef_of_partitions()
    rounds = collections.defaultdict(list)
    for number in range(bench.scale.shard_rounds):
        bench.say(f"shards {dataset.name}: round {number + 1}")
        for way, result in layouts.one_round(ef).items():
            rounds[way].append(result)
    keys = {"section": "shards", "dataset": dataset.name}
    for way, results in rounds.items():
        kept = [{name: each[name] for name in ("p50_us", "p95_us", "recall") if name in each} for each in results]
        bench.results.add(kept, **keys, peer=way, ef=ef if way == "partitions" else EF)
    times = {way: [each["p50_us"] for each in results] for way, results in rounds.items()}
    bench.results.add([{"over_shard_us": ours - 1.5 * shard, "of_node": ours / node, "of_postgres_fdw": ours / theirs}
                       for ours, shard, node, theirs in zip(times["shards"], times["shard"], times["node"],
                                                            times["postgres_fdw"], strict=True)],
                      **keys, peer="ratio", variant="shards")
    bench.results.add([{"of_node": parts / node} for parts, node in zip(times["partitions"], times["node"],
                                                                        strict=True)],
                      **keys, peer="ratio", variant="partitions")
