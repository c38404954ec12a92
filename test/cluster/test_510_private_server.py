"""scripts/private-server, on which the demo and the SQL tests stand, when its server was killed."""

import ctypes
import os
import pathlib
import signal
import subprocess

import pytest

import cluster as clusters

PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture
def nobody_reaps():
    """What outlives its parent becomes ours, and we do not ask how it ended."""
    libc = ctypes.CDLL(None)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0


class PrivateServer:
    def __init__(self, home):
        self.home = home

    def run(self, command, *arguments, within=()):
        subprocess.run([*within, clusters.ROOT / "scripts/private-server", command, self.home, *arguments],
                       check=True, env=os.environ | {"DVEC_PREFIX_BIN": str(clusters.BIN)}, timeout=50)

    def pid(self):
        return int((self.home / "data/postmaster.pid").read_text().split()[0])

    def sql(self, statement):
        folder = (self.home / "socket-folder").read_text().strip()
        return subprocess.run([clusters.BIN / "psql", "-XAt", "-h", folder, "-U", "postgres", "-c", statement],
                              check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def server(tmp_path, nobody_reaps):
    private = PrivateServer(tmp_path / "server")
    private.run("start", "shared_preload_libraries = 'dvec'", "fsync = off")
    yield private
    private.run("stop", "immediate")


def zombie(pid):
    stat = pathlib.Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("between", [["stop"], []], ids=["stop", "start"])
def test_killed_and_not_reaped(server, between):
    server.sql("CREATE TABLE kept AS SELECT 1 AS a")
    killed = server.pid()
    os.kill(killed, signal.SIGKILL)
    clusters.wait_until(lambda: zombie(killed), "the killed postmaster is a zombie")
    for command in between:
        server.run(command)
        assert not (server.home / "data/postmaster.pid").exists()
    server.run("start", "shared_preload_libraries = 'dvec'", "fsync = off")
    assert server.sql("SELECT a FROM kept") == "1"
    assert zombie(killed)
    os.waitpid(killed, 0)


def test_from_outside_of_its_namespace(server):
    """As the demo is started and stopped by root: each command has a user namespace of its own."""
    inside = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if subprocess.run([*inside, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this system makes no user namespaces")
    running = server.pid()
    with pytest.raises(subprocess.CalledProcessError):
        server.run("start", within=inside)
    assert server.pid() == running
    server.run("stop", within=inside)
    assert not pathlib.Path(f"/proc/{running}").exists() or zombie(running)
    assert not (server.home / "data/postmaster.pid").exists()


def test_number_of_somebody_else(server):
    """The pid file of a killed server names a process that has the number now."""
    killed = server.pid()
    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)
    pid_file = server.home / "data/postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(str(killed), str(os.getpid()), 1))
    server.run("stop")
    server.run("start", "fsync = off")
    assert server.sql("SELECT 1") == "1"
