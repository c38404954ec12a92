"""dvec/starts, the history of server starts: which of them recovered from WAL of another origin. What
a sidecar last used before such a start lacks, no log of its own can tell."""

import shutil
import struct
import subprocess


import answers
import vectors
from cluster import BIN, wait_until

BLOCK = 28 * 1024
UNKNOWN = 2 ** 64 - 1
ROWS = vectors.clustered(100, 8, seed=165)


def history(cluster):
    """[(number, recovery end, whether the recovery was foreign)], oldest first."""
    image = (cluster.data / "dvec/starts").read_bytes()
    assert len(image) == 2 * BLOCK
    blocks = [struct.unpack_from("<IIQII", image, BLOCK * i) for i in range(2)]
    written = [i for i in range(2) if blocks[i][0] == 0x53435644]
    assert all(blocks[i][1] == 4 for i in written)
    current = max(written, key=lambda i: blocks[i][2])
    starts = [struct.unpack_from("<QQII", image, BLOCK * current + 24 + 24 * i)
              for i in range(blocks[current][3])]
    return [(number, end, bool(flags & 1)) for number, end, flags, _ in starts]


def foreign(cluster):
    return [start[2] for start in history(cluster)]


def promoted(cluster):
    cluster.sql("SELECT pg_promote(true, 60)")
    wait_until(lambda: cluster.sql("SELECT NOT pg_is_in_recovery()") == [(True,)], "promoted")
    cluster.worker_pid()


def test_own_recoveries(cluster):
    before = foreign(cluster)
    assert not any(before)
    cluster.restart()
    cluster.kill()
    cluster.start()
    assert foreign(cluster) == before + [False, False]


def test_standby_at_each_start_until_its_promotion(cluster):
    before = foreign(cluster)
    cluster.stop()
    (cluster.data / "standby.signal").touch()
    cluster.start()
    cluster.restart()
    assert foreign(cluster) == before + [True, True]
    promoted(cluster)
    assert foreign(cluster) == before + [True, True]
    cluster.restart()
    assert foreign(cluster) == before + [True, True, False]


def test_archive_recovery(cluster):
    before = foreign(cluster)
    cluster.stop()
    (cluster.data / "recovery.signal").touch()
    cluster.configure(restore_command="false")
    cluster.start()
    wait_until(lambda: cluster.sql("SELECT NOT pg_is_in_recovery()") == [(True,)], "recovered")
    cluster.restart()
    assert foreign(cluster) == before + [True, False]


def test_restored_backup(cluster):
    vectors.make_table(cluster.connect(), ROWS)
    before = foreign(cluster)
    backup = cluster.home / "backup"
    subprocess.run([BIN / "pg_basebackup", "-h", cluster.home, "-U", "postgres", "-D", backup,
                    "--checkpoint=fast", "--no-sync"], check=True, capture_output=True)
    assert (backup / "backup_label").exists()
    cluster.stop()
    shutil.rmtree(cluster.data)
    backup.rename(cluster.data)
    cluster.start()
    assert foreign(cluster) == before + [True]
    cluster.restart()
    assert foreign(cluster) == before + [True, False]
    assert answers.check_complete(cluster.connect(), "items", ROWS[0]) == 100


def test_start_that_cannot_be_noted_down(make_cluster):
    """A start missing from the history must not look as if it had not been. So the history goes, and the
    next start begins a new one; the index notices that it is not in it."""
    cluster = make_cluster(faults=True)
    connection = cluster.connect()
    vectors.make_table(connection, ROWS[:50])
    vectors.copy_in(connection, "items", 50, ROWS[50:])
    cluster.kill()
    with cluster.faults.in_force("fail_sync", "starts"):
        cluster.start()
        assert "starts" not in {path.name for path in (cluster.data / "dvec").iterdir()}
        assert answers.check_complete(cluster.connect(), "items", ROWS[0]) == 100
        cluster.kill()
    cluster.start()
    assert foreign(cluster) == [False]
    assert answers.check_complete(cluster.connect(), "items", ROWS[0]) == 100


def test_start_on_a_full_disk(make_cluster):
    """The history has its space already, however long it gets, so the index need not be repaired."""
    cluster = make_cluster(faults=True)
    connection = cluster.connect()
    vectors.make_table(connection, ROWS[:50])
    vectors.copy_in(connection, "items", 50, ROWS[50:])
    before = foreign(cluster)
    cluster.kill()
    with cluster.faults.in_force("no_space"):
        for _ in range(3):
            cluster.start()
            # A start that is killed before it has said where its recovery ended leaves a gap.
            wait_until(lambda: history(cluster)[-1][1] != UNKNOWN, "the end of recovery is noted")
            cluster.kill()
        cluster.start()
        connection = cluster.connect()
        assert foreign(cluster) == before + [False] * 4
        assert answers.check_complete(connection, "items", ROWS[0]) == 100
        assert answers.index_state(connection, "items_v_idx")["opened_by"] == "replay"


def test_torn_history(cluster):
    """A write that a crash of the machine tore leaves the block before it."""
    vectors.make_table(cluster.connect(), ROWS)
    cluster.kill()
    path = cluster.data / "dvec/starts"
    image = bytearray(path.read_bytes())
    blocks = [struct.unpack_from("<IIQII", image, BLOCK * i) for i in range(2)]
    latest = max(range(2), key=lambda i: blocks[i][2])
    image[BLOCK * latest + 40] ^= 1
    path.write_bytes(image)
    cluster.start()
    assert len(history(cluster)) >= 2
    assert answers.check_complete(cluster.connect(), "items", ROWS[0]) == 100
