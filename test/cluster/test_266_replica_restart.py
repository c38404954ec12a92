"""A standby that is started again goes on with its indexes where they were: it reads the pages that WAL tells of since
the reconcile LSN of their checkpoints, and no others. Where it is not sure that the table has only gone on since, it
compares every page."""

import struct

import answers
import replicas
import vectors
from cluster import wait_until
from replicas import check_same, wait_until_followed, wait_until_replayed, wait_until_taken_in

DIMENSIONS = 8
ROWS = vectors.clustered(6000, DIMENSIONS, seed=266)
EVERY_PAGE, GOES_ON = "entries kept", "is followed from"


def checkpoint(standby):
    """What the index's checkpoint has to say: (what is to be repaired, S)."""
    image = (standby.folder_of("items_v_idx") / "checkpoint").read_bytes()
    records = [struct.unpack_from("<IIIIQ 48x Q 104x I", image, at) for at in (0, 4096)]
    _, _, _, _, _, reconcile_lsn, repair = max((record for record in records if record[0] == 0x43435644),
                                               key=lambda record: record[4])
    return repair, reconcile_lsn


def position(connection):
    [[lsn]] = connection.execute("SELECT pg_current_wal_flush_lsn() - '0/0'").fetchall()
    return int(lsn)


class Pair:
    def __init__(self, make_cluster, standbys, **settings):
        self.primary = make_cluster(**replicas.PRIMARY, **settings)
        vectors.make_table(self.primary.connect(), ROWS[:1000])
        self.standby = standbys.make(self.primary, **settings)
        self.next = 1000
        self.log_read = 0

    def churn(self):
        """Rows come, change their vectors, go, and leave line pointers for others."""
        connection = self.primary.connect()
        first, self.next = self.next, self.next + 200
        vectors.copy_in(connection, "items", first, ROWS[first:first + 100])
        connection.execute("UPDATE items SET v = %s WHERE id %% 97 = 1", [vectors.text(ROWS[1])])
        connection.execute("DELETE FROM items WHERE id %% 11 = %s", [first // 200 % 11])
        connection.execute("VACUUM (INDEX_CLEANUP ON) items")
        vectors.copy_in(connection, "items", first + 100, ROWS[first + 100:first + 200])

    def wait_until_noted(self):
        """All that the primary has done is below S, in the checkpoint."""
        end = position(self.primary.connect())
        wait_until_taken_in(self.standby, self.primary)
        # An index that does not change has no checkpoint that it does not need.
        vectors.copy_in(self.primary.connect(), "items", self.next, ROWS[self.next:self.next + 1])
        self.next += 1
        wait_until(lambda: checkpoint(self.standby)[0] == 1 and checkpoint(self.standby)[1] >= end,
                   "the checkpoint says how far the index is", 60)

    def log_since(self):
        text = self.standby.log_text()
        since, self.log_read = text[self.log_read:], len(text)
        return since

    def check(self, how):
        """The index has the table's rows, and came to that in this way and no other."""
        wait_until_replayed(self.standby, self.primary)
        wait_until_followed(self.standby)
        rows = len(answers.ids_in_table(self.primary.connect(), "items"))
        assert check_same(self.standby.connect(), "items", ROWS[0]) == (rows, True)
        log = self.log_since()
        assert [line for line in (EVERY_PAGE, GOES_ON) if line in log] == [how], log
        wait_until_taken_in(self.standby, self.primary)
        assert check_same(self.standby.connect(), "items", ROWS[0]) == (rows, True)


def test_restarts(make_cluster, standbys):
    pair = Pair(make_cluster, standbys)
    pair.standby.restart("immediate")  # before the index was used
    pair.check(EVERY_PAGE)
    pair.wait_until_noted()
    for restart in (lambda: pair.standby.restart("fast"),
                    lambda: pair.standby.restart("immediate"),
                    lambda: (pair.standby.kill(), pair.churn(), pair.standby.start()),
                    lambda: (pair.standby.kill_postmaster(), pair.standby.start()),
                    lambda: replicas.kill_process(pair.standby, "dvec follower"),
                    # Nobody has used the index in between.
                    lambda: (pair.standby.restart("fast"), pair.churn(), pair.standby.restart("immediate"))):
        pair.churn()
        restart()
        pair.churn()
        pair.check(GOES_ON)


def test_table_is_never_at_an_earlier_moment_than_its_index(make_cluster, standbys):
    """A standby that died comes back as of the last moment that it has noted. Rows that the index had given up, and
    those that it had taken in, were there and not there before."""
    pair = Pair(make_cluster, standbys, bgwriter_lru_maxpages="0")
    pair.check(EVERY_PAGE)
    pair.wait_until_noted()
    pair.standby.configure(dvec__checkpoint_timeout="1h")  # what is not in a checkpoint is held, too
    pair.standby.sql("SELECT pg_reload_conf()")
    connection = pair.primary.connect()
    for turn in range(3):
        connection.execute("DELETE FROM items WHERE id %% 5 = %s", [turn])
        connection.execute("VACUUM (INDEX_CLEANUP ON) items")
        if turn > 0:  # to where the deleted ones were, and at the end
            vectors.copy_in(connection, "items", pair.next, ROWS[pair.next:pair.next + 400])
            pair.next += 400
        wait_until_taken_in(pair.standby, pair.primary)
        pair.standby.kill()
        # It stops at the next commit, as soon as it answers queries.
        pair.standby.configure(recovery_min_apply_delay="1h")
        pair.standby.start()
        pair.log_since()
        wait_until_followed(pair.standby)
        rows, by_index = check_same(pair.standby.connect(), "items", ROWS[0])
        assert by_index and rows >= 500
        pair.standby.configure(recovery_min_apply_delay="0")
        pair.standby.restart("immediate")
        pair.check(GOES_ON)


def test_primaries_that_change(make_cluster, standbys):
    """A standby that was down meanwhile goes on with its index under the new primary, and so does the former primary,
    which was shut down. One that has rows which the new primary never had is rewound, and compares every page."""
    pair = Pair(make_cluster, standbys, wal_log_hints="on")
    pair.check(EVERY_PAGE)
    first, second = pair.primary, standbys.make(pair.primary, wal_log_hints="on")
    pair.churn()
    pair.wait_until_noted()
    pair.standby.stop()
    pair.churn()
    wait_until_replayed(second, first)
    first.stop()
    replicas.promote(second)
    pair.primary = second
    replicas.follow(pair.standby, second)
    pair.churn()
    pair.standby.start()
    pair.check(GOES_ON)
    replicas.follow(first, second)
    pair.standby, pair.log_read = first.start(), 0
    pair.churn()
    pair.check(GOES_ON)

    replicas.promote(first)
    pair.churn()  # beside the new primary
    second.stop()
    pair.primary = first
    pair.churn()
    first.sql("CHECKPOINT")
    replicas.rewind(second, first)
    pair.standby, pair.log_read = second.start(), 0
    pair.check(EVERY_PAGE)
    pair.churn()
    pair.wait_until_noted()
    second.restart("immediate")
    pair.check(GOES_ON)
