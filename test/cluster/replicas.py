"""A primary and standbys of it that search their own indexes."""

import contextlib
import os
import signal
import subprocess

import psycopg
import pytest

import answers
import vectors
from cluster import BIN, Cluster, wait_until

PRIMARY = {"wal_level": "replica", "max_wal_senders": "8", "hot_standby": "on", "wal_keep_size": "64MB",
           "dvec__checkpoint_timeout": "1s"}


# Of what make check need not repeat each time: DVEC_REPLICA_LONG=1 make cluster PYTEST_ARGS='-k replica'
long_mode = pytest.mark.skipif(not os.environ.get("DVEC_REPLICA_LONG"), reason="DVEC_REPLICA_LONG is not set")


class Replicas:
    """Standbys; those that are left are destroyed at the end."""

    def __init__(self):
        self.clusters = []

    def make(self, source, start=True, **settings):
        """A standby made by a base backup of `source`, a primary or a standby."""
        backup = source.home / f"backup{len(self.clusters)}"
        source.program("pg_basebackup", "-D", backup, "-X", "stream", "-c", "fast", "--no-sync",
                       dbname="")
        standby = Cluster(backup, **PRIMARY, **settings)
        self.clusters.append(standby)
        subprocess.run(["rm", "-r", backup], check=True)
        follow(standby, source)
        return standby.start() if start else standby

    def destroy(self):
        complaints = [cluster.complaints() for cluster in self.clusters]
        for cluster in self.clusters:
            cluster.destroy()
        assert not any(complaints), "".join(complaints)


def follow(standby, source):
    """From its next start on."""
    standby.configure(primary_conninfo=f"host={source.home} port=5432 user=postgres",
                      wal_retrieve_retry_interval="200ms")
    (standby.data / "standby.signal").touch()


def promote(standby):
    """Replay may cancel the query that asks for it."""
    def is_promoted():
        with contextlib.suppress(psycopg.OperationalError):
            return standby.sql("SELECT CASE WHEN pg_is_in_recovery() THEN pg_promote() ELSE true END") == [(True,)]
        return False

    wait_until(is_promoted, "the standby is promoted", 120)


def rewind(former, source):
    """Makes a former primary, which was shut down, a standby of `source`, which runs."""
    subprocess.run([BIN / "pg_rewind", "--no-sync", "-D", former.data,
                    "--source-server", f"host={source.home} port=5432 user=postgres dbname=postgres"],
                   check=True, capture_output=True, text=True)
    follow(former, source)


def kill_process(standby, name):
    """The server notices, ends all sessions and recovers."""
    witness = standby.connect()
    os.kill(standby.child(name), signal.SIGKILL)

    def is_ended():
        try:
            witness.execute("SELECT 1")
        except psycopg.OperationalError:
            return True
        return False

    wait_until(is_ended, "the server has noticed")
    standby.connect_when_up()


def wait_until_replayed(standby, primary):
    # What nobody commits, such as a page that a query has pruned, is not sent before something else is.
    primary.sql("SELECT pg_logical_emit_message(true, 'replicas', 'flush')")
    [[position]] = primary.sql("SELECT pg_current_wal_flush_lsn()")
    wait_until(lambda: standby.sql("SELECT pg_last_wal_replay_lsn() >= %s", [position]) == [(True,)],
               "the standby has replayed everything")


def wait_until_taken_in(standby, primary, table="items"):
    """The follower has told the index of everything: searches read nothing in the table any more."""
    wait_until_replayed(standby, primary)
    connection = standby.connect()
    [[position]] = primary.sql("SELECT pg_current_wal_flush_lsn()")
    wait_until(lambda: connection.execute(
        "SELECT reconcile_lsn >= %s FROM dvec_indexes WHERE index = %s::regclass",
        [position, f"{table}_v_idx"]).fetchone() == (True,), "the index has everything")


def is_ordered_by_index(plan):
    return "Index Scan" in plan and "Order By:" in plan


def wait_until_followed(standby, table="items", dbname="postgres", seconds=60, column="v", operator="<->", where=""):
    """Planning a query opens the index, which is then read in the background."""
    statement = (f"SELECT * FROM {table} {where} "
                 f"ORDER BY {column} {operator} (SELECT {column} FROM {table} LIMIT 1) LIMIT 5")
    connection = standby.connect(dbname)
    connection.execute("SET enable_seqscan = off")
    try:
        wait_until(lambda: is_ordered_by_index(answers.plan_of(connection, statement)),
                   "the standby's plans use the index", seconds)
    finally:
        standby.connections.remove(connection)
        connection.close()


def check_same(connection, table, query, where="", operator="<->", column="v"):
    """In one snapshot: all rows by the index, and all rows by a sequential scan, with their distances.
    Returns how many, and whether the index was used."""
    statement = (f"SELECT id, {column} {operator} %(q)s::vector AS d FROM {table} {where} "
                 f"ORDER BY {column} {operator} %(q)s::vector")
    parameters = {"q": vectors.text(query)}
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SET LOCAL enable_seqscan = off")
        connection.execute("SET LOCAL enable_bitmapscan = off")
        connection.execute("SET LOCAL enable_sort = off")
        plan = answers.plan_of(connection, statement, parameters)
        by_index = connection.execute(statement, parameters).fetchall()
        connection.execute("SET LOCAL enable_seqscan = on")
        connection.execute("SET LOCAL enable_sort = on")
        connection.execute("SET LOCAL enable_indexscan = off")
        by_table = connection.execute(statement, parameters).fetchall()
        connection.execute("SET LOCAL enable_indexscan = on")
        nearest = connection.execute(statement + " LIMIT 10", parameters).fetchall()
    assert nearest == sorted(nearest, key=lambda row: row[1]) and set(nearest) <= set(by_table)
    assert len(nearest) == min(10, len(by_table))
    distances = [d for _, d in by_index]
    assert distances == sorted(distances)
    missing = sorted(set(by_table) - set(by_index))
    too_many = sorted(set(by_index) - set(by_table))
    assert len(by_index) == len(by_table) and not missing and not too_many, (
        f"{table}: {len(by_index)} rows by the index, {len(by_table)} by the table; missing {missing[:10]}, "
        f"too many {too_many[:10]}; {plan[:80]}")
    return len(by_table), is_ordered_by_index(plan)
