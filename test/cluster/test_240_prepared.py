"""Prepared transactions outlive the server and its sidecar files. Whichever way they are decided after
an index was made good from its table, it has their rows once, or not at all."""

import shutil

import pytest

import answers
import vectors

DIMENSIONS = 8


def lose_nothing(cluster, folder):
    cluster.kill()


def lose_power(cluster, folder):
    cluster.power_loss(5, 0.0)


def lose_folder(cluster, folder):
    cluster.stop()
    shutil.rmtree(folder)


@pytest.mark.parametrize("outcome", ["COMMIT", "ROLLBACK"])
@pytest.mark.parametrize("lose", [lose_nothing, lose_power, lose_folder])
def test_decided_after_the_crash(make_cluster, lose, outcome):
    cluster = make_cluster(start=False, faults=True)
    cluster.remember_disk()
    cluster.start()
    rows = vectors.clustered(500, DIMENSIONS, seed=80)
    connection = cluster.connect()
    connection.execute(f"CREATE TABLE items (id integer, v vector({DIMENSIONS}), note integer) "
                       "WITH (fillfactor = 50)")
    vectors.copy_in(connection, "items", 0, rows[:200])
    connection.execute("CREATE INDEX ON items USING hnsw (v vector_l2_ops)")
    before = set(answers.ids_in_table(connection, "items"))
    for name, change in (("insert", "INSERT INTO items SELECT id + 1000, v FROM items WHERE id < 20"),
                         ("delete", "DELETE FROM items WHERE id BETWEEN 20 AND 39"),
                         ("move", "UPDATE items SET v = v + v, id = id + 2000 WHERE id BETWEEN 40 AND 59"),
                         # New versions on the same page, without entries of their own.
                         ("hot", "UPDATE items SET note = 1 WHERE id BETWEEN 60 AND 79"),
                         ("hot again", "UPDATE items SET note = 2 WHERE id BETWEEN 80 AND 99")):
        connection.execute("BEGIN")
        connection.execute(change)
        if name == "hot again":
            connection.execute("UPDATE items SET note = note + 1 WHERE note = 2")
        connection.execute(f"PREPARE TRANSACTION '{name}'")
    folder = cluster.folder_of("items_v_idx")
    lose(cluster, folder)
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == 200
    vectors.copy_in(connection, "items", 5000, rows[300:310])
    for name in ("insert", "delete", "move", "hot", "hot again"):
        connection.execute(f"{outcome} PREPARED '{name}'")
        answers.check_complete(connection, "items", rows[0])
    after = before | set(range(5000, 5010))
    if outcome == "COMMIT":
        after -= set(range(20, 60))
        after |= set(range(1000, 1020)) | set(range(2040, 2060))
    assert sorted(answers.ids_by_index(connection, "items", rows[0])) == sorted(after)
    connection.execute("VACUUM (INDEX_CLEANUP ON) items")
    vectors.copy_in(connection, "items", 6000, rows[310:400])
    assert answers.check_complete(connection, "items", rows[0]) == len(after) + 90
