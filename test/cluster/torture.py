"""The parts of the torture (test_290_torture.py): tables of every kind, sessions that change them at
random and remember what was acknowledged, and the check of each index against its table.

Each table has (id, version, v) and v is a function of the other two, so that a row is known by its id
and version. A row belongs to the session whose lane is id % LANES; sessions never touch each other's.
"""

import collections
import dataclasses
import functools
import os
import random
import threading
import zlib

import numpy as np
import psycopg

import answers
import vectors
from cluster import wait_until

LANES = 10
# Small tables beside those of every kind; with them a registry of 8 entries is full.
TENANTS = int(os.environ.get("DVEC_TORTURE_TENANTS", "8"))
# So many of them are looked at in each round.
TENANTS_AT_A_TIME = 4


def is_crash(error, connection):
    """Whether a session learnt in this way that its server is gone."""
    return error.sqlstate in ("57P01", "57P02", "57P03") or (error.sqlstate is None and connection.closed)


# What a statement may say that meets files somebody has spoilt.
DAMAGE = (psycopg.errors.IndexCorrupted, psycopg.errors.DataCorrupted, psycopg.errors.IoError,
          psycopg.errors.UndefinedFile)


@dataclasses.dataclass(frozen=True)
class Index:
    name: str
    key: str = "v"
    opclass: str = "vector_l2_ops"
    operator: str = "<->"
    dimensions: int = 8
    where: str = "true"
    options: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    name: str
    indexes: tuple
    dimensions: int = 8
    most_rows: int = 60  # of one lane
    columns: str = ""
    options: str = ""
    persistence: str = ""
    update: str = "version = %(version)s, v = %(v)s"
    hot: bool = False

    @property
    def durable(self):
        return not self.persistence


KINDS = (
    Table("plain", (Index("plain_l2"), Index("plain_cosine", opclass="vector_cosine_ops",
                                             operator="<=>"))),
    Table("compact", (Index("compact_8", options="WITH (storage = compact)"),
                      Index("compact_4", opclass="vector_cosine_ops", operator="<=>",
                            options="WITH (storage = compact, bits = 4)"),
                      Index("compact_1", opclass="vector_ip_ops", operator="<#>",
                            options="WITH (storage = compact, bits = 1)"))),
    Table("part", (Index("part_ip", opclass="vector_ip_ops", operator="<#>",
                         where="mod(version, 2) = 0"),)),
    Table("expression", (Index("expression_front", key="(subvector(v, 1, 3)::vector(3))", dimensions=3),
                         Index("expression_twice", key="((v || v)::vector(12))", dimensions=12)),
          dimensions=6),
    # Updates leave v alone and find room on the page: the new versions have no entries of their own.
    Table("hot", (Index("hot_l2"),), options="WITH (fillfactor = 50)",
          update="version = %(version)s", hot=True),
    Table("toasted", (Index("toasted_l2", dimensions=2500),
                      Index("toasted_cut", key="(v::sparsevec(2500))", opclass="sparsevec_ip_ops", operator="<#>",
                            dimensions=2500, options="WITH (nonzeros = 64)")), dimensions=2500, most_rows=5),
    Table("changing", (Index("changing_l1", opclass="vector_l1_ops", operator="<+>"),), most_rows=20),
    Table("unlogged", (Index("unlogged_l2"),), persistence="UNLOGGED"),
)
TENANT_TABLES = tuple(
    Table(f"tenant_{number}", (Index(f"tenant_{number}_l2", dimensions=4),), dimensions=4, most_rows=4)
    for number in range(TENANTS))
TABLES = KINDS + TENANT_TABLES


def some_tables(choice):
    """Those of every kind, and a few of the tenants."""
    return KINDS + tuple(choice.sample(TENANT_TABLES, min(TENANTS_AT_A_TIME, TENANTS)))


def some_indexes(choice):
    return [(table, index) for table in some_tables(choice) for index in table.indexes]


