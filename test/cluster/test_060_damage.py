"""A folder that is missing, foreign or damaged: the index is repaired from the table, completely, and
the server's log says so."""

import os
import random
import shutil
import threading

import pytest

import answers
import vectors
from worker import wait_until_linked

ROWS = 400


def lose_everything(folder, _):
    shutil.rmtree(folder.parent)


def lose_folder(folder, _):
    shutil.rmtree(folder)


def empty_folder(folder, _):
    for path in folder.iterdir():
        path.unlink()


def file_instead_of_folder(folder, _):
    shutil.rmtree(folder)
    folder.write_text("not a folder")


def foreign_folder(folder, other):
    shutil.rmtree(folder)
    shutil.copytree(other, folder)


def copied_folder(folder, _):
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


def lose_checkpoint(folder, _):
    (folder / "checkpoint").unlink()


def empty_checkpoint(folder, _):
    os.truncate(folder / "checkpoint", 0)


def short_checkpoint(folder, _):
    os.truncate(folder / "checkpoint", 100)


def garbage_checkpoint(folder, _):
    (folder / "checkpoint").write_bytes(random.Random(1).randbytes(8192))


def lose_nodes(folder, _):
    (folder / "nodes.1").unlink()


def short_nodes(folder, _):
    os.truncate(folder / "nodes.1", 6000)


def short_upper(folder, _):
    os.truncate(folder / "upper.1", 1000)


def flip(path, offset, mask=0x10):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ mask]))


def nodes_header_magic(folder, _):
    flip(folder / "nodes.1", 1)


def nodes_header_version(folder, _):
    flip(folder / "nodes.1", 4)


def nodes_header_identity(folder, _):
    flip(folder / "nodes.1", 11)


def nodes_header_stride(folder, _):
    flip(folder / "nodes.1", 17)


def upper_header(folder, _):
    flip(folder / "upper.1", 20)


DAMAGES = [lose_everything, lose_folder, empty_folder, foreign_folder, copied_folder,
           lose_checkpoint, empty_checkpoint, short_checkpoint, garbage_checkpoint, lose_nodes,
           short_nodes, short_upper, nodes_header_magic, nodes_header_version,
           nodes_header_identity, nodes_header_stride, upper_header, file_instead_of_folder]


@pytest.fixture(scope="module")
def damaged_cluster(prepared_template):
    from cluster import Cluster
    cluster = Cluster(prepared_template)
    try:
        cluster.start()
        rows = vectors.clustered(ROWS, 8, seed=22)
        connection = cluster.connect()
        # One index per kind of damage, all damaged in one restart.
        for damage in DAMAGES:
            vectors.make_table(connection, rows[:300], damage.__name__)
            vectors.copy_in(connection, damage.__name__, 300, rows[300:])
            connection.execute(f"DELETE FROM {damage.__name__} WHERE id % 8 = 7")
        vectors.make_table(connection, rows[:10], "other")
        # Not the first: it takes the others with it.
        targets = [(damage, cluster.folder_of(f"{damage.__name__}_v_idx")) for damage in DAMAGES[1:]]
        other = cluster.folder_of("other_v_idx")
        cluster.stop()
        for damage, folder in targets:
            damage(folder, other)
        cluster.start()
        yield cluster, rows
    finally:
        cluster.destroy()


@pytest.mark.parametrize("damage", DAMAGES[1:], ids=lambda damage: damage.__name__)
def test_repair_from_the_table(damaged_cluster, damage):
    cluster, rows = damaged_cluster
    table = damage.__name__
    index = f"{table}_v_idx"
    connection = cluster.connect()
    assert answers.check_complete(connection, table, rows[0]) == 350
    answers.check_own_neighbours(connection, table)
    state = answers.index_state(connection, index)
    # A copy has all its rows, only nobody can know. What goes are entries of rows that are dead.
    wanted = "reconcile" if damage is copied_folder else "rebuild"
    assert (state["opened_by"], state["repaired"]) == (wanted, 1), state
    if damage is copied_folder:
        assert (state["repair_added"], state["repair_removed"]) == (0, 50), state
    vectors.copy_in(connection, table, 1000, rows[:50] + 0.01)
    connection.execute(f"VACUUM {table}")
    assert answers.check_complete(connection, table, rows[0]) == 400


def test_lost_dvec_folder(cluster):
    rows = vectors.clustered(ROWS, 8, seed=23)
    vectors.make_table(cluster.connect(), rows)
    folder = cluster.folder_of("items_v_idx")
    cluster.stop()
    lose_everything(folder, None)
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == ROWS
    assert answers.index_state(connection, "items_v_idx")["opened_by"] == "rebuild"


