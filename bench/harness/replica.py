"""What a standby's own indexes are worth, and what keeping them costs, beside its primary in the same run:

    search    median latency, processor time and recall on either side, and QPS of two clients, quiet and while the
              primary inserts at a steady rate, deletes as many rows and vacuums. The sides take turns of a second,
              and the load waits where the machine cannot link as fast: what a search has to scan of rows that are
              not linked is noted beside its time
    follow    processor time of the follower as a share of the replay's own (the startup process), and its memory;
              under that load, and under one that has nothing to do with vectors
    lag       from a position being flushed on the primary until the standby has replayed it, with dvec and without
    ready     until a fresh standby, a restarted and a promoted one plans queries with the index

Both servers are on one machine, so a load takes the processors from searches on either side: ratios of a run
count, and processor times more than latencies.
"""

import array
import contextlib
import signal
import statistics
import subprocess
import threading
import time

import psycopg

from harness import data, plan
from harness.limits import vectors
from harness.peers import ServerPeer
from harness.processes import anonymous_bytes, find_processes, seconds_of
from harness.sections import in_rounds
from harness.server import Standby

EF = 40
RATE = 2_000  # rows a second
PERIOD = 0.1
VACUUM_EVERY = 5
# The load waits while more rows are not linked on either side. That is a little more than the workers leave in a burst.
MOST_TAIL = 2_000
TURN = 1  # seconds of searching, before it is the other side's turn
ASKED = 20  # vectors whose answers are compared with the exact ones under load
OTHER_DATABASE = "other"
PGBENCH_SCALE = 5
PGBENCH_RATE = 1_000  # transactions a second
# Feedback, so that VACUUM cancels no measured query.
PRIMARY = {"wal_level": "replica", "max_wal_senders": "8", "wal_keep_size": "512MB", "hot_standby": "on",
           "hot_standby_feedback": "on", "max_worker_processes": "16"}
SETUP = f"SET hnsw.ef_search = {EF}; SET enable_seqscan = off"
VECTOR_LOAD, OTHER_LOAD = "vectors", "pgbench"


class Pair:
    """A primary with one table and its index, and a standby."""

    def __init__(self, bench, dataset):
        self.bench, self.dataset = bench, dataset
        self.seconds = bench.scale.replica_seconds
        # As many further vectors as rows; a long load begins with them again.
        self.files = data.ensure(dataset, dataset.count)
        scale = plan.dataclasses.replace(bench.scale, settings=bench.scale.settings | PRIMARY)
        self.peer = ServerPeer("dvec", scale, bench.peers.threads, cluster="primary")
        self.primary = self.peer.server
        self.table = self.peer.load(dataset, self.files)
        self.peer.ensure_index(dataset, self.table)
        self.nearest = self.peer.nearest(dataset, self.table)
        self.next_row, self.next_id = 0, 1_000_000_000
        self.standby = None

    def make_standby(self):
        self.primary.sql("CHECKPOINT")
        self.standby = Standby("standby", self.primary)
        self.standby.start()

    def destroy(self):
        for server in (self.standby, self.primary):
            if server is not None:
                server.destroy()

    # ---- asking ----

    def explained(self, session):
        query = self.nearest.replace("$1", f"(SELECT v FROM {self.table} LIMIT 1)")
        return "\n".join(line for [line] in session.execute("EXPLAIN (COSTS OFF) " + query).fetchall())

    def wait_until_used(self, server):
        """Seconds until queries are planned with the index; the first one has it read."""
        began = time.monotonic()
        with server.connect_when_up() as session:
            session.execute(SETUP)
            while f"Index Scan using {self.table}_hnsw" not in self.explained(session):
                if time.monotonic() > began + 600:
                    raise SystemExit(f"replica: {server.name} does not use its index")
                time.sleep(0.01)
        return time.monotonic() - began

    def wait_until_replayed(self):
        position = self.primary.value("SELECT pg_current_wal_flush_lsn()")
        with self.standby.connect() as session:
            while not session.execute("SELECT pg_last_wal_replay_lsn() >= %s", [position]).fetchone()[0]:
                time.sleep(0.01)

    def search(self, server, clients, recall):
        """For one turn. What is behind is of its begin and end."""
        more = {"truth": self.files.truth, "base": self.files.base} if recall else {}
        with server.connect() as session:
            before = self.behind(session)
        found = data.run("bench_client", "search", connect=server.address, sql=self.nearest, setup=SETUP,
                         queries=self.files.queries, clients=clients, seconds=TURN,
                         postmaster=server.process.pid, k=plan.K, **more)
        with server.connect() as session:
            after = self.behind(session)
        return found | {name: (before[name] + after[name]) / 2 for name in before}

    def behind(self, session):
        """Rows that are not linked, and pages of the table that searches read."""
        query = "SELECT tail, coalesce(pages_behind, 0) FROM dvec_indexes WHERE index = %s::regclass"
        tail, pages = session.execute(query, [f"{self.table}_hnsw"]).fetchone()
        return {"tail": tail or 0, "pages_behind": pages}

    def recall_now(self, server):
        """Of answers while the table changes, each compared with the exact one of its snapshot; and in how many
        cases the index was planned with."""
        found = wanted = used = 0
        query = f"SELECT id FROM {self.table} ORDER BY v {self.dataset.operator} %s LIMIT {plan.K}"
        with server.connect() as session:
            session.prepare_threshold = None
            session.execute(SETUP)
            for vector in vectors(self.files.queries, ASKED):
                used += "Index Scan" in self.explained(session)
                with session.transaction():
                    session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                    near = set(session.execute(query, [vector]).fetchall())
                    session.execute("SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off")
                    exact = set(session.execute(query, [vector]).fetchall())
                found += len(near & exact)
                wanted += len(exact)
        return {"recall": found / wanted, "index_used": used / ASKED}