def a_table(choice):
    return choice.choice(KINDS + tuple(choice.choices(TENANT_TABLES, k=min(1, TENANTS))))


def create_tables(connection):
    for table in TABLES:
        connection.execute(f"CREATE {table.persistence} TABLE {table.name} (id integer, "
                           f"version integer, v vector({table.dimensions})) {table.options}")
        for index in table.indexes:
            connection.execute(f"CREATE INDEX {index.name} ON {table.name} USING hnsw "
                               f"({index.key} {index.opclass}) {index.options} WHERE {index.where}")


@functools.lru_cache(maxsize=5000)
def vector_of(table, id, version):
    # A hot row keeps its vector.
    seed = [zlib.crc32(table.name.encode()), id, 0 if table.hot else version]
    return vectors.text(np.random.default_rng(seed).normal(size=table.dimensions).astype(np.float32))


# ---- Sessions --------------------------------------------------------------------------------


class Session(threading.Thread):
    """Works until its server is gone. What else goes wrong is kept in `failure`, except for errors that
    were brought about (`expected`): those undo a step."""

    expected = ()

    def __init__(self, cluster, seed, settings=()):
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.connection = cluster.connect_for_thread()
        self.pid = self.connection.info.backend_pid
        for setting in settings:
            self.connection.execute(setting)
        self.leave = threading.Event()
        self.failure = None

    def run(self):
        try:
            while not self.leave.is_set():
                try:
                    self.step()
                except self.expected:
                    self.undo()
        except psycopg.Error as error:
            if not is_crash(error, self.connection):
                self.failure = error
        except Exception as error:
            self.failure = error
        finally:
            self.connection.close()

    def step(self):
        raise NotImplementedError

    def undo(self):
        self.connection.rollback()


@dataclasses.dataclass
class Lane:
    """What is known of the rows of one writer across the crashes. Changes map (table, id) to the new
    version, None for a deleted row."""

    number: int
    synchronous: bool
    next_id: int = 0
    rows: dict = dataclasses.field(default_factory=dict)
    unsure: dict = dataclasses.field(default_factory=dict)  # of a commit without an answer
    prepared: dict = dataclasses.field(default_factory=dict)  # name -> changes
    preparing: str = None  # name of a PREPARE without an answer
    deciding: tuple = None  # name and outcome of a COMMIT or ROLLBACK PREPARED without an answer
    commits: int = 0

    def apply(self, changes):
        for key, version in changes.items():
            if version is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = version

    def busy(self):
        return {key for changes in self.prepared.values() for key in changes}