@pytest.mark.parametrize("offset", [0, 4, 8, 12, 20, 24, 40])
def test_damaged_log_record(make_cluster, offset):
    """A flipped bit in a record with valid ones behind it."""
    cluster = make_cluster(dvec__checkpoint_timeout="1h")
    rows = vectors.clustered(100, 8, seed=24)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:50])
    vectors.copy_in(connection, "items", 50, rows[50:])
    folder = cluster.folder_of("items_v_idx")
    cluster.kill()
    [segment] = [path for path in folder.iterdir() if path.name.startswith("log.")]
    record = 32 + 8 + 32  # header, head of the payload, 8 floats
    flip(segment, 10 * record + offset)
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == 100
    state = answers.index_state(connection, "items_v_idx")
    assert state["opened_by"] == "reconcile", state
    assert "damaged log record" in cluster.log_text(), cluster.log_tail()
    vectors.copy_in(connection, "items", 200, rows + 0.1)
    cluster.kill()
    cluster.start()
    assert answers.check_complete(cluster.connect(), "items", rows[0]) == 200


def test_open_transactions_during_a_rebuild(cluster):
    """A rebuild reads the rows of transactions in progress. They are there exactly once in the end, and
    not at all when their transaction aborts, whatever comes in its later life."""
    rows = vectors.clustered(700, 8, seed=25)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:100])
    folder = cluster.folder_of("items_v_idx")
    cluster.stop()
    shutil.rmtree(folder)
    cluster.start()

    # These two have transaction ids, and one has rows, before the rebuild.
    early, idle = cluster.connect(autocommit=False), cluster.connect(autocommit=False)
    aborting = cluster.connect(autocommit=False)
    for session in (early, idle, aborting):
        session.execute("SELECT pg_current_xact_id()")
    idle.execute("SELECT 1")

    # The first insert rebuilds, with its own row in the table already.
    vectors.copy_in(early, "items", 1000, rows[100:150])
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == 100
    assert answers.index_state(connection, "items_v_idx")["opened_by"] == "rebuild"
    vectors.copy_in(early, "items", 1100, rows[150:200])
    vectors.copy_in(idle, "items", 1200, rows[200:250])
    vectors.copy_in(aborting, "items", 1300, rows[250:300])
    aborting.rollback()
    connection.execute("VACUUM items")
    vectors.copy_in(idle, "items", 1400, rows[300:350])
    vectors.copy_in(connection, "items", 1500, rows[350:400])
    early.commit()
    idle.commit()
    # 100, then 50 + 50 of `early`, 50 + 50 of `idle`, and 50.
    assert answers.check_complete(connection, "items", rows[0]) == 350
    answers.check_own_neighbours(connection, "items")


def test_rows_of_waiting_inserts_during_a_rebuild(cluster):
    """Many sessions meet an index that has to be rebuilt, each with a row in the table already."""
    rows = vectors.clustered(5000, 16, seed=26)
    vectors.make_table(cluster.connect(), rows[:4000])
    folder = cluster.folder_of("items_v_idx")
    cluster.stop()
    shutil.rmtree(folder)
    cluster.start()
    sessions = [cluster.connect() for _ in range(10)]
    barrier = threading.Barrier(len(sessions))
    failures = []

    def insert(lane):
        try:
            barrier.wait()
            for i in range(20):
                sessions[lane].execute(
                    "INSERT INTO items VALUES (%s, %s)",
                    [10000 + lane * 100 + i, vectors.text(rows[4000 + lane * 20 + i])])
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=insert, args=[lane]) for lane in range(len(sessions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures, failures
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == 4200
    assert cluster.log_text().count("rebuilding the files of index") == 1
    wait_until_linked(connection)
    answers.check_own_neighbours(connection, "items")


def test_rebuild_with_expression_index_runs_as_the_owner(cluster):
    """Who rebuilds runs the index's expressions: with the rights of the table's owner, not with his."""
    connection = cluster.connect()
    connection.execute("CREATE ROLE owner; GRANT CREATE ON SCHEMA public TO owner")
    connection.execute("SET ROLE owner")
    connection.execute("""
        CREATE FUNCTION embed(x integer) RETURNS vector IMMUTABLE LANGUAGE plpgsql AS
            $$BEGIN RETURN ARRAY[x, 1, CASE current_user WHEN 'owner' THEN 0 ELSE 1000 END]::vector; END$$;
        CREATE TABLE texts (id integer);
        INSERT INTO texts SELECT generate_series(1, 50);
        CREATE INDEX texts_idx ON texts USING hnsw ((embed(id)::vector(3)) vector_l2_ops)""")
    folder = cluster.folder_of("texts_idx")
    cluster.stop()
    shutil.rmtree(folder)
    cluster.start()
    connection = cluster.connect()
    answers.force_index(connection)
    hits = connection.execute("SELECT id FROM texts ORDER BY embed(id)::vector(3) <-> '[0,1,0]' "
                              "LIMIT 3").fetchall()
    assert [id for [id] in hits] == [1, 2, 3], hits
    assert connection.execute("SELECT current_user").fetchall() == [("postgres",)]