# ---- Loads --------------------------------------------------------------------------------------


def copy_rows(path, first, count, first_id):
    """Rows (id, v) in COPY's binary format."""
    with open(path, "rb") as file:
        width = int.from_bytes(file.read(4), "little")
        file.seek(first * (4 + 4 * width))
        rows = []
        for row in range(count):
            values = array.array("f", file.read(4 + 4 * width)[4:])
            values.byteswap()
            vector = width.to_bytes(2, "big") + b"\0\0" + values.tobytes()
            rows.append(b"\0\2\0\0\0\4" + (first_id + row).to_bytes(4, "big") + len(vector).to_bytes(4, "big") +
                        vector)
    return b"PGCOPY\n\xff\r\n\0" + b"\0" * 8 + b"".join(rows) + b"\xff\xff"


class VectorLoad:
    """Inserts at a rate, deletes as many of the rows that it inserted, vacuums every few seconds."""

    def __init__(self, pair):
        self.pair = pair
        self.rows = 0
        self.seconds = 0
        self.waited = 0  # seconds for the rows to be linked
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=target) for target in (self.write, self.vacuum)]

    def write(self):
        pair, count = self.pair, int(RATE * PERIOD)
        first_of_all = pair.next_id
        began = time.monotonic()
        with pair.primary.connect() as session, pair.standby.connect() as standby:
            while not self.stop.is_set():
                if any(pair.behind(each)["tail"] > MOST_TAIL for each in (session, standby)):
                    self.waited += PERIOD
                    self.stop.wait(PERIOD)
                    continue
                rows = copy_rows(pair.files.extra, pair.next_row % pair.dataset.count, count, pair.next_id)
                with session.transaction():
                    with session.cursor().copy(
                            f"COPY {pair.table} (id, v) FROM STDIN (FORMAT binary)") as copy:
                        copy.write(rows)
                # Half of what was inserted some seconds ago, here and there on its pages.
                old = pair.next_id - RATE * 3
                if old >= first_of_all:
                    session.execute(f"DELETE FROM {pair.table} WHERE id >= %s AND id < %s AND id %% 2 = 0",
                                    [old, old + count])
                pair.next_row += count
                pair.next_id += count
                self.rows += count
                self.stop.wait(max(0, began + self.waited + self.rows / RATE - time.monotonic()))
        self.seconds = time.monotonic() - began

    def vacuum(self):
        with self.pair.primary.connect() as session:
            while not self.stop.wait(VACUUM_EVERY):
                session.execute(f"VACUUM (INDEX_CLEANUP ON) {self.pair.table}")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        time.sleep(2 * PERIOD)
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def rate(self):
        return self.rows / self.seconds


