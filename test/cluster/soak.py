"""The load of the soak, what is sampled while it runs, and the rule that tells growth from noise."""

import contextlib
import dataclasses
import os
import pathlib
import threading
import time

import numpy as np
import psycopg

import answers
import smaps
import vectors

DIMENSIONS = 64
ROWS = 20_000
WRITTEN_AT_ONCE = 10
COPIES = 10  # every so many rows one repeats a vector that is there
LIMIT = 10


def memory_of_its_own(pid):
    """In kB: without the mapped files and shared memory, which are counted as files, and without the files that a
    compaction makes in memory."""
    total = smaps.kilobytes(pid, "Anonymous", built=False)
    if total == 0:
        raise ValueError(f"process {pid} has ended")
    return total


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def mappings(pid):
    return pathlib.Path(f"/proc/{pid}/maps").read_text().count("\n")


def sizes(folder):
    """Of the files below it: those that go away meanwhile are gone."""
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                yield path.stat().st_blocks * 512


class Load:
    """Sessions that stay connected, each with a thread of its own, at a rate that a busy machine keeps up with: the
    table has as many rows in the end as at the beginning, and other ones."""

    def __init__(self, cluster, rate, seed):
        self.cluster = cluster
        self.rate = rate  # rows a second; as many searches
        self.random = np.random.default_rng(seed)
        self.rows = vectors.clustered(ROWS, DIMENSIONS, seed)
        self.pids = []
        self.failures = []
        self.latencies = []
        self.done = {"inserts": 0, "deletes": 0, "searches": 0, "vacuums": 0}
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.first, self.next = 0, ROWS

    def make_table(self):
        connection = self.cluster.connect()
        vectors.make_table(connection, self.rows)
        connection.execute("CREATE UNIQUE INDEX ON items (id)")
        connection.execute("VACUUM ANALYZE items")

    def run(self, work, pause):
        """`work(connection)` again and again, each `pause` seconds after the time before began."""
        try:
            connection = self.cluster.connect_for_thread()
            with contextlib.closing(connection):
                self.pids.append(connection.info.backend_pid)
                due = time.monotonic()
                while not self.stopping.wait(max(0.0, due - time.monotonic())):
                    work(connection)
                    due = max(due + pause, time.monotonic() - 1)
        except (psycopg.Error, AssertionError) as failure:
            self.failures.append(failure)
            self.stopping.set()

    def insert(self, connection):
        chosen = self.random.integers(ROWS, size=WRITTEN_AT_ONCE)
        rows = self.rows[chosen]
        moved = rows + 0.05 * self.random.normal(size=rows.shape).astype(np.float32)
        moved[::COPIES] = rows[::COPIES]
        vectors.copy_in(connection, "items", self.next, moved)
        self.next += WRITTEN_AT_ONCE
        self.done["inserts"] += WRITTEN_AT_ONCE

    def delete(self, connection):
        """The oldest rows, and an update of one that stays and of its vector."""
        connection.execute("DELETE FROM items WHERE id >= %s AND id < %s", [self.first, self.first + WRITTEN_AT_ONCE])
        connection.execute("UPDATE items SET v = v WHERE id = %s", [self.first + ROWS // 2])
        self.first += WRITTEN_AT_ONCE
        self.done["deletes"] += WRITTEN_AT_ONCE

    def search(self, connection):
        # A generator belongs to its thread.
        query = vectors.text(self.rows[time.monotonic_ns() % ROWS])
        began = time.perf_counter()
        found = connection.execute(f"SELECT id, v <-> %(q)s::vector AS d FROM items ORDER BY d LIMIT {LIMIT}",
                                   {"q": query}).fetchall()
        elapsed = time.perf_counter() - began
        assert len(found) == LIMIT == len({id for id, _ in found}), f"{len(found)} rows found"
        answers.check_order("a search", [distance for _, distance in found])
        with self.lock:
            self.latencies.append(1000 * elapsed)
            self.done["searches"] += 1

    def vacuum(self, connection):
        connection.execute("VACUUM items")
        self.done["vacuums"] += 1

    @contextlib.contextmanager
    def running(self, vacuum_every):
        writes = WRITTEN_AT_ONCE / self.rate
        jobs = [(self.insert, writes), (self.delete, writes), (self.search, 2 / self.rate), (self.search, 2 / self.rate),
                (self.vacuum, vacuum_every)]
        threads = [threading.Thread(target=self.run, args=job) for job in jobs]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join()
        assert not self.failures, self.failures

    def taken_latencies(self):
        with self.lock:
            taken, self.latencies = self.latencies, []
        return taken


@dataclasses.dataclass(frozen=True)
class Sample:
    worker_kb: int
    session_kb: int
    worker_files: int
    session_files: int
    worker_mappings: int
    session_mappings: int
    folder_files: int
    folder_kb: int
    p50_ms: float
    p99_ms: float

    @classmethod
    def take(cls, load):
        """Of sessions the largest counts."""
        worker = load.cluster.worker_pid()
        files = list(sizes(load.cluster.data / "dvec"))
        latencies = load.taken_latencies()
        assert latencies, "nobody searches"
        return cls(memory_of_its_own(worker), max(map(memory_of_its_own, load.pids)),
                   open_files(worker), max(map(open_files, load.pids)),
                   mappings(worker), max(map(mappings, load.pids)), len(files), sum(files) // 1024,
                   *(round(float(x), 2) for x in np.percentile(latencies, [50, 99])))


NAMES = [field.name for field in dataclasses.fields(Sample)]


def grows(values):
    """Whether what was sampled at equal intervals goes up without end: after a warm-up of a quarter, the least of the last
    third is more, by a tenth, than the most of the first. What goes up and down, as files do with each compaction,
    does not; what gains a little each time does in the end."""
    rest = values[len(values) // 4:]
    third = len(rest) // 3
    return third > 0 and min(rest[-third:]) > 1.1 * max(rest[:third])


def figures(samples):
    """A line for each thing that is sampled: at the end of the warm-up, at most, at the end."""
    yield f"{'':18} {'after warm-up':>14} {'most':>10} {'least':>10} {'at the end':>11}"
    for name in NAMES:
        values = [getattr(sample, name) for sample in samples]
        rest = values[len(values) // 4:]
        yield f"{name:18} {rest[0]:14} {max(rest):10} {min(rest):10} {rest[-1]:11}"
