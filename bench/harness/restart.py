"""From the start of the server to the first answer, for each way it may have ended. The page cache stays
warm throughout: what a disk adds is not measured.

    clean stop       nothing to do
    kill -9          rows are in the sidecar's log that no checkpoint covers
    power loss       the same, and another boot: memory may have been lost, so the heap is asked. Nothing
                     is really lost here; it is the doubt that costs
    deleted folder   the index is made anew from the heap
    no index         a clean stop of a server whose table has no index: what PostgreSQL itself takes

Two moments are noted: when a query of the nearest rows is first answered (by an exact scan, while an
index is not to be used), and when the index answers again.
"""

import os
import shutil
import time
import uuid

from harness import data
from harness.peers import ServerPeer
from harness.plan import BUILD, K
from harness.sections import in_rounds

FAULTS = BUILD.parent / "faults.so"
INSERT_BATCH = 100
PATIENCE = 3600


class Ending:
    """One server, whose ends are measured."""

    def __init__(self, bench):
        self.bench = bench
        self.dataset = bench.scale.big
        self.files = data.ensure(self.dataset, 3 * bench.scale.rounds * bench.scale.logged_rows)
        self.next_row = 0
        self.peer = ServerPeer("dvec", bench.scale, bench.peers.threads, cluster="restart")
        self.server = self.peer.server
        self.control = self.server.home / "faults"
        if FAULTS.exists():
            self.preload_faults()
        self.table = self.peer.load(self.dataset, self.files)
        self.query = self.first_query()

    def preload_faults(self):
        self.control.mkdir()
        self.server.stop()
        self.server.environment = {"LD_PRELOAD": str(FAULTS), "DVEC_FAULTS": str(self.control)}
        self.server.start()

    def first_query(self):
        """The first query vector, in words."""
        with open(self.files.queries, "rb") as file:
            width = int.from_bytes(file.read(4), "little")
            values = memoryview(file.read(4 * width)).cast("f")
        vector = "[" + ",".join(repr(value) for value in values) + "]"
        return (f"SELECT id FROM {self.table} ORDER BY v {self.dataset.operator} '{vector}' LIMIT {K}")

    # ---- ends ----

    def add_rows(self):
        rows = self.bench.scale.logged_rows
        data.run("bench_client", "insert", connect=self.server.address, table=self.table,
                 insert_data=self.files.extra, first_row=self.next_row,
                 first_id=1_000_000_000 + self.next_row, rows=rows, batch=INSERT_BATCH, clients=1,
                 seconds=PATIENCE, postmaster=self.server.process.pid)
        self.next_row += rows

    def clean_stop(self):
        self.server.stop()

    def kill(self):
        self.add_rows()
        self.server.kill()

    def lose_power(self):
        self.add_rows()
        self.server.kill()
        (self.control / "boot_id").write_text(f"{uuid.uuid4()}\n")

    def delete_folder(self):
        self.server.stop()
        shutil.rmtree(self.server.data / "dvec")

    # ---- starts ----

    def uses_index(self, connection):
        plan = connection.execute("EXPLAIN " + self.query).fetchall()
        return any("Index Scan" in line for [line] in plan)

    def measure_start(self):
        begin = time.monotonic()
        self.server.launch()
        connection = self.server.connect_when_up()
        accepts = time.monotonic() - begin
        connection.execute("SET jit = off")
        answer = connection.execute(self.query).fetchall()
        first = time.monotonic() - begin
        result = {"accepts_seconds": accepts, "first_answer_seconds": first}
        if self.peer.has_index(self.table):
            while not self.uses_index(connection):
                time.sleep(0.005)
                if time.monotonic() - begin > PATIENCE:
                    raise SystemExit("the index is not used again")
            connection.execute(self.query)
            result["index_used_seconds"] = time.monotonic() - begin
            self.peer.wait_for_tail(self.table)
            result["linked_seconds"] = time.monotonic() - begin
            replayed = connection.execute(
                "SELECT replayed_records FROM dvec_indexes WHERE index = %s::regclass",
                [f"{self.table}_hnsw"]).fetchone()[0]
            result["replayed_records"] = float(replayed or 0)
        exact = connection.execute("SET enable_indexscan = off").connection.execute(self.query)
        result["first_answer_recall"] = len(set(answer) & set(exact.fetchall())) / K
        connection.close()
        return result


def restart(bench):
    ending = Ending(bench)
    try:
        keys = dict(section="restart", dataset=ending.dataset.name, peer="dvec")
        bench.results.note("restart", "vectors", ending.dataset.count)
        bench.results.note("restart", "logged rows", bench.scale.logged_rows)
        ends = {"no index": ending.clean_stop, "clean stop": ending.clean_stop, "kill -9": ending.kill,
                "power loss": ending.lose_power, "deleted folder": ending.delete_folder}
        if not FAULTS.exists():
            bench.say(f"restart: no {os.path.relpath(FAULTS)}, so no loss of power")
            del ends["power loss"]
        for name, end in ends.items():
            bench.say(f"restart {name}")
            if name == "clean stop":
                ending.peer.ensure_index(ending.dataset, ending.table)

            def once():
                end()
                return ending.measure_start()

            bench.results.add(in_rounds(bench.scale.rounds, once), variant=name, **keys)
    finally:
        ending.server.destroy()
