"""Hundreds of crashes of every kind under a mixed load, one after the other in the same cluster. After
each, every index is compared with its table: every committed row once, at its exact distance, and
nothing else; see torture.py. Now and then the server has few file descriptors or a registry that is
full, its worker stands still, its memory runs out, or its files are spoilt while it runs or go back
to what was synced on a machine that runs on.

    make cluster PYTEST_ARGS='-k torture -s'                        about 200 crashes
    DVEC_TORTURE_CRASHES=5000 make cluster PYTEST_ARGS='-k torture -s'   the long mode
    DVEC_TORTURE_SEED=7 ...       another history; a failure prints the seed that led to it
    DVEC_TORTURE_KINDS=power,all  only these kinds
    DVEC_TORTURE_TENANTS=2000     so many small indexes beside the usual ones
    DVEC_TORTURE_KEEP=/some/dir   a failure leaves the server's files there, server stopped

The choices come from the seed. The sessions run side by side, so that the same seed gives the same
kinds of crashes in the same order, not the same microsecond.
"""

import collections
import contextlib
import itertools
import os
import random
import shutil
import signal
import threading
import time

import psycopg

import torture

CRASHES = int(os.environ.get("DVEC_TORTURE_CRASHES", "200"))
SEED = int(os.environ.get("DVEC_TORTURE_SEED", "1"))
KEEP = os.environ.get("DVEC_TORTURE_KEEP")

SETTINGS = {
    "dvec__log_segment_size": "256kB", "dvec__checkpoint_timeout": "1s", "dvec__sweep_interval": "2s",
    "checkpoint_timeout": "30s", "max_wal_size": "16MB", "min_wal_size": "2MB",
    "shared_buffers": "8MB", "max_connections": "30", "log_min_messages": "warning",
    "wal_writer_delay": "10ms",
}
# As many entries as the registry must have at least: less than there are indexes.
FULL_REGISTRY = 8
FEW_FILES = 256
# Set where the server knows them.
OPTIONAL_SETTINGS = {"dvec.compact_threshold": "10"}
SYNC_MODES = ("buffered", "commit")


