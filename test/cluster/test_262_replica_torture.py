"""A standby whose processes are ended and killed in every way, and which is promoted in the end, while the
primary writes: at each moment its index scans see what its sequential scans see, and afterwards nothing is
missing. DVEC_REPLICA_ROUNDS gives more than the usual rounds."""

import contextlib
import os
import random
import signal

import psycopg
import pytest

import answers
import replicas
import test_261_replica_load as load
from cluster import children
from replicas import wait_until_replayed

ROUNDS = int(os.environ.get("DVEC_REPLICA_ROUNDS", 5))


@pytest.fixture
def standbys():
    made = replicas.Replicas()
    yield made
    made.destroy()


def is_there(standby, name):
    return any(name in command for command in children(standby.server.pid).values())


def end_process(standby, name):
    """If there is one: a follower ends by itself when it has nothing to follow."""
    if is_there(standby, name):
        with contextlib.suppress(ProcessLookupError):
            os.kill(standby.child(name), signal.SIGTERM)


def kill_process(standby, name):
    """Likewise; the server does not notice where it has just ended."""
    if is_there(standby, name):
        with contextlib.suppress(AssertionError, ProcessLookupError):
            replicas.kill_process(standby, name)


def kill_and_start(standby):
    standby.kill()
    standby.start()


def kill_postmaster_and_start(standby):
    standby.kill_postmaster()
    standby.start()


BLOWS = {
    "nothing": lambda standby: None,
    "follower ended": lambda standby: end_process(standby, "dvec follower"),
    "worker ended": lambda standby: end_process(standby, "dvec worker"),
    "both ended": lambda standby: (end_process(standby, "dvec worker"), end_process(standby, "dvec follower")),
    "follower killed": lambda standby: kill_process(standby, "dvec follower"),
    "worker killed": lambda standby: kill_process(standby, "dvec worker"),
    "all killed": kill_and_start,
    "postmaster killed": kill_postmaster_and_start,
    "restart": lambda standby: standby.restart("fast"),
    "immediate restart": lambda standby: standby.restart("immediate"),
    "restart point": lambda standby: standby.sql("CHECKPOINT"),
}


def check_some(standby, dice, times):
    used = 0
    for _ in range(times):
        used += load.check_once(standby, dice.choice(list(load.TABLES)), dice) or 0
    return used


def test_standby_under_blows(make_cluster, standbys):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    primary = make_cluster(**replicas.PRIMARY)
    connection = primary.connect()
    load.make_tables(connection)
    for table in load.TABLES:
        connection.execute(f"CREATE INDEX {table}_id ON {table} (id)")
    standby = standbys.make(primary, max_standby_streaming_delay="300ms")
    writer = load.Load(primary, seed + 1)
    writer.start()
    used = 0
    try:
        for number in range(ROUNDS):
            used += check_some(standby, dice, 6)
            blow = dice.choice(list(BLOWS))
            print(f"round {number}: {blow}")
            BLOWS[blow](standby)
            used += check_some(standby, dice, 6)
            assert writer.failure is None, f"the load failed: {writer.failure!r}"
            for table in ("items", "wide"):
                with contextlib.suppress(AssertionError, psycopg.OperationalError):
                    replicas.wait_until_followed(standby, table, seconds=3)
    finally:
        writer.leave.set()
        writer.join(60)
    wait_until_replayed(standby, primary)
    primary.stop()
    standby.sql("SELECT pg_promote()")
    print(f"{used} checks by the index")
    connection = standby.connect()
    answers.force_index(connection)
    for table in ("items", "wide"):
        query = [0.5] * (load.WIDE if table == "wide" else load.DIMENSIONS)
        where = load.TABLES[table][2]
        replicas.wait_until_followed(standby, table)
        replicas.check_same(connection, table, query, (where + " AND " if where else "WHERE ") + "v IS NOT NULL")
