"""Whatever a sequential scan on a standby sees, its index scan sees in the same snapshot, with the same
distances, while the primary does everything that changes a table."""

import dataclasses
import os
import random
import threading
import time

import psycopg
import pytest

import replicas
from cluster import wait_until
from replicas import check_same, wait_until_followed, wait_until_replayed

DIMENSIONS = 6
WIDE = 700  # kept out of line (TOAST)
CHECKS = int(os.environ.get("DVEC_REPLICA_CHECKS", 12))  # by the index, of each table
MOST_SECONDS = 25 if CHECKS == 12 else 3600

@dataclasses.dataclass
class Kind:
    """Of a table: what its index is on, and how queries are that can use it."""
    index: str = "v vector_l2_ops"
    condition: str = ""
    where: str = "v IS NOT NULL"
    column: str = "v"
    operator: str = "<->"
    dimensions: int = DIMENSIONS
    of_query: int = DIMENSIONS
    partitions: int = 0


TABLES = {
    "items": Kind(),
    "part": Kind(condition="WHERE kind = 1", where="v IS NOT NULL AND kind = 1"),
    "wide": Kind(dimensions=WIDE, of_query=WIDE),
    "filtered": Kind("v vector_l2_ops, kind, (mod(hot, 2))", where="v IS NOT NULL AND kind = 2 AND mod(hot, 2) = 0"),
    "expression": Kind("(subvector(v, 1, 3)::vector(3)) vector_l1_ops", column="(subvector(v, 1, 3)::vector(3))",
                       operator="<+>", of_query=3),
    "pieces": Kind(partitions=2),
}


def options_of(table):
    """As replicas.py wants them."""
    kind = TABLES[table]
    return {"where": f"WHERE {kind.where}", "column": kind.column, "operator": kind.operator}


def make_tables(connection):
    for table, kind in TABLES.items():
        columns = f"(id serial, v vector({kind.dimensions}), kind int, hot int)"
        if kind.partitions:
            connection.execute(f"CREATE TABLE {table} {columns} PARTITION BY HASH (id)")
        else:
            connection.execute(f"CREATE TABLE {table} {columns} WITH (fillfactor = 70)")
        for number in range(kind.partitions):
            connection.execute(f"CREATE TABLE {table}_{number} PARTITION OF {table} FOR VALUES "
                               f"WITH (MODULUS {kind.partitions}, REMAINDER {number}) WITH (fillfactor = 70)")
        connection.execute(f"CREATE INDEX {table}_v ON {table} USING hnsw ({kind.index}) {kind.condition}")
        connection.execute(f"CREATE INDEX {table}_id ON {table} (id)")
        add(connection, table, 150)


def add(connection, table, count):
    """Of few kinds, so that there are copies, and NULL now and then."""
    dimensions = TABLES[table].dimensions
    connection.execute(f"""
        INSERT INTO {table} (v, kind, hot)
        SELECT CASE WHEN random() < 0.02 THEN NULL ELSE
                 (SELECT array_agg(floor(random() * 9 + 0 * (n + x)) / 4)::vector({dimensions})
                  FROM generate_series(1, {dimensions}) x) END, floor(random() * 3), 0
        FROM generate_series(1, {count}) n""")


def new_vector(table):
    dimensions = TABLES[table].dimensions
    return (f"(SELECT array_agg(random() * 3 + 0 * (id + x))::vector({dimensions}) "
            f"FROM generate_series(1, {dimensions}) x)")


def step(connection, table, dice):
    """One of the things that a primary does."""
    few = f"id IN (SELECT id FROM {table} ORDER BY random() LIMIT {dice.randint(1, 20)})"
    statements = [
        (14, lambda: add(connection, table, dice.randint(1, 25))),
        (8, f"UPDATE {table} SET hot = hot + 1 WHERE {few}"),
        (6, f"UPDATE {table} SET v = {new_vector(table)} WHERE {few}"),
        (3, f"UPDATE {table} SET kind = (kind + 1) % 3 WHERE {few}"),
        (8, f"DELETE FROM {table} WHERE {few}"),
        (2, f"DELETE FROM {table} WHERE id > (SELECT max(id) - 60 FROM {table})"),
        (6, f"VACUUM (INDEX_CLEANUP ON) {table}"),
        (2, f"VACUUM (FREEZE, INDEX_CLEANUP ON) {table}"),
        (0.2, f"VACUUM FULL {table}"),
        (0.2, f"CLUSTER {table} USING {table}_id"),
        (0.2, f"REINDEX TABLE {table}"),
        (0.2, f"REINDEX INDEX CONCURRENTLY {table}_v"),
        (0.2, f"TRUNCATE {table}"),
        (2, "CHECKPOINT"),
        (3, f"BEGIN; INSERT INTO {table} (v) SELECT v FROM {table} LIMIT 9; ROLLBACK"),
        (2, f"BEGIN; UPDATE {table} SET v = v WHERE {few}; SAVEPOINT s; DELETE FROM {table} WHERE {few}; "
            "ROLLBACK TO s; COMMIT"),
        (2, f"BEGIN; DELETE FROM {table} WHERE {few}; PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'"),
    ]
    [(_, action)] = dice.choices(statements, [weight for weight, _ in statements])
    if callable(action):
        action()
        return
    for statement in action.split("; "):
        connection.execute(statement)


class Load(threading.Thread):
    def __init__(self, primary, seed):
        super().__init__(daemon=True)
        self.connection = primary.connect_for_thread()
        self.dice = random.Random(seed)
        self.leave = threading.Event()
        self.steps = 0
        self.failure = None

    def run(self):
        try:
            while not self.leave.is_set():
                step(self.connection, self.dice.choice(list(TABLES)), self.dice)
                self.steps += 1
                time.sleep(self.dice.choice((0, 0, 0.01, 0.05)))
        except BaseException as failure:
            self.failure = failure
        finally:
            self.connection.close()


def check_once(standby, table, dice):
    """None when the replay of something has ended the query, or its session, else whether the index was
    used. Its message may be lost with the session; what dies of itself is found in the server's log."""
    query = [dice.randint(0, 9) / 4 for _ in range(TABLES[table].of_query)]
    try:
        connection = standby.connect()
        try:
            return check_same(connection, table, query, **options_of(table))[1]
        finally:
            standby.connections.remove(connection)
            connection.close()
    except psycopg.OperationalError:
        return None


@pytest.mark.parametrize("feedback", ["off", "on"])
def test_same_rows_under_load(make_cluster, standbys, feedback):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    primary = make_cluster(**replicas.PRIMARY)
    connection = primary.connect()
    make_tables(connection)
    standby = standbys.make(primary, hot_standby_feedback=feedback, max_standby_streaming_delay="300ms")
    for table in TABLES:
        wait_until_followed(standby, table, **options_of(table))
    load = Load(primary, seed + 1)
    load.start()
    used = dict.fromkeys(TABLES, 0)
    checks = 0
    deadline = time.monotonic() + MOST_SECONDS
    try:
        wait_until(lambda: load.failure or load.steps > 0, "progress")
        while not load.failure and min(used.values()) < CHECKS and time.monotonic() < deadline:
            table = dice.choice(list(TABLES))
            used[table] += check_once(standby, table, dice) or 0
            checks += 1
    finally:
        load.leave.set()
        load.join(60)
    assert load.failure is None, f"the load failed: {load.failure!r}"
    wait_until_replayed(standby, primary)
    print(f"checks by the index: {used}, of {checks}, beside {load.steps} steps")
    assert sum(used.values()) > 0
    for table in TABLES:
        check_once(standby, table, dice)
