"""How cost grows with the number of rows. For each number and each way to keep vectors a server of its own is filled, and
goes through a life:

    build      seconds, processor time, the most memory of the building session, bytes of a row
    search     recall and processor time over ef, and what SQL costs by itself
    insert     a hundredth of the rows more, in batches, until all are linked; the worker's memory meanwhile, and
               until it has done what it does when no more rows come
    restart    kill -9 of everything, then seconds to the first right answer by the index
    VACUUM     after a twentieth of the rows, here and there, was deleted

The rows that are inserted are the last of the same file, so exact answers are known at each stage: those of all rows,
without the rows that are not there. Results of other numbers and other ways stay.
"""

import contextlib
import time

from harness import data, machine
from harness.indexes import Index, Way, compact
from harness.limits import vectors
from harness.memory_group import forget_file
from harness.peers import ServerPeer
from harness.plan import K, clustered
from harness.processes import PeakMemory, anonymous_bytes, find_processes, seconds_of
from harness.sections import note_dataset, search_floor

WAYS = {"full": Way("dvec", "full"), "compact": compact(8)}

DIMENSIONS = 128
INSERTED = 100  # for so many rows one more is inserted
LEAST_INSERTED = 5_000
INSERT_BATCH = 100
DELETED = 20  # of so many rows one is deleted
PATIENCE = 3600
RIGHT = 0.9  # of the ten nearest in the first answer; before the end there were all


