"""Waits have names where the server lets an extension name them, also after it has made its shared memory anew."""

import os
import re
import signal

from cluster import ROOT, wait_until

HEADER = ROOT / "src/postgres/runtime/wait_events.hpp"


def test_names(cluster):
    connection = cluster.connect()
    documented = set(re.findall(r"Dvec\w+", HEADER.read_text(encoding="utf-8")))
    assert len(documented) == 9
    if connection.info.server_version < 170000:
        return
    names = "SELECT name FROM pg_wait_events WHERE type = 'Extension' AND name LIKE 'Dvec%'"
    assert {name for [name] in connection.execute(names)} == documented
    os.kill(connection.info.backend_pid, signal.SIGKILL)
    # Until then a new session would be ended with the others.
    wait_until(lambda: "all server processes terminated; reinitializing" in cluster.log_text(), "all sessions are ended")
    connection = cluster.connect_when_up()
    assert {name for [name] in connection.execute(names)} == documented
