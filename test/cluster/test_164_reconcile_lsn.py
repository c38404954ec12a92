"""The reconcile LSN, S, in the checkpoint record: every row whose WAL lies below it is in the sidecar for
good, or its transaction failed. So it never passes the WAL of a row of a transaction that has not
ended, and it does move on when that has."""

import struct

import answers
import vectors
from cluster import wait_until

DIMENSIONS = 8
ROWS = vectors.clustered(5000, DIMENSIONS, seed=164)


def reconcile_lsn(cluster):
    """Of the current one of the two records."""
    image = (cluster.folder_of("items_v_idx") / "checkpoint").read_bytes()
    records = [struct.unpack_from("<IIIIQ 48x Q", image, at) for at in (0, 4096)]
    valid = [record for record in records if record[0] == 0x43435644]
    assert valid and all(record[1] == 5 for record in valid), records
    return max(valid, key=lambda record: record[4])[5]


def position(connection):
    [[lsn]] = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'").fetchall()
    return int(lsn)


class Trickle:
    """Another session, which keeps the index changing so that checkpoints are taken."""

    def __init__(self, cluster):
        self.cluster, self.connection, self.next = cluster, cluster.connect(), 1000

    def until(self, condition, what):
        def step():
            self.connection.execute("INSERT INTO items VALUES (%s, %s)",
                                    [self.next, vectors.text(ROWS[self.next])])
            self.next += 1
            return condition()

        return wait_until(step, what, pause=0.05)

    def checkpoints(self, count):
        begin = self.taken()
        self.until(lambda: self.taken() >= begin + count, f"{count} checkpoints")

    def taken(self):
        return answers.index_state(self.connection, "items_v_idx")["checkpoints"]


def make(make_cluster):
    cluster = make_cluster(dvec__checkpoint_timeout="1s")
    vectors.make_table(cluster.connect(), ROWS[:100])
    trickle = Trickle(cluster)
    trickle.until(lambda: reconcile_lsn(cluster) > 0, "a first S")
    return cluster, trickle


def test_moves_on(make_cluster):
    cluster, trickle = make(make_cluster)
    before = position(trickle.connection)
    trickle.until(lambda: reconcile_lsn(cluster) >= before, "S moves on")
    assert reconcile_lsn(cluster) <= position(trickle.connection)


def test_waits_for_an_open_transaction(make_cluster):
    cluster, trickle = make(make_cluster)
    session = cluster.connect()
    session.execute("BEGIN")
    session.execute("INSERT INTO items VALUES (500, %s)", [vectors.text(ROWS[500])])
    held = position(session)
    trickle.checkpoints(3)
    assert reconcile_lsn(cluster) < held
    session.execute("COMMIT")
    trickle.until(lambda: reconcile_lsn(cluster) >= held, "S moves on")


def test_waits_for_a_prepared_transaction(make_cluster):
    cluster, trickle = make(make_cluster)
    session = cluster.connect()
    session.execute("BEGIN")
    session.execute("INSERT INTO items VALUES (500, %s)", [vectors.text(ROWS[500])])
    held = position(session)
    session.execute("PREPARE TRANSACTION 'p'")
    trickle.checkpoints(3)
    assert reconcile_lsn(cluster) < held
    session.execute("ROLLBACK PREPARED 'p'")
    trickle.until(lambda: reconcile_lsn(cluster) >= held, "S moves on")


def test_savepoints_count_with_their_transaction(make_cluster):
    """The subtransaction has an ID of its own and is over; what it inserted is not decided yet."""
    cluster, trickle = make(make_cluster)
    session = cluster.connect()
    session.execute("BEGIN")
    session.execute("SAVEPOINT a")
    session.execute("INSERT INTO items VALUES (500, %s)", [vectors.text(ROWS[500])])
    session.execute("RELEASE a")
    held = position(session)
    trickle.checkpoints(3)
    assert reconcile_lsn(cluster) < held
    session.execute("ROLLBACK")


def test_readers_do_not_hold_it_back(make_cluster):
    cluster, trickle = make(make_cluster)
    session = cluster.connect()
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    session.execute("SELECT count(*) FROM items")
    held = position(session)
    trickle.until(lambda: reconcile_lsn(cluster) >= held, "S moves on")