def inserted(rows):
    return max(rows // INSERTED, LEAST_INSERTED)


def dataset_of(rows, queries):
    return clustered(f"growth-{rows}", "l2", rows + inserted(rows), DIMENSIONS, queries)


class Life:
    """Of one index, on a server of its own."""

    def __init__(self, bench, rows, way):
        self.bench, self.rows = bench, rows
        self.dataset = dataset_of(rows, bench.scale.growth_queries)
        self.all_files = data.ensure(self.dataset)
        self.peer = ServerPeer("dvec", bench.scale, bench.peers.threads, cluster="growth")
        self.server = self.peer.server
        try:
            self.say("load", way)
            self.worker_bytes = anonymous_bytes(self.worker())
            self.index = Index(bench, "growth", self.peer, way, self.dataset, rows)
            self.index.files = self.all_files.of_rows("first", lambda row: row < rows)
            self.keys = self.index.keys
            # Its memory is better used by the server.
            forget_file(self.all_files.base)
        except BaseException:
            self.server.destroy()
            raise

    def say(self, stage, way=None):
        self.bench.say(f"growth {self.rows:,} {(way or self.index.way).label}: {stage}")

    def add(self, variant, numbers):
        self.bench.results.add([numbers], variant=variant, **self.keys)

    def worker(self):
        while True:
            found = find_processes(self.server, ("dvec worker",))["dvec worker"]
            if found:
                return found[0]
            time.sleep(0.01)

    # ---- stages ----

    def build(self):
        self.say("build")
        if not self.index.build():
            raise SystemExit("growth: dvec does not know its own storage")

    def search(self):
        """Least ef of the highest recall that was asked for and reached."""
        self.say("search")
        self.reached = self.index.curve()
        for recall, ef in self.reached.items():
            self.add(f"ef, {recall:g}", {"ef_search": ef})
        self.add("floor", search_floor(self.peer, self.index.files, self.index.table, 1, self.bench.scale.seconds))
        self.add("index", self.index.numbers | self.index.sizes())
        # With few rows the least ef finds more than was asked for: then all is as good.
        self.ef = self.reached[max(self.reached)] if self.reached else max(self.bench.scale.efs)

    def recall(self, files):
        self.index.files = files
        return self.index.search(self.ef, 0.1)["recall"]

    def insert(self):
        self.say("insert")
        worker = self.worker()
        with PeakMemory(worker) as peak:
            # The worker gets to know the index with the first of them.
            first = self.insert_rows(self.rows, INSERT_BATCH)
            numbers = self.insert_rows(self.rows + INSERT_BATCH, inserted(self.rows) - INSERT_BATCH)
            while_linking = peak.bytes
            self.wait_until_rests(worker)
        rows = self.rows + inserted(self.rows)
        self.add("insert", numbers | {
            "first_linked_seconds": INSERT_BATCH / first["sustained_rate"],
            "recall": self.recall(self.all_files),
            "worker_row_bytes_linking": (while_linking - self.worker_bytes) / rows,
            "worker_row_bytes": (peak.bytes - self.worker_bytes) / rows,
            "worker_row_bytes_after": (anonymous_bytes(worker) - self.worker_bytes) / rows})

    def insert_rows(self, first, rows):
        """Until they are linked."""
        return data.run(
            "bench_client", "insert", connect=self.server.address, table=self.index.table,
            insert_data=self.all_files.base, first_row=first, first_id=first, rows=rows, batch=INSERT_BATCH, clients=1,
            seconds=PATIENCE, postmaster=self.server.process.pid,
            tail_sql=f"SELECT tail FROM dvec_indexes WHERE index = '{self.index.name}'::regclass")

    def wait_until_rests(self, worker):
        used, since = seconds_of([worker]), time.monotonic()
        while time.monotonic() < since + self.bench.scale.growth_rest:
            time.sleep(0.1)
            now = seconds_of([worker])
            if now - used > 0.02:
                used, since = now, time.monotonic()

    def restart(self):
        self.say("restart")
        exact = [set(row[:K]) for row in data.read_rows(self.all_files.truth, "i")]
        asked = [(f"SELECT id FROM {self.index.table} ORDER BY v {self.dataset.operator} '{vector}' LIMIT {K}", nearest)
                 for vector, nearest in zip(vectors(self.all_files.queries, 20), exact)]
        with self.server.connect() as session:
            session.execute(self.peer.setup(self.ef))
            shares = [share_of(session, *each) for each in asked]
        query, nearest = asked[shares.index(max(shares))]
        self.server.kill()
        begin = time.monotonic()
        self.server.launch()
        with contextlib.closing(self.server.connect_when_up()) as session:
            accepts = time.monotonic() - begin
            session.execute(self.peer.setup(self.ef))
            session.prepare_threshold = None
            while not (self.is_used(session, query) and share_of(session, query, nearest) >= RIGHT):
                if time.monotonic() - begin > PATIENCE:
                    raise SystemExit("growth: no right answer by the index")
                time.sleep(0.002)
            answered = time.monotonic() - begin
        self.add("restart", {"accepts_seconds": accepts, "right_answer_seconds": answered})

    def is_used(self, session, query):
        return any(self.index.name in line for [line] in session.execute("EXPLAIN " + query).fetchall())

    def vacuum(self):
        self.say("delete and VACUUM")
        before = self.recall(self.all_files)
        start = time.monotonic()
        self.server.sql(f"DELETE FROM {self.index.table} WHERE id % {DELETED} = 7")
        deleted = time.monotonic()
        cpu = self.server.cpu_seconds()
        self.server.sql(f"VACUUM {self.index.table}")
        numbers = {"delete_seconds": deleted - start, "vacuum_seconds": time.monotonic() - deleted,
                   "vacuum_cpu_seconds": self.server.cpu_seconds() - cpu, "recall_before": before}
        numbers["recall"] = self.recall(self.all_files.of_rows("left", lambda row: row % DELETED != 7))
        self.add("vacuum", numbers)


def share_of(session, query, nearest):
    return len({row for [row] in session.execute(query).fetchall()} & nearest) / K


def growth(bench):
    for rows in bench.scale.growth_rows:
        dataset = dataset_of(rows, bench.scale.growth_queries)
        bench.say(f"growth {rows:,}: data")
        note_dataset(bench, dataset, data.ensure(dataset))
        for name in bench.scale.growth_ways:
            measure(bench, rows, WAYS[name])


def measure(bench, rows, way):
    keys = dict(section="growth", dataset=f"growth-{rows}", peer=way.label)
    bench.results.forget(**keys)
    watch = machine.Watch()
    life = Life(bench, rows, way)
    try:
        life.build()
        life.search()
        life.insert()
        life.restart()
        life.vacuum()
    finally:
        life.server.destroy()
    bench.results.add([{"rows": rows} | watch.report()], variant="run", **keys)
    bench.results.put(dict(keys, variant="run", metric="date", value=machine.now()))
    bench.results.save()
