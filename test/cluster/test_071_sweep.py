"""The folders of indexes that are gone go too; those of the others stay."""

import pytest

import answers
import vectors
from cluster import wait_until


@pytest.fixture
def sweeping(make_cluster):
    return make_cluster(dvec__sweep_interval="1s")


def wait_for_folders(cluster, wanted):
    """A relation's file stays until the next checkpoint, and its folder as long."""
    cluster.sql("CHECKPOINT")
    wait_until(lambda: cluster.folders() == sorted(wanted), f"only {wanted} left in dvec/", 20, 0.1)


def test_dropped_and_rolled_back(sweeping):
    cluster = sweeping
    rows = vectors.clustered(100, 8, seed=32)
    connection = cluster.connect()
    vectors.make_table(connection, rows, "keep")
    connection.execute("CREATE SCHEMA s")
    for table in ("a", "b", "s.c", "rewritten"):
        vectors.make_table(connection, rows, table)
        answers.check_complete(connection, table, rows[0])
    connection.execute("DROP INDEX a_v_idx")
    connection.execute("DROP TABLE b")
    connection.execute("DROP SCHEMA s CASCADE")
    connection.execute("REINDEX TABLE rewritten")
    connection.execute("VACUUM FULL rewritten")
    for statement in ("CREATE INDEX ON keep USING hnsw (v vector_l1_ops)", "TRUNCATE keep",
                      "REINDEX TABLE keep"):
        connection.execute("BEGIN")
        connection.execute(statement)
        connection.execute("ROLLBACK")
    assert len(cluster.folders()) > 2
    kept = [cluster.folder_of(index).name for index in ("keep_v_idx", "rewritten_v_idx")]
    wait_for_folders(cluster, kept)
    for table in ("keep", "rewritten"):
        assert answers.check_complete(connection, table, rows[0]) == 100
    states = connection.execute("SELECT count(*) FROM dvec_index_states()").fetchall()
    assert states == [(2,)], states

    connection.execute("DROP EXTENSION dvec CASCADE")
    wait_for_folders(cluster, [])
    connection.execute("CREATE EXTENSION dvec")
    vectors.make_table(connection, rows, "again")
    assert answers.check_complete(connection, "again", rows[0]) == 100


def test_orphans_of_a_crash(sweeping):
    """Nobody was left to roll back; the server removes such files at its next start, or never."""
    cluster = sweeping
    rows = vectors.clustered(100, 8, seed=33)
    connection = cluster.connect()
    vectors.make_table(connection, rows, "keep")
    connection.execute("DROP INDEX keep_v_idx")
    connection.execute("CREATE INDEX ON keep USING hnsw (v vector_l2_ops)")
    kept = cluster.folder_of("keep_v_idx").name
    cluster.kill()
    cluster.start()
    wait_for_folders(cluster, [kept])
    assert answers.check_complete(cluster.connect(), "keep", rows[0]) == 100


def test_temporary_tables(sweeping):
    cluster = sweeping
    rows = vectors.clustered(60, 8, seed=34)
    connection = cluster.connect()
    connection.execute("CREATE TEMP TABLE t (id integer, v vector(8)) ON COMMIT PRESERVE ROWS")
    connection.execute("CREATE INDEX ON t USING hnsw (v vector_l2_ops)")
    vectors.copy_in(connection, "t", 0, rows)
    assert answers.check_complete(connection, "t", rows[0]) == 60
    assert len(cluster.folders()) == 1
    connection.close()
    wait_for_folders(cluster, [])


def test_temporary_table_emptied_at_commit(sweeping):
    """ON COMMIT DELETE ROWS empties index files in place, at every commit."""
    cluster = sweeping
    rows = vectors.clustered(100, 8, seed=35)
    connection = cluster.connect()
    connection.execute("CREATE TEMP TABLE t (id integer, v vector(8)) ON COMMIT DELETE ROWS")
    connection.execute("CREATE INDEX ON t USING hnsw (v vector_l2_ops)")
    for round in range(5):
        connection.execute("BEGIN")
        vectors.copy_in(connection, "t", round, rows[round * 10:round * 10 + 10])
        assert answers.check_complete(connection, "t", rows[0]) == 10
        connection.execute("COMMIT")
        assert answers.check_complete(connection, "t", rows[0]) == 0


def test_unlogged_table_after_a_crash(sweeping):
    """It comes back empty, and so does its index."""
    cluster = sweeping
    rows = vectors.clustered(200, 8, seed=36)
    connection = cluster.connect()
    connection.execute("CREATE UNLOGGED TABLE items (id integer, v vector(8))")
    vectors.copy_in(connection, "items", 0, rows[:50])
    connection.execute("CREATE INDEX ON items USING hnsw (v vector_l2_ops)")
    vectors.copy_in(connection, "items", 50, rows[50:100])
    cluster.restart()
    assert answers.check_complete(cluster.connect(), "items", rows[0]) == 100
    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == 0
    vectors.copy_in(connection, "items", 1000, rows[100:])
    assert answers.check_complete(connection, "items", rows[0]) == 100
    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    vectors.copy_in(connection, "items", 2000, rows[:30])
    assert answers.check_complete(connection, "items", rows[0]) == 30
    connection.execute("ALTER TABLE items SET LOGGED")
    vectors.copy_in(connection, "items", 3000, rows[30:60])
    cluster.kill()
    cluster.start()
    assert answers.check_complete(cluster.connect(), "items", rows[0]) == 60


def test_junk_in_the_folder(make_cluster):
    """The server starts, works and stops with anything lying around in dvec/."""
    cluster = make_cluster(start=False, dvec__sweep_interval="1s")
    home = cluster.data / "dvec"
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "README").write_text("hello")
    (home / "1_2_3").write_text("named like an index, but a file")
    (home / "1663_5_").mkdir()
    (home / "1663_5_99999999999999999999").mkdir()
    (home / "-1_5_7").mkdir()
    (home / "1663_5_t_7").mkdir()
    (home / "a folder").mkdir()
    (home / "a folder" / "inside").mkdir()
    (home / "trash.1663_5_4").mkdir()
    (home / "trash.1663_5_5").mkdir()
    (home / "trash.1663_5_5" / "deeper").mkdir()
    (home / "1663_5_77777").mkdir()
    (home / "1663_5_77777" / "deeper").mkdir()
    (home / "link").symlink_to("/nonexistent")
    elsewhere = cluster.home / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("not to be deleted")
    (home / "1663_5_88888").symlink_to(elsewhere)
    (home / "trash.1663_5_6").symlink_to(elsewhere)
    cluster.start()
    rows = vectors.clustered(50, 8, seed=37)
    connection = cluster.connect()
    vectors.make_table(connection, rows)
    vectors.copy_in(connection, "items", 50, rows + 1)
    wait_until(lambda: "trash.1663_5_4" not in cluster.folders(), "the sweep came by")
    assert answers.check_complete(connection, "items", rows[0]) == 100
    wait_until(lambda: "trash.1663_5_77777" in cluster.folders(), "the sweep came by")
    for name in ("README", "1_2_3", "a folder", "link", "1663_5_88888"):
        assert name in cluster.folders(), "what is not ours was removed"
    assert (elsewhere / "precious").exists(), "the sweep followed a symbolic link"
    cluster.restart()
    assert answers.check_complete(cluster.connect(), "items", rows[0]) == 100
    assert "PANIC" not in cluster.log_text() and "terminated by" not in cluster.log_text()
