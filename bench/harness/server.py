"""A private PostgreSQL server, of which the harness may have several: one for each peer, all with the
same settings. Reached through a Unix socket in a short temporary path; none outlives the harness."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import psycopg

from harness.machine import is_alive, processes
from harness.plan import BUILD, ROOT

OWN_BIN = pathlib.Path(os.environ.get(
    "DVEC_PREFIX_BIN", ROOT / "build/prefix/bin"))


class Server:
    def __init__(self, name, settings, bin_folder=OWN_BIN):
        self.name = name
        self.bin = pathlib.Path(bin_folder)
        self.home = BUILD / "clusters" / name
        self.data = self.home / "data"
        self.settings = settings
        self.environment = {}
        self.socket = pathlib.Path(tempfile.mkdtemp(prefix="dvec-bench-"))
        self.process = None
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        self.make_data()

    def make_data(self):
        subprocess.run([self.bin / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E",
                        "UTF8", "--no-locale", "--no-sync", "--no-instructions"],
                       check=True, capture_output=True)

    # ---- life ----

    def launch(self):
        """Starts it without waiting until it is ready."""
        lines = [f"{name} = '{value}'" for name, value in self.settings.items()]
        lines.append(f"unix_socket_directories = '{self.socket}'")
        (self.data / "postgresql.conf").write_text("\n".join(lines) + "\n")
        with open(self.home / "log", "ab") as log:
            # When the harness dies the server receives SIGQUIT.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "QUIT", self.bin / "postgres", "-D", self.data],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=dict(os.environ, **self.environment))

    def start(self):
        self.launch()
        self.connect_when_up().close()
        return self

    def stop(self, mode=signal.SIGINT):
        self.process.send_signal(mode)
        self.process.wait(600)
        self.process = None

    def kill(self):
        """SIGKILL to all its processes, as if at one moment. Returns when none is left: what a process holds of
        shared memory keeps the next server away."""
        postmaster = self.process.pid
        # A stopped postmaster cannot react to the deaths of its children.
        os.kill(postmaster, signal.SIGSTOP)
        killed = [pid for pid, (parent, _) in processes().items() if parent == postmaster]
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os.kill(postmaster, signal.SIGKILL)
        self.process.wait()
        self.process = None
        while any(is_alive(pid) for pid in killed):
            time.sleep(0.001)
        # Its process id is gone for certain; a reuse of it must not keep the next server away.
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def destroy(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.rmtree(self.socket, ignore_errors=True)

    # ---- sessions ----

    @property
    def address(self):
        return f"host={self.socket} port=5432 user=postgres dbname=postgres"

    def connect(self):
        return psycopg.connect(self.address, autocommit=True)

    def connect_when_up(self, seconds=600):
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.connect()
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    tail = (self.home / "log").read_text(errors="replace")[-2000:]
                    raise SystemExit(f"the server {self.name} did not start:\n{tail}") from None
                time.sleep(0.002)

    def sql(self, query, parameters=None):
        """Runs a query in a session of its own; its rows, if it has any."""
        with self.connect() as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else None

    def value(self, query, parameters=None):
        return self.sql(query, parameters)[0][0]

    # ---- what it uses ----

    def cpu_seconds(self):
        """Of all its processes, those that have ended included."""
        ticks = os.sysconf("SC_CLK_TCK")
        total = 0
        for pid, (parent, fields) in processes().items():
            if pid == self.process.pid:
                total += sum(map(int, fields[11:15]))
            elif parent == self.process.pid:
                total += sum(map(int, fields[11:13]))
        return total / ticks

    def memory(self):
        """Bytes of all its processes together: pages of their own, and what of the sidecar's files and
        of shared memory is mapped, each page counted once."""
        total = {"private_bytes": 0.0, "shared_bytes": 0.0, "sidecar_bytes": 0.0}
        for pid, (parent, _) in processes().items():
            if self.process.pid in (pid, parent):
                with contextlib.suppress(OSError):
                    add_memory(total, pathlib.Path(f"/proc/{pid}/smaps").read_text())
        return total


class Standby(Server):
    """Made by a base backup of another server, whose WAL it streams."""

    def __init__(self, name, source):
        self.source = source
        super().__init__(name, dict(source.settings, primary_conninfo=source.address.replace("dbname=postgres", "")),
                         source.bin)

    def make_data(self):
        subprocess.run([self.bin / "pg_basebackup", "-h", self.source.socket, "-U", "postgres", "-D", self.data,
                        "-X", "stream", "-c", "fast", "--no-sync"], check=True, capture_output=True)
        (self.data / "standby.signal").touch()


def add_memory(total, smaps):
    """See bench/client/measure.hpp for what is private. Pss divides a shared page by its users."""
    shared = sidecar = False
    for line in smaps.splitlines():
        if not line[0].isupper():
            shared = line.split()[1].endswith("s")
            sidecar = "/dvec/" in line
        elif not shared and line.startswith(("Private_Clean:", "Private_Dirty:")):
            total["private_bytes"] += int(line.split()[1]) * 1024
        elif shared and line.startswith("Pss:"):
            total["shared_bytes"] += int(line.split()[1]) * 1024
            total["sidecar_bytes"] += int(line.split()[1]) * 1024 * sidecar
