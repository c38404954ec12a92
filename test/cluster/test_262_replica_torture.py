"""A primary and its standby, either of which is ended, killed and loses its power in every way, while the primary
writes. The standby is promoted, and what was the primary follows it, rewound or made anew, or it comes back as a
primary without a promotion. At each moment index scans see what sequential scans see, on both.

    DVEC_REPLICA_ROUNDS=500 make cluster PYTEST_ARGS='-k replica_torture -s'   the long mode
    DVEC_REPLICA_SEED=7 ...   another history; each prints its seed
"""

import contextlib
import os
import random
import shutil
import signal

import psycopg

import replicas
import test_261_replica_load as load
from cluster import children
from replicas import wait_until_replayed

ROUNDS = int(os.environ.get("DVEC_REPLICA_ROUNDS", 3))
SEED = int(os.environ.get("DVEC_REPLICA_SEED", 0)) or random.randrange(10**6)

# pg_rewind finds changed pages by their LSNs, hint bits included.
SETTINGS = {**replicas.PRIMARY, "faults": True, "wal_log_hints": "on", "max_standby_streaming_delay": "300ms",
            "dvec__sweep_interval": "2s", "wal_receiver_timeout": "5s"}


def is_there(server, name):
    return any(name in command for command in children(server.server.pid).values())


def end_process(server, name):
    """If there is one: a follower ends by itself when it has nothing to follow."""
    if is_there(server, name):
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.child(name), signal.SIGTERM)


def kill_process(server, name):
    """Likewise; the server does not notice where it has just ended."""
    if is_there(server, name):
        with contextlib.suppress(AssertionError, ProcessLookupError):
            replicas.kill_process(server, name)


def start_again(server, how):
    how()
    server.start()


# What befalls a server, be it the primary or the standby. Those with a name that ends in "!" break its sessions.
BLOWS = {
    "nothing": lambda server, dice: None,
    "worker ended": lambda server, dice: end_process(server, "dvec worker"),
    "worker killed!": lambda server, dice: kill_process(server, "dvec worker"),
    "all killed!": lambda server, dice: start_again(server, server.kill),
    "postmaster killed!": lambda server, dice: start_again(server, server.kill_postmaster),
    "restart!": lambda server, dice: server.restart("fast"),
    "immediate restart!": lambda server, dice: server.restart("immediate"),
    "power lost!": lambda server, dice: start_again(server, lambda: server.power_loss(dice.randrange(10**6))),
    "checkpoint": lambda server, dice: server.sql("CHECKPOINT"),
}
OF_STANDBYS = {
    "follower ended": lambda server, dice: end_process(server, "dvec follower"),
    "both ended": lambda server, dice: (end_process(server, "dvec worker"), end_process(server, "dvec follower")),
    "follower killed": lambda server, dice: kill_process(server, "dvec follower"),
}


