"""Hundreds of crashes of every kind under a mixed load, one after the other in the same cluster. After
each, every index is compared with its table: every committed row once, at its exact distance, and
nothing else; see torture.py.

    make cluster PYTEST_ARGS='-k torture -s'                        about 200 crashes
    DVEC_TORTURE_CRASHES=5000 make cluster PYTEST_ARGS='-k torture -s'   the long mode
    DVEC_TORTURE_SEED=7 ...       another history; a failure prints the seed that led to it
    DVEC_TORTURE_KINDS=power,all  only these kinds
    DVEC_TORTURE_KEEP=/some/dir   a failure leaves the server's files there, server stopped

The choices come from the seed. The sessions run side by side, so that the same seed gives the same
kinds of crashes in the same order, not the same microsecond.
"""

import collections
import contextlib
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
# Set where the server knows them.
OPTIONAL_SETTINGS = {"dvec.compact_threshold": "10"}
SYNC_MODES = ("buffered", "commit")


class Torture:
    def __init__(self, make_cluster):
        self.random = random.Random(SEED)
        self.cluster = make_cluster(start=False, faults=True, **SETTINGS)
        self.cluster.remember_disk()
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
        self.comparisons = 0
        self.lost = None

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
        for table, index in torture.INDEXES:
            torture.compare(connection, table, index, random.Random(SEED))

    def vacuum(self, connection):
        for table in torture.TABLES:
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
        if self.random.random() < 0.5:
            self.cluster.kill()
        else:
            self.power()

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
                connection.execute(f"DELETE FROM {table.name} WHERE id = ANY(%s)", [ids])
            connection.execute("COMMIT")
            lane.apply(changes)
            lane.unsure = {}

    def leave_load(self):
        for session in self.sessions:
            session.leave.set()
        for session in self.sessions:
            session.join(30)

    KINDS = (backend, worker, all, postmaster, immediate, power, power, recovery, repair, in_vacuum,
             compaction)

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

    def crash(self, kind):
        self.lost = None
        self.begin_load()
        time.sleep(0.05 + self.random.random() * 0.3)
        kind(self)
        self.crashes[kind.__name__] += 1
        self.end_load()
        connection = self.come_up()
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
              f"{self.comparisons}")


def test_torture(make_cluster, capsys):
    run = Torture(make_cluster)
    try:
        run.run()
    finally:
        with capsys.disabled():
            run.report()
    assert sum(lane.commits for lane in run.lanes) > CRASHES, "hardly any load"
