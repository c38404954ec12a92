"""A private PostgreSQL server that tests may kill, damage and copy.

Each Cluster is one data directory with at most one server on it, reached through a Unix socket in a
short temporary path. Nothing outlives the tests: a server receives SIGQUIT when the test process dies.
"""

import contextlib
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time

import psycopg

import power
from faults import Faults

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get(
    "DVEC_PREFIX_BIN", ROOT / "build/prefix/bin"))

SETTINGS = {
    "listen_addresses": "",
    "shared_preload_libraries": "dvec",
    # A killed process loses nothing that the kernel has; power loss is for the unit tests.
    "fsync": "off",
    "max_connections": "60",
    "max_prepared_transactions": "10",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "logging_collector": "off",
    "log_min_messages": "info",
    "shared_buffers": "32MB",
    "max_parallel_maintenance_workers": "1",
    "dvec.log_segment_size": "1MB",
    # A plan against enable_seqscan has a cost that lets every query be compiled, for a tenth of a second. And the
    # compiler is C++ too, which fails in its own ways when memory runs out.
    "jit": "off",
}


class Timeout(AssertionError):
    pass


# What PostgreSQL says when it will not start because of something that a killed server left, and starts when it is
# told once more. The last is of unlogged tables: a transaction that made one was rolled back, by a process that
# found the postmaster dead, and the record of that is lost. The table's file, empty, waits for the next checkpoint
# to be removed; recovery makes the table's init fork again, and then finds in place what it would make of it.
LEFT_BEHIND = (r"pre-existing shared memory block", r"lock file",
               r'FATAL: +could not create file "[^"]*/\d+": File exists')


def wait_until(condition, what, seconds=30.0, pause=0.02):
    """Returns the first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout(f"after {seconds} s still not: {what}; last value {value!r}")
        time.sleep(pause)


def make_template(directory, *options):
    """An empty cluster to copy, with further options of initdb. Small WAL segments make the copy small."""
    subprocess.run(
        [BIN / "initdb", "-D", directory, "-U", "postgres", "-A", "trust", "-E", "UTF8",
         "--no-locale", "--no-sync", "--no-instructions", "--wal-segsize=1", *options],
        check=True, capture_output=True, text=True)


def children(pid):
    """Process id -> command line of the direct children."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            stat = (entry / "stat").read_text()
            fields = stat[stat.rindex(")") + 2:].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[int(entry.name)] = command.strip()
    return found


@contextlib.contextmanager
def few_files(number):
    """What is started meanwhile may have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number or soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def state_of(pid):
    """As ps has it in one letter; nothing when there is no such process."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat[stat.rindex(")") + 2]


def is_alive(pid):
    """Neither gone nor a zombie, which holds no files and no memory once its last thread has ended."""
    try:
        return state_of(pid) not in (None, "Z") or len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