class Torture:
    def __init__(self, make_cluster):
        self.random = random.Random(SEED)
        self.cluster = make_cluster(start=False, faults=True, **SETTINGS)
        self.cluster.remember_disk()
        self.mounts = itertools.count(1)
        self.cluster.faults.mount(next(self.mounts))
        self.cluster.start()
        connection = self.cluster.connect()
        self.known = {name for [name] in connection.execute(
            "SELECT name FROM pg_settings WHERE name LIKE 'dvec.%'").fetchall()}
        torture.create_tables(connection)
        self.cluster.configure(**{name: value for name, value in OPTIONAL_SETTINGS.items()
                                  if name in self.known})
        self.cluster.restart()
        self.lanes = [torture.Lane(0, True), torture.Lane(1, True), torture.Lane(2, False)]
        self.sessions = []
        self.struck = threading.Event()
        self.crashes = collections.Counter()
        self.seconds = collections.Counter()
        self.opened = collections.Counter()
        self.struck_allocations = 0
        self.comparisons = 0
        self.lost = None
        self.spoilt = False

    # ---- load ----

    def begin_load(self):
        settings = []
        if "dvec.wal_sync" in self.known:
            settings.append(f"SET dvec.wal_sync = {self.random.choice(SYNC_MODES)}")
        self.sessions = [torture.Writer(self.cluster, lane, self.random.random(), settings)
                         for lane in self.lanes]
        self.sessions.append(torture.Keeper(self.cluster, self.random.random()))
        for session in self.sessions:
            session.start()

    def end_load(self):
        """The sessions all notice the crash; none meets anything else. Not before that does the server
        let new sessions live."""
        for session in self.sessions:
            session.join(30)
            assert not session.is_alive(), "a session hangs"
            if session.failure is not None:
                raise session.failure
        self.comparisons += self.sessions[-1].comparisons
        self.sessions = []

    def touch(self, connection):
        """Opens every index, which begins whatever recovery has to be done."""
        torture.answers.force_index(connection)
        for table, index in torture.some_indexes(random.Random(SEED)):
            torture.compare(connection, table, index, random.Random(SEED))

    def vacuum(self, connection):
        for table in torture.some_tables(random.Random(SEED)):
            connection.execute(f"VACUUM (INDEX_CLEANUP ON) {table.name}")

    def until_struck(self, work, failures):
        """As soon as there is a server; what `work` meets but for its end is a failure."""
        connection = None
        while connection is None and not self.struck.wait(0.02):
            with contextlib.suppress(psycopg.OperationalError):
                connection = self.cluster.connect_for_thread()
        if connection is None:
            return
        try:
            work(connection)
        except psycopg.Error as error:
            if not torture.is_crash(error, connection):
                failures.append(error)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    def during(self, work, longest):
        """Strikes a random time after the beginning of `work`."""
        failures = []
        self.struck.clear()
        thread = threading.Thread(target=self.until_struck, args=[work, failures], daemon=True)
        thread.start()
        time.sleep(self.random.random() ** 2 * longest)
        self.strike()
        self.struck.set()
        thread.join(30)
        assert not thread.is_alive(), "a session hangs"
        if failures:
            raise failures[0]

    # ---- crashes: each leaves the server down, or coming up by itself ----

    def strike(self):
        """One of the ways in which everything ends at once."""
        self.random.choice([self.all, self.all, self.power, self.snapshot])()

    def snapshot(self):
        """The volume goes back to what it had on disk, while the machine runs on."""
        self.lost = self.cluster.lost_volume(self.random.random(), next(self.mounts))

    def power(self):
        self.lost = self.cluster.power_loss(self.random.random())

    def backend(self):
        os.kill(self.random.choice(self.sessions).connection.info.backend_pid, signal.SIGKILL)

    def worker(self):
        os.kill(self.cluster.worker_pid(), signal.SIGKILL)

    def all(self):
        self.cluster.kill()

    def postmaster(self):
        self.cluster.kill_postmaster()

    def immediate(self):
        self.cluster.stop("immediate")

    def recovery(self):
        """Struck again while it comes up."""
        self.strike()
        self.crashes["before the recovery"] += 1
        self.cluster.launch()
        self.during(self.touch, 0.6)

    def repair(self):
        """Struck while indexes are made good that lost files."""
        self.strike()
        self.crashes["before the repair"] += 1
        folders = [self.cluster.data / "dvec" / name for name in self.cluster.folders()]
        for folder in self.random.sample(folders, min(3, len(folders))):
            self.lose_files(folder)
        self.cluster.launch()
        self.during(self.touch, 0.8)

    def lose_files(self, folder):
        chance = self.random.random()
        if chance < 0.4:
            shutil.rmtree(folder)
        elif chance < 0.7:
            (folder / "checkpoint").unlink(missing_ok=True)
        else:
            copy = folder.with_name("copy")
            shutil.copytree(folder, copy)
            shutil.rmtree(folder)
            copy.rename(folder)

    def in_vacuum(self):
        self.delete_many()
        self.during(self.vacuum, 0.1)

    def compaction(self):
        """It begins some time after the vacuum that made it due."""
        self.delete_many()
        self.vacuum(self.cluster.connect())
        time.sleep(self.random.random() ** 2 * 0.3)
        self.strike()

    def stopped_worker(self):
        """Nobody links, syncs or takes checkpoints for a while, in the midst of whatever it did."""
        worker = self.cluster.worker_pid()
        os.kill(worker, signal.SIGSTOP)
        time.sleep(self.random.random() * 0.3)
        if self.random.random() < 0.5:
            os.kill(worker, signal.SIGCONT)
            time.sleep(self.random.random() * 0.1)
        self.strike()

    def memory(self):
        """C++ code gets no memory, here and there: a statement fails, or the worker begins anew."""
        for session in self.sessions:
            session.expected = (psycopg.errors.OutOfMemory,)
        for _ in range(6):
            pid = self.random.choice([session.pid for session in self.sessions]
                                     + [self.cluster.worker_pid()])
            number = int(200 * self.random.random() ** 2)
            with self.cluster.faults.failing_allocation(pid, number) as has_struck:
                time.sleep(self.random.random() * 0.1)
                self.struck_allocations += has_struck()
        self.strike()

    def damage(self):
        """Bytes of the files flip or become zero while the server works with them. What they say can
        crash nobody, and is mended, by those who are up or by those who come after."""
        self.sessions[-1].leave.set()  # its answers may be wrong now
        for session in self.sessions:
            session.expected = torture.DAMAGE
        self.spoilt = True
        for _ in range(self.random.randint(1, 4)):
            self.spoil_a_file()
            time.sleep(self.random.random() * 0.1)
        if self.random.random() < 0.5:
            self.leave_load()
            torture.mend(self.cluster.connect())
        self.strike()

    def spoil_a_file(self):
        folder = self.cluster.data / "dvec"
        files = [path for path in folder.rglob("*") if path.is_file()]
        # It may be gone by now, or have been cut.
        with contextlib.suppress(OSError, ValueError), open(self.random.choice(sorted(files)), "r+b") as file:
            at = self.random.randrange(os.fstat(file.fileno()).st_size)
            if self.random.random() < 0.5:
                [byte] = os.pread(file.fileno(), 1, at)
                spoilt = bytes([byte ^ 1 << self.random.randrange(8)])
            else:
                spoilt = bytes(min(self.random.choice([8, 512, 4096]),
                                   os.fstat(file.fileno()).st_size - at))
            os.pwrite(file.fileno(), spoilt, at)

    def delete_many(self):
        """By the sessions' own rules, so that they still know what there is."""
        self.leave_load()
        connection = self.cluster.connect()
        for lane in self.lanes:
            busy = lane.busy()
            victims = [key for key in lane.rows if key not in busy and self.random.random() < 0.5]
            changes = dict.fromkeys(victims)
            lane.unsure = changes
            connection.execute("BEGIN")
            for table in torture.TABLES:
                ids = [id for name, id in victims if name == table.name]
                if not ids:
                    continue
                connection.execute(f"DELETE FROM {table.name} WHERE id = ANY(%s)", [ids])
            connection.execute("COMMIT")
            lane.apply(changes)
            lane.unsure = {}

    def leave_load(self):
        for session in self.sessions:
            session.leave.set()
        for session in self.sessions:
            session.join(30)

    KINDS = (backend, worker, all, postmaster, immediate, power, power, snapshot, recovery, repair, in_vacuum,
             compaction, stopped_worker, memory, damage)

    # ---- the loop ----

    def kinds(self):
        """All kinds again and again, in random order."""
        wanted = os.environ.get("DVEC_TORTURE_KINDS")
        deck = [kind for kind in self.KINDS if not wanted or kind.__name__ in wanted.split(",")]
        while True:
            yield from self.random.sample(deck, len(deck))

    def come_up(self):
        """However the crash left the server."""
        if self.cluster.server is not None and self.cluster.server.poll() is None:
            return self.cluster.connect_when_up()
        self.cluster.start()
        return self.cluster.connect()

    def limit_next_start(self):
        """Every limit of ours may be reached when the server comes up."""
        self.cluster.configure(dvec__max_indexes=self.random.choice([FULL_REGISTRY, 1024]))
        self.cluster.most_files = self.random.choice([FEW_FILES, None])

    def crash(self, kind):
        self.lost = None
        self.spoilt = False
        self.begin_load()
        time.sleep(0.05 + self.random.random() * 0.3)
        self.limit_next_start()
        kind(self)
        self.crashes[kind.__name__] += 1
        self.end_load()
        connection = self.come_up()
        if self.spoilt:
            torture.mend(connection)
        opened = torture.check_everything(connection, self.lanes, self.random)
        self.opened.update(str(how) for how in opened.values())
        if self.random.random() < 0.1:
            self.cluster.restart()
            torture.check_everything(self.cluster.connect(), self.lanes, self.random)
        self.cluster.forget_connections()

    def run(self):
        kinds = self.kinds()
        while sum(self.crashes.values()) < CRASHES:
            kind = next(kinds)
            began = time.monotonic()
            try:
                self.crash(kind)
            except Exception as error:
                self.keep_files()
                raise AssertionError(
                    f"seed {SEED}, crash {sum(self.crashes.values())}, kind {kind.__name__}, lost "
                    f"{self.lost}: {type(error).__name__}: {error}\n"
                    f"once more: DVEC_TORTURE_SEED={SEED} make cluster PYTEST_ARGS='-k torture -s'"
                ) from error
            self.seconds[kind.__name__] += time.monotonic() - began

    def keep_files(self):
        if KEEP and self.cluster.server is not None:
            with contextlib.suppress(Exception):
                self.cluster.kill()
        if KEEP:
            shutil.copytree(self.cluster.home, KEEP, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns(".s.PGSQL*"))

    def report(self):
        counts = ", ".join(f"{name} {count}" for name, count in sorted(self.crashes.items()))
        costs = ", ".join(f"{name} {seconds / self.crashes[name]:.1f}"
                          for name, seconds in sorted(self.seconds.items()))
        print(f"\n{sum(self.crashes.values())} crashes (seed {SEED}): {counts}\n"
              f"seconds each: {costs}\nindexes opened: {dict(self.opened)}\n"
              f"commits: {sum(lane.commits for lane in self.lanes)}, comparisons under load: "
              f"{self.comparisons}, failed allocations: {self.struck_allocations}")


def test_torture(make_cluster, capsys):
    run = Torture(make_cluster)
    try:
        run.run()
    finally:
        with capsys.disabled():
            run.report()
    assert sum(lane.commits for lane in run.lanes) > CRASHES, "hardly any load"