class Pair:
    def __init__(self, make_cluster, standbys, dice):
        self.standbys = standbys
        self.dice = dice
        self.primary = make_cluster(start=False, **SETTINGS)
        self.primary.remember_disk()
        self.primary.start()
        connection = self.primary.connect()
        load.make_tables(connection)
        self.standby = self.make_standby()
        self.writer = None
        self.used = 0
        self.checks = 0

    def make_standby(self):
        standby = self.standbys.make(self.primary, start=False, **{
            name: value for name, value in SETTINGS.items() if name not in replicas.PRIMARY})
        standby.remember_disk()
        return standby.start()

    def write(self):
        self.writer = load.Load(self.primary, self.dice.randrange(10**6))
        self.writer.start()

    def rest(self, struck):
        """`struck`: its session may have come to an end."""
        self.writer.leave.set()
        self.writer.join(60)
        assert not self.writer.is_alive(), "the load hangs"
        failure = self.writer.failure
        assert failure is None or (struck and isinstance(failure, psycopg.OperationalError)), repr(failure)
        self.writer = None
        for name in self.primary.sql("SELECT gid FROM pg_prepared_xacts"):
            self.primary.sql(f"ROLLBACK PREPARED '{name[0]}'")

    def check(self, server, times):
        for _ in range(times):
            self.used += load.check_once(server, self.dice.choice(list(load.TABLES)), self.dice) or 0
            self.checks += 1

    def strike(self, server, blows):
        blow = self.dice.choice(list(blows))
        print(f"{'primary' if server is self.primary else 'standby'}: {blow}", flush=True)
        blows[blow](server, self.dice)
        return blow

    def one_round(self):
        {"blows": self.blows, "switch": self.switch, "split": self.split}[
            self.dice.choices(("blows", "switch", "split"), (6, 2, 2))[0]]()

    def blows(self):
        self.write()
        self.check(self.standby, 4)
        self.strike(self.standby, {**BLOWS, **OF_STANDBYS})
        self.check(self.standby, 3)
        blow = self.strike(self.primary, BLOWS)
        self.check(self.standby, 3)
        self.rest(struck=blow.endswith("!"))
        self.check(self.primary, 2)
        for table in ("items", "wide"):
            with contextlib.suppress(AssertionError, psycopg.OperationalError):
                replicas.wait_until_followed(self.standby, table, seconds=3)

    def switch(self):
        """The standby takes over from a primary that has ended, or died."""
        how = self.dice.choice(("stop", "kill", "power_loss"))
        print(f"promotion after {how}", flush=True)
        self.write()
        self.check(self.standby, 3)
        {"stop": self.primary.stop, "kill": self.primary.kill,
         "power_loss": lambda: self.primary.power_loss(self.dice.randrange(10**6))}[how]()
        self.check(self.standby, 2)
        self.promote()
        self.writer.leave.set()
        self.writer.join(60)
        if how != "stop":
            self.primary.start()
            self.primary.stop()
        self.follow_new()

    def split(self):
        """It takes over while the primary goes on, whose rows since then are lost."""
        print("promotion beside the primary", flush=True)
        self.write()
        self.check(self.standby, 3)
        self.promote()
        self.check(self.standby, 2)
        self.rest(struck=False)
        self.check(self.primary, 2)
        self.primary.stop()
        self.follow_new()

    def promote(self):
        if self.dice.random() < 0.3:
            self.strike(self.standby, {**BLOWS, **OF_STANDBYS})
        replicas.promote(self.standby)
        if self.dice.random() < 0.5:
            print("at once", end=" ")
            self.strike(self.standby, BLOWS)

    def follow_new(self):
        """The standby is the primary now, and is followed by the former one, which is down."""
        former, self.primary = self.primary, self.standby
        for name in self.primary.sql("SELECT gid FROM pg_prepared_xacts"):
            self.primary.sql(f"ROLLBACK PREPARED '{name[0]}'")
        self.check(self.primary, 3)
        self.write()
        self.check(self.primary, 2)
        self.rest(struck=False)
        self.primary.sql("CHECKPOINT")
        if self.dice.random() < 0.8:
            print("rewound", flush=True)
            replicas.rewind(former, self.primary)
            former.start()
            self.standby = former
        else:
            shutil.rmtree(former.data)  # but not the log, which is looked at in the end
            self.standby = self.make_standby()
        self.check(self.standby, 2)

    def check_all(self):
        """Everything on both sides, when nothing moves."""
        wait_until_replayed(self.standby, self.primary)
        for server in (self.standby, self.primary):
            for table in load.TABLES:
                replicas.wait_until_followed(server, table, **load.options_of(table))
                assert load.check_once(server, table, self.dice), f"{table} on {server.home}"
        connection = self.primary.connect()
        indexes = connection.execute("SELECT index::regclass::text FROM dvec_indexes JOIN pg_index ON indexrelid = index WHERE indisvalid").fetchall()
        for [index] in indexes:
            assert connection.execute("SELECT * FROM dvec_check(%s)", [index]).fetchall() == [], index


def test_primary_and_standby_under_blows(make_cluster, standbys):
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    pair = Pair(make_cluster, standbys, dice)
    for number in range(ROUNDS):
        print(f"round {number}: ", end="")
        pair.one_round()
        if number % 10 == 9:
            pair.check_all()
    pair.check_all()
    print(f"{pair.checks} checks, {pair.used} by the index")