class Cluster:
    """With `faults` its files can be made to fail, and the power be cut: see faults.py."""

    def __init__(self, template, faults=False, **settings):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="dvec-", dir="/tmp"))
        self.data = self.home / "data"
        self.log_path = self.home / "log"
        subprocess.run(["cp", "-a", "--reflink=auto", template, self.data], check=True)
        self.faults = Faults(self.home / "faults") if faults else None
        self.settings = dict(SETTINGS)
        self.configure(**settings)
        self.server = None
        self.connections = []
        self.most_files = None  # that a process of the server may have open, where it is not the usual

    # ---- life of the server ----

    def configure(self, **settings):
        """Settings for the next start (or reload). `dvec__x` stands for dvec.x; None removes one."""
        for name, value in settings.items():
            name = name.replace("__", ".")
            if value is None:
                self.settings.pop(name, None)
            else:
                self.settings[name] = value
        lines = [f"{name} = '{value}'" for name, value in self.settings.items()]
        lines.append(f"unix_socket_directories = '{self.home}'")
        (self.data / "postgresql.conf").write_text("\n".join(lines) + "\n")

    def launch(self):
        """Starts the server without waiting for it to be ready."""
        assert self.server is None, "the server runs already"
        self.remove_empty_lock_files()
        environment = dict(os.environ, **(self.faults.environment() if self.faults else {}))
        with open(self.log_path, "ab") as log, few_files(self.most_files):
            # Not by preexec_fn: tests have threads, and then no Python may run after a fork.
            self.server = subprocess.Popen(
                ["setpriv", "--pdeathsig", "QUIT", BIN / "postgres", "-D", self.data],
                stdout=log, stderr=log, env=environment, stdin=subprocess.DEVNULL)

    def remove_empty_lock_files(self):
        """A server that is killed in the moment between making such a file and writing it leaves one
        that keeps the next from starting, until somebody removes it."""
        for path in (self.data / "postmaster.pid", self.home / ".s.PGSQL.5432.lock"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size == 0:
                    path.unlink()

    def start(self):
        """As an operator would after a crash: what is left of the former server may take a moment to go."""
        deadline = time.monotonic() + 30
        while True:
            begin = self.log_path.stat().st_size if self.log_path.exists() else 0
            self.launch()
            try:
                return self.wait_until_ready()
            except AssertionError:
                with open(self.log_path, errors="replace") as log:
                    log.seek(begin)
                    said = log.read()
                if time.monotonic() > deadline or not any(re.search(sign, said) for sign in LEFT_BEHIND):
                    raise
            self.server = None
            time.sleep(0.2)

    def wait_until_ready(self):
        pid_file = self.data / "postmaster.pid"

        def ready():
            if self.server.poll() is not None:
                raise AssertionError(f"the server did not start:\n{self.log_tail()}")
            with contextlib.suppress(OSError):
                lines = pid_file.read_text().splitlines()
                return (len(lines) > 7 and lines[0] == str(self.server.pid)
                        and lines[7].strip() == "ready")

        wait_until(ready, "server ready", 60)
        return self

    def stop(self, mode="fast", seconds=60):
        self.forget_connections()
        self.signal_stop(mode)
        self.wait_for_exit(seconds)

    def signal_stop(self, mode):
        self.server.send_signal({"smart": signal.SIGTERM, "fast": signal.SIGINT,
                                 "immediate": signal.SIGQUIT}[mode])

    def wait_for_exit(self, seconds=60):
        try:
            self.server.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Timeout(f"the server did not stop; processes left: "
                          f"{children(self.server.pid)}\n{self.log_tail()}") from None
        self.server = None

    def restart(self, mode="fast"):
        self.stop(mode)
        return self.start()

    def kill(self):
        """SIGKILL to every process of the server, as if at one moment: what was in shared memory only
        is lost."""
        postmaster = self.server.pid
        # A stopped postmaster cannot react to the deaths of its children.
        os.kill(postmaster, signal.SIGSTOP)
        killed = set()
        for _ in range(3):
            for pid in children(postmaster):
                killed.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        os.kill(postmaster, signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid in killed), "killed processes are gone")
        self.after_kill(postmaster)

    def remember_disk(self):
        """From now on syncs are noted, so that power can be cut. The server is down; what there is of
        sidecar files counts as on disk."""
        assert self.server is None
        self.faults.disk.mkdir()
        power.settle(self.data / "dvec", self.faults.disk)

    def power_loss(self, seed, keep=None):
        """The whole machine goes down at one moment and comes up again: see power.py. Returns what
        was lost, for the report of a failure."""
        if self.server is not None:
            self.kill()
        lost = power.cut(self.data / "dvec", self.faults.disk, seed, keep)
        self.faults.another_boot()
        return lost

    def lost_volume(self, seed, mount):
        """The server dies, and its volume is a snapshot, or is detached and comes back, on the same boot:
        the files are the same, under a mount of another number."""
        self.kill()
        lost = power.cut(self.data / "dvec", self.faults.disk, seed)
        self.faults.mount(mount)
        return lost

    def kill_postmaster(self):
        """SIGKILL to the postmaster alone; the others find out and leave."""
        postmaster = self.server.pid
        # A stopped postmaster starts nobody of whom we do not know.
        os.kill(postmaster, signal.SIGSTOP)
        wait_until(lambda: state_of(postmaster) == "T", "the postmaster stands still")
        left = children(postmaster)
        os.kill(postmaster, signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid in left),
                   "processes leave after the postmaster's death")
        self.after_kill(postmaster)

    def after_kill(self, postmaster):
        self.server.wait(30)
        self.server = None
        self.forget_connections()
        # Its process id is gone for certain, so that a reuse of it cannot keep the next server away.
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def child(self, name):
        """Process id of the child of that name, waiting for it to be there."""
        def find():
            return [pid for pid, command in children(self.server.pid).items() if name in command]
        return wait_until(find, f"a {name} runs")[0]

    def worker_pid(self):
        return self.child("dvec worker")

    def destroy(self):
        self.forget_connections()
        if self.server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.server.pid, signal.SIGCONT)
                for pid in children(self.server.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
                self.server.send_signal(signal.SIGQUIT)
            try:
                self.server.wait(20)
            except subprocess.TimeoutExpired:
                for pid in children(self.server.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self.server.kill()
                self.server.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    # ---- sessions ----

    def connect(self, dbname="postgres", autocommit=True, **options):
        connection = psycopg.connect(host=str(self.home), port=5432, user="postgres",
                                     dbname=dbname, autocommit=autocommit, connect_timeout=20,
                                     **options)
        self.connections.append(connection)
        return connection

    def connect_for_thread(self, dbname="postgres", autocommit=True):
        """For a thread, which closes it itself: to close a connection under a thread that waits on it
        corrupts memory."""
        connection = self.connect(dbname, autocommit)
        self.connections.remove(connection)
        return connection

    def connect_when_up(self, dbname="postgres", seconds=60):
        """While the server recovers from a crash of one of its processes."""
        def attempt():
            with contextlib.suppress(psycopg.OperationalError):
                return self.connect(dbname)
        return wait_until(attempt, "server accepts connections", seconds, 0.1)

    def forget_connections(self):
        for connection in self.connections:
            with contextlib.suppress(Exception):
                connection.close()
        self.connections = []

    def sql(self, query, parameters=None, dbname="postgres"):
        """Runs a query in a session of its own; returns its rows, if it has any."""
        connection = self.connect(dbname)
        try:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else None
        finally:
            self.connections.remove(connection)
            connection.close()

    def psql(self, *arguments, dbname="postgres", stdin=None):
        return self.program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments, dbname=dbname,
                            stdin=stdin)

    def program(self, name, *arguments, dbname="postgres", stdin=None):
        environment = dict(os.environ, PGHOST=str(self.home), PGPORT="5432", PGUSER="postgres",
                           PGDATABASE=dbname)
        result = subprocess.run([BIN / name, *arguments], env=environment, input=stdin,
                                capture_output=True, text=True)
        assert result.returncode == 0, f"{name} {arguments} failed:\n{result.stderr}"
        return result.stdout

    # ---- what the server leaves behind ----

    def log_text(self):
        return self.log_path.read_text(errors="replace")

    def complaints(self):
        """What the server says is broken in itself, whoever caused it: nothing, it is to be hoped."""
        if not self.log_path.exists():
            return ""
        return subprocess.run([ROOT / "scripts/check-log", self.log_path], capture_output=True, text=True).stdout

    def log_tail(self, lines=30):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def folders(self):
        """Names in $PGDATA/dvec, but for the history of server starts and the list of what is searched."""
        try:
            return sorted(set(os.listdir(self.data / "dvec")) - {"starts", "searched", "searched.new"})
        except FileNotFoundError:
            return []

    def folder_of(self, index, dbname="postgres"):
        """Path of an index's sidecar; needs the server."""
        [[name]] = self.sql(
            """SELECT concat_ws('_', CASE c.reltablespace WHEN 0 THEN d.dattablespace
                                     ELSE c.reltablespace END, d.oid, pg_relation_filenode(c.oid))
               FROM pg_class c, pg_database d
               WHERE c.oid = %s::regclass AND d.datname = current_database()""", [index], dbname)
        return self.data / "dvec" / name