class Writer(Session):
    """Transactions of a few changes each, that commit, abort, or are prepared."""

    def __init__(self, cluster, lane, seed, settings=()):
        super().__init__(cluster, seed, settings)
        if not lane.synchronous:
            self.connection.execute("SET synchronous_commit = off")
        self.lane = lane

    def step(self):
        changes = {}
        self.connection.execute("BEGIN")
        for _ in range(self.random.randint(1, 6)):
            self.change(changes)
        if self.random.random() < 0.2:
            self.connection.execute("SAVEPOINT s")
            self.change(dict(changes))
            self.connection.execute("ROLLBACK TO s")
            self.change(changes)
        self.end(changes)

    def undo(self):
        """An error, also of COMMIT, says that nothing was committed. What became of a prepared
        transaction the server has to be asked."""
        super().undo()
        self.lane.unsure = {}
        if self.lane.preparing is not None or self.lane.deciding is not None:
            self.leave.set()

    def end(self, changes):
        chance = self.random.random()
        if chance < 0.12:
            self.connection.execute("ROLLBACK")
        elif chance < 0.15 and self.lane.synchronous:
            self.prepare(changes)
        else:
            self.lane.unsure = changes
            self.connection.execute("COMMIT")
            self.lane.unsure = {}
            self.lane.apply(changes)
            self.lane.commits += 1

    def prepare(self, changes):
        name = f"{self.lane.number}-{self.lane.next_id}"
        self.lane.next_id += 1
        self.lane.prepared[name] = changes
        self.lane.preparing = name
        self.connection.execute(f"PREPARE TRANSACTION '{name}'")
        self.lane.preparing = None
        if self.random.random() < 0.5:
            decide(self.connection, self.lane, name, self.random)

    def change(self, changes):
        table = a_table(self.random)
        now = {**self.lane.rows, **changes}
        busy = self.lane.busy()
        own = [id for (name, id), version in now.items()
               if name == table.name and version is not None and (name, id) not in busy]
        chance = self.random.random()
        if len(own) < 3 or (chance < 0.6 and len(own) < table.most_rows):
            self.insert(table, changes)
        elif chance < 0.8 or (table.name in ("changing", "hot") and len(own) <= table.most_rows):
            id = self.random.choice(own)
            version = now[table.name, id] + 1
            self.connection.execute(
                f"UPDATE {table.name} SET {table.update} WHERE id = %(id)s",
                {"id": id, "version": version, "v": vector_of(table, id, version)})
            changes[table.name, id] = version
        else:
            for id in self.random.sample(own, self.random.randint(1, 3)):
                self.connection.execute(f"DELETE FROM {table.name} WHERE id = %s", [id])
                changes[table.name, id] = None

    def insert(self, table, changes):
        count = self.random.randint(1, 4)
        for _ in range(count):
            id = self.lane.number + LANES * self.lane.next_id
            self.lane.next_id += 1
            self.connection.execute(f"INSERT INTO {table.name} VALUES (%s, %s, %s)",
                                    [id, 0, vector_of(table, id, 0)])
            changes[table.name, id] = 0


def decide(connection, lane, name, choice):
    """Ends a prepared transaction, one way or the other."""
    outcome = choice.choice(["COMMIT", "ROLLBACK"])
    lane.deciding = (name, outcome)
    connection.execute(f"{outcome} PREPARED '{name}'")
    decided(lane)


def decided(lane):
    name, outcome = lane.deciding
    changes = lane.prepared.pop(name)
    if outcome == "COMMIT":
        lane.apply(changes)
    lane.deciding = None


class Keeper(Session):
    """Maintenance, and searches that must agree with the table in the midst of all this."""

    def __init__(self, cluster, seed):
        super().__init__(cluster, seed)
        answers.force_index(self.connection)
        # A prepared transaction may keep its locks for long.
        self.connection.execute("SET lock_timeout = '300ms'")
        self.comparisons = 0

    def step(self):
        table = a_table(self.random)
        index = self.random.choice(table.indexes)
        chance = self.random.random()
        try:
            if chance < 0.35:
                self.connection.execute(f"VACUUM (INDEX_CLEANUP ON) {table.name}")
            elif chance < 0.40:
                self.connection.execute("CHECKPOINT")
            elif chance < 0.42:
                self.connection.execute(f"VACUUM FULL {table.name}")
            elif chance < 0.44:
                self.connection.execute(f"REINDEX INDEX {index.name}")
            else:
                compare(self.connection, table, index, self.random)
                self.comparisons += 1
        except psycopg.errors.LockNotAvailable:
            self.connection.rollback()


# ---- Checks ----------------------------------------------------------------------------------


def by_index(table, index):
    return (f"SELECT id, version, {index.key} {index.operator} %(q)s::vector FROM {table.name} "
            f"WHERE {index.where} ORDER BY {index.key} {index.operator} %(q)s::vector")


def uses_index(connection, index, statement, parameters):
    plan = connection.execute("EXPLAIN (COSTS off) " + statement, parameters).fetchall()
    return any(f"Index Scan using {index.name} " in line for [line] in plan)


