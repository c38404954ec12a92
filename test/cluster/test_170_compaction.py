"""Deleted entries are compacted away in the background: disk stays bounded, recall stays, and nobody
who inserts, searches or vacuums meanwhile loses a row."""

import threading

import numpy as np
import psycopg

import answers
import vectors
from cluster import wait_until
from worker import vacuum_and_compact, wait_until_linked

DIMENSIONS = 16


def folder_bytes(folder):
    return sum(path.stat().st_blocks * 512 for path in folder.iterdir()
               if path.name.startswith(("nodes", "upper")))


def recall(connection, rows, ids, queries):
    """Share of the exact ten nearest that the index returns."""
    right = 0
    for query in queries:
        exact = np.sort(vectors.distances("l2", rows, query))[9]
        found = answers.nearest(connection, "items", query, 10)
        right += sum(distance <= exact + 1e-6 for _, distance in found)
        assert {row[0] for row in found} <= set(ids)
    return right / (10 * len(queries))


def wait_for_compactions(connection, more_than):
    return wait_until(lambda: (lambda n: n > more_than and n)(
        answers.index_state(connection, "items_v_idx")["compactions"]), "a compaction", 60)


def test_every_row_updated_ten_times_over(make_cluster):
    cluster = make_cluster(dvec__checkpoint_timeout="1s")
    connection = cluster.connect()
    rows = vectors.clustered(3000, DIMENSIONS, seed=70)
    vectors.make_table(connection, rows)
    folder = cluster.folder_of("items_v_idx")
    first = folder_bytes(folder)
    for again in range(10):
        rows = vectors.clustered(3000, DIMENSIONS, seed=71 + again)
        connection.execute("CREATE TEMP TABLE fresh (id integer, v vector(16))")
        vectors.copy_in(connection, "fresh", 0, rows)
        connection.execute("UPDATE items SET v = fresh.v FROM fresh WHERE fresh.id = items.id")
        connection.execute("DROP TABLE fresh")
        before = answers.index_state(connection, "items_v_idx")["compactions"]
        vacuum_and_compact(cluster, connection, "items")
        wait_for_compactions(connection, before)
        assert folder_bytes(folder) <= 3 * first + (4 << 20), again
    state = answers.index_state(connection, "items_v_idx")
    assert state["nodes"] == 3000 and state["deleted"] == 0, state
    assert answers.check_complete(connection, "items", rows[0]) == 3000
    wait_until_linked(connection)
    answers.force_index(connection, ef_search=40)
    share = recall(connection, rows, range(3000), vectors.clustered(40, DIMENSIONS, seed=90))
    assert share >= 0.95, share
    assert connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == []

    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == 3000
    assert connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == []


def test_beside_inserts_searches_and_vacuums(make_cluster):
    cluster = make_cluster(dvec__compact_threshold="5")
    connection = cluster.connect()
    kept = vectors.clustered(500, DIMENSIONS, seed=100)
    vectors.make_table(connection, kept)
    stop = threading.Event()
    errors = []

    def insert(lane):
        try:
            session = cluster.connect()
            first = 10_000 * (lane + 1)
            for batch in range(40):
                rows = vectors.clustered(50, DIMENSIONS, seed=1000 * lane + batch)
                vectors.copy_in(session, "items", first + 50 * batch, rows)
                if batch % 2:
                    session.execute("DELETE FROM items WHERE id BETWEEN %s AND %s",
                                    [first + 50 * batch - 50, first + 50 * batch - 11])
        except psycopg.Error as error:
            errors.append(error)

    def vacuum():
        session = cluster.connect()
        while not stop.is_set():
            session.execute("VACUUM items")

    def search():
        try:
            session = cluster.connect()
            answers.force_index(session)
            while not stop.is_set():
                found = answers.ids_by_index(session, "items", kept[0])
                assert len(found) == len(set(found)), "a row twice"
                assert set(range(500)) <= set(found), "a row is missing"
        except (AssertionError, psycopg.Error) as error:
            errors.append(error)

    inserters = [threading.Thread(target=insert, args=[lane]) for lane in range(2)]
    others = [threading.Thread(target=vacuum), threading.Thread(target=search)]
    for thread in inserters + others:
        thread.start()
    for thread in inserters:
        thread.join()
    wait_for_compactions(connection, 0)
    stop.set()
    for thread in others:
        thread.join()
    assert not errors, errors[0]
    assert answers.check_complete(connection, "items", kept[0]) == 500 + 2 * 20 * 60
    assert connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == []


def test_a_scan_under_way_finishes_in_the_old_files(cluster):
    connection = cluster.connect()
    rows = vectors.clustered(2000, DIMENSIONS, seed=110)
    vectors.make_table(connection, rows)
    reader = cluster.connect(autocommit=False)
    answers.force_index(reader)
    reader.execute("DECLARE nearest CURSOR FOR SELECT id FROM items ORDER BY v <-> "
                   f"'{vectors.text(rows[0])}'")
    seen = [row[0] for row in reader.execute("FETCH 100 FROM nearest").fetchall()]
    # Rows the cursor still sees are not removable; these never were visible to it.
    vectors.copy_in(connection, "items", 5000, vectors.clustered(2000, DIMENSIONS, seed=111))
    aborted = cluster.connect(autocommit=False)
    vectors.copy_in(aborted, "items", 9000, vectors.clustered(2000, DIMENSIONS, seed=112))
    aborted.rollback()
    connection.execute("VACUUM items")
    wait_for_compactions(connection, 0)
    seen += [row[0] for row in reader.execute("FETCH ALL FROM nearest").fetchall()]
    assert sorted(seen) == list(range(2000))
    reader.rollback()
    assert answers.check_complete(connection, "items", rows[0]) == 4000


def test_zero_turns_it_off(make_cluster):
    cluster = make_cluster(dvec__compact_threshold="0")
    connection = cluster.connect()
    vectors.make_table(connection, vectors.clustered(1000, DIMENSIONS, seed=120))
    connection.execute("DELETE FROM items WHERE id % 2 = 0")
    connection.execute("VACUUM items")
    # What follows keeps the worker busy for more than a round.
    vectors.copy_in(connection, "items", 2000, vectors.clustered(3000, DIMENSIONS, seed=121))
    wait_until_linked(connection)
    state = answers.index_state(connection, "items_v_idx")
    assert state["compactions"] == 0 and state["deleted"] == 500, state