class OtherLoad:
    """pgbench's own transactions, in a database without vectors."""

    def __init__(self, pair):
        self.server = pair.primary
        self.process = None

    @staticmethod
    def prepare(pair):
        pair.primary.sql("DROP DATABASE IF EXISTS bench")
        pair.primary.sql("CREATE DATABASE bench")
        OtherLoad.pgbench(pair.primary, "-i", "-q", "-s", PGBENCH_SCALE).wait()

    @staticmethod
    def pgbench(server, *arguments):
        return subprocess.Popen([server.bin / "pgbench", "-h", server.socket, "-U", "postgres",
                                 *map(str, arguments), "bench"], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def __enter__(self):
        self.process = self.pgbench(self.server, "-n", "-c", 4, "-j", 1, "-R", PGBENCH_RATE, "-T", 3600)
        time.sleep(1)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


LOADS = {VECTOR_LOAD: VectorLoad, OTHER_LOAD: OtherLoad}


# ---- What processes use ---------------------------------------------------------------------------

# Parts of their titles.
FOLLOWING = ("startup", "dvec follower", "dvec worker", "walreceiver")


def follow(pair, load):
    """Over some seconds of a load: shares of the replay's processor time, and memory."""
    pids = find_processes(pair.standby, FOLLOWING)
    before = {name: seconds_of(each) for name, each in pids.items()}
    memory = []
    position = pair.primary.value("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn")
    with load:
        end = time.monotonic() + 3 * pair.seconds
        while time.monotonic() < end:
            memory.append(max(map(anonymous_bytes, pids["dvec follower"]), default=0))
            time.sleep(0.2)
    pair.wait_until_replayed()
    time.sleep(1)
    wal = float(pair.primary.value("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn") - position)
    used = {name: seconds_of(each) - before[name] for name, each in pids.items()}
    followers = max(1, len(pids["dvec follower"]))
    return {"replay_seconds": used["startup"], "follower_seconds": used["dvec follower"] / followers,
            "worker_seconds": used["dvec worker"],
            "follower_share": used["dvec follower"] / followers / used["startup"],
            "followers": len(pids["dvec follower"]), "wal_mb": wal / 2**20,
            "follower_bytes": max(memory), "follower_bytes_begin": memory[0], "follower_bytes_end": memory[-1]}


def lag(pair, load):
    """Median milliseconds from a flushed position to its replay."""
    found = []
    with load, pair.primary.connect() as primary, pair.standby.connect() as standby:
        end = time.monotonic() + 2 * pair.seconds
        while time.monotonic() < end:
            [position] = primary.execute("SELECT pg_current_wal_flush_lsn()").fetchone()
            began = time.monotonic()
            while not standby.execute("SELECT pg_last_wal_replay_lsn() >= %s", [position]).fetchone()[0]:
                time.sleep(0.0005)
            found.append((time.monotonic() - began) * 1000)
            time.sleep(0.02)
    return {"lag_ms": statistics.median(found), "lag_p95_ms": sorted(found)[len(found) * 95 // 100]}


# ---- The parts -------------------------------------------------------------------------------------


def measure_search(pair, keys):
    for load in ("quiet", VECTOR_LOAD):
        for clients in (1, 2):
            pair.bench.say(f"replica {pair.dataset.name}: search, {load}, {clients} clients")
            rounds = {"primary": [], "standby": []}
            with LOADS[load](pair) if load in LOADS else contextlib.nullcontext() as writing:
                sides = [("primary", pair.primary), ("standby", pair.standby)]
                for _ in range(pair.bench.scale.rounds * max(3, round(pair.seconds / TURN))):
                    sides.reverse()
                    for name, server in sides:
                        numbers = pair.search(server, clients, load == "quiet" and clients == 1)
                        if load != "quiet" and clients == 1:
                            numbers |= pair.recall_now(server)
                        rounds[name].append(numbers)
            if writing is not None:
                pair.bench.results.add([{"rows_per_second": writing.rate()}], peer="load", variant=load,
                                       clients=clients, **keys)
            for name, each in rounds.items():
                pair.bench.results.add(each, peer=name, variant=load, clients=clients, **keys)
            pairs = list(zip(rounds["primary"], rounds["standby"]))
            pair.bench.results.add([{"latency_ratio": standby["p50_us"] / primary["p50_us"],
                                     "cpu_ratio": standby["backend_cpu_us"] / primary["backend_cpu_us"],
                                     "qps_ratio": standby["qps"] / primary["qps"]} for primary, standby in pairs],
                                   peer="ratio", variant=load, clients=clients, **keys)


def follow_other_databases(pair):
    """A second database whose indexes are followed: its process reads the same WAL."""
    pair.primary.sql(f"CREATE DATABASE {OTHER_DATABASE}")
    pair.wait_until_replayed()
    statements = ("CREATE EXTENSION dvec; CREATE TABLE few (id integer, v vector(3)); "
                  "INSERT INTO few SELECT i, ARRAY[i, 1, 2]::vector FROM generate_series(1, 5000) i; "
                  "CREATE INDEX few_hnsw ON few USING hnsw (v vector_l2_ops); ANALYZE few")
    address = f"host={pair.primary.socket} port=5432 user=postgres dbname={OTHER_DATABASE}"
    with psycopg.connect(address, autocommit=True) as session:
        session.execute(statements)
    pair.wait_until_replayed()
    with psycopg.connect(address.replace(str(pair.primary.socket), str(pair.standby.socket)),
                         autocommit=True) as session:
        session.execute("SET enable_seqscan = off")
        query = "EXPLAIN SELECT id FROM few ORDER BY v <-> '[1,1,2]' LIMIT 3"
        while not any("Index Scan" in line for [line] in session.execute(query).fetchall()):
            time.sleep(0.05)


def measure_following(pair, keys):
    for name in LOADS:
        pair.bench.say(f"replica {pair.dataset.name}: following, {name}")
        rounds = in_rounds(pair.bench.scale.rounds, lambda: follow(pair, LOADS[name](pair)))
        pair.bench.results.add(rounds, peer="standby", variant=name, **keys)
    pair.bench.say(f"replica {pair.dataset.name}: following in two databases")
    follow_other_databases(pair)
    rounds = in_rounds(pair.bench.scale.rounds, lambda: follow(pair, OtherLoad(pair)))
    pair.bench.results.add(rounds, peer="standby", variant=f"{OTHER_LOAD}, two databases", **keys)


def measure_lag(pair, keys):
    for variant, library in (("without", ""), ("with", "dvec")):
        pair.standby.stop()
        pair.standby.settings["shared_preload_libraries"] = library
        pair.standby.start()
        if library:
            pair.wait_until_used(pair.standby)
        for name in LOADS:
            pair.bench.say(f"replica {pair.dataset.name}: lag {variant} dvec, {name}")
            rounds = in_rounds(pair.bench.scale.rounds, lambda: lag(pair, LOADS[name](pair)))
            pair.bench.results.add(rounds, peer="standby", variant=f"{name}, {variant} dvec", **keys)


def measure_ready(pair, keys):
    def note(variant, seconds):
        pair.bench.results.add([{"used_after_seconds": seconds}], peer="standby", variant=variant, **keys)

    pair.bench.say(f"replica {pair.dataset.name}: restarts and a promotion")
    for variant, mode in (("restart, fast", signal.SIGINT), ("restart, immediate", signal.SIGQUIT)):
        pair.wait_until_replayed()
        pair.standby.stop(mode)
        pair.standby.start()
        note(variant, pair.wait_until_used(pair.standby))
    pair.wait_until_replayed()
    pair.standby.sql("SELECT pg_promote(true)")
    note("promotion", pair.wait_until_used(pair.standby))


def replica(bench):
    for dataset in bench.scale.replicas:
        pair = Pair(bench, dataset)
        keys = dict(section="replica", dataset=dataset.name)
        try:
            bench.say(f"replica {dataset.name}: a fresh standby")
            pair.make_standby()
            bench.results.add([{"used_after_seconds": pair.wait_until_used(pair.standby)}], peer="standby",
                              variant="base backup", **keys)
            OtherLoad.prepare(pair)
            pair.wait_until_replayed()
            measure_search(pair, keys)
            measure_following(pair, keys)
            measure_lag(pair, keys)
            measure_ready(pair, keys)
        finally:
            pair.destroy()
            bench.results.save()