def compare(connection, table, index, choice):
    """All rows in the order of the index, against the table in the same snapshot. Returns how many
    there are."""
    q = {"q": vectors.text([choice.gauss(0, 1) for _ in range(index.dimensions)])}
    statement = by_index(table, index)
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    # While the index is repaired the planner leaves it alone.
    planned = uses_index(connection, index, statement, q)
    from_index = connection.execute(statement, q).fetchall() if planned else None
    connection.execute("SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off")
    from_heap = connection.execute(
        f"SELECT id, version, {index.key} {index.operator} %(q)s::vector FROM {table.name} "
        f"WHERE {index.where}", q).fetchall()
    connection.execute("COMMIT")
    if from_index is None:
        return 0
    missing = collections.Counter(from_heap) - collections.Counter(from_index)
    too_many = collections.Counter(from_index) - collections.Counter(from_heap)
    assert not missing and not too_many, (
        f"{index.name}: of {len(from_heap)} rows {len(missing)} missing, e.g. {sorted(missing)[:5]}, "
        f"{len(too_many)} too many, e.g. {sorted(too_many.items())[:5]}")
    answers.check_order(index.name, [d for _, _, d in from_index])
    return len(from_heap)


def settle(connection, lanes, choice):
    """What the table says of every change that was under way, and that it has all the others."""
    prepared = {name for [name] in connection.execute("SELECT gid FROM pg_prepared_xacts").fetchall()}
    heap = {(table.name, id): version for table in TABLES
            for id, version in connection.execute(f"SELECT id, version FROM {table.name}").fetchall()}
    for lane in lanes:
        if lane.deciding and lane.deciding[0] not in prepared:
            decided(lane)
        lane.deciding = None
        if lane.preparing not in prepared:
            lane.prepared.pop(lane.preparing, None)
        lane.preparing = None
        lost = set(lane.prepared) - prepared
        assert not lost, f"prepared transactions lost: {lost}"
        settle_rows(lane, {key: version for key, version in heap.items()
                           if key[1] % LANES == lane.number})
        if choice.random() < 0.8:
            for name in sorted(lane.prepared):
                decide(connection, lane, name, choice)


def settle_rows(lane, heap):
    durable = {table.name for table in TABLES if table.durable}
    expected = {key: version for key, version in lane.rows.items() if key[0] in durable}
    found = {key: version for key, version in heap.items() if key[0] in durable}
    after = {**expected, **{key: version for key, version in lane.unsure.items() if key[0] in durable}}
    after = {key: version for key, version in after.items() if version is not None}
    lane.unsure = {}
    lane.rows = heap
    if lane.synchronous and found != expected:
        assert found == after, (
            f"lane {lane.number}: the table has lost "
            f"{sorted(set(expected.items()) - set(found.items()))[:10]} and has "
            f"{sorted(set(found.items()) - set(expected.items()))[:10]} too many")


def check_everything(connection, lanes, choice):
    """The promise. Returns how each index was opened."""
    answers.force_index(connection)
    settle(connection, lanes, choice)
    indexes = some_indexes(choice)
    for table, index in choice.sample(indexes, len(indexes)):
        q = {"q": vectors.text([0.0] * index.dimensions)}
        wait_until(lambda: uses_index(connection, index, by_index(table, index), q),
                   f"the planner takes {index.name}", 60)
        for _ in range(2):
            compare(connection, table, index, choice)
        check_files(connection, index)
    return dict(connection.execute("SELECT index::text, opened_by FROM dvec_indexes").fetchall())


def check_files(connection, index):
    [[known]] = connection.execute("SELECT count(*) FROM pg_proc WHERE proname = 'dvec_check'").fetchall()
    if known:
        problems = connection.execute("SELECT * FROM dvec_check(%s::regclass)", [index.name]).fetchall()
        assert not problems, f"dvec_check({index.name}): {problems[:5]}"


def mend(connection):
    """Looks through all files until nothing is wrong with them any more: what is found is repaired."""
    answers.force_index(connection)
    for table in TABLES:
        for index in table.indexes:
            wait_until(lambda: is_sound(connection, index), f"{index.name} is repaired", 60)


def is_sound(connection, index):
    try:
        return not connection.execute("SELECT * FROM dvec_check(%s::regclass)", [index.name]).fetchall()
    except DAMAGE:
        return False
