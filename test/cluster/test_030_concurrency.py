"""Sessions that insert, search, update, delete and vacuum at the same time."""

import threading
import time

import numpy as np

import answers
import vectors

DIMENSIONS = 24


class Crew:
    """Runs functions in threads and raises what went wrong in one of them."""

    def __init__(self):
        self.threads = []
        self.failures = []
        self.stop = threading.Event()

    def run(self, function, *arguments):
        def body():
            try:
                function(*arguments)
            except BaseException as failure:  # reported by join()
                self.failures.append((function.__name__, arguments[-1:], failure))
                self.stop.set()

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        self.threads.append(thread)
        return thread

    def join(self, seconds=120):
        deadline = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            assert not thread.is_alive(), "a session hangs"
        if self.failures:
            name, arguments, failure = self.failures[0]
            raise AssertionError(f"{len(self.failures)} sessions failed, first {name}{arguments}: "
                                 f"{failure!r}") from failure


def insert_rows(cluster, rows, first_id, batch=7):
    connection = cluster.connect()
    for begin in range(0, len(rows), batch):
        piece = rows[begin:begin + batch]
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany("INSERT INTO items VALUES (%s, %s)",
                               [(first_id + begin + i, vectors.text(v)) for i, v in enumerate(piece)])


def search_until(cluster, crew, seed):
    """Whatever is going on, no row comes twice, and the first answers come in order. (When all rows are
    asked for, the few that the graph search had missed come last.)"""
    connection = cluster.connect()
    answers.force_index(connection, ef_search=40)
    random = np.random.default_rng(seed)
    rounds = 0
    while not crew.stop.is_set():
        query = random.normal(size=DIMENSIONS).astype(np.float32)
        limit = int(random.choice([1, 10, 200]))
        hits = answers.nearest(connection, "items", query, limit)
        ids = [id for id, _ in hits]
        assert len(set(ids)) == len(ids), f"a row came twice among {sorted(ids)}"
        told = np.array([distance for _, distance in hits])
        assert limit > 10 or np.all(np.diff(told) >= -1e-5), f"not in order: {told}"
        rounds += 1
    assert rounds > 0


def test_inserting_and_searching(cluster):
    rows = vectors.clustered(4200, DIMENSIONS, seed=6)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:200])
    inserters, searchers = Crew(), Crew()
    for worker in range(4):
        first = 200 + 1000 * worker
        inserters.run(insert_rows, cluster, rows[first:first + 1000], first)
        searchers.run(search_until, cluster, searchers, worker)
    inserters.join()
    searchers.stop.set()
    searchers.join()
    assert answers.check_complete(connection, "items", rows[0]) == 4200
    answers.check_own_neighbours(connection, "items")


def change_rows(cluster, crew, rows, seed):
    """Updates and deletes rows of its own quarter, and rolls some of it back."""
    connection = cluster.connect()
    random = np.random.default_rng(seed)
    for step in range(150):
        if crew.stop.is_set():
            return
        ids = [int(4 * i + seed % 4) for i in random.integers(len(rows) // 4, size=4)]
        connection.execute("BEGIN")
        for id in ids[:2]:
            connection.execute("UPDATE items SET v = %s WHERE id = %s",
                               [vectors.text(random.normal(size=DIMENSIONS)), id])
        connection.execute("DELETE FROM items WHERE id = %s", [ids[2]])
        connection.execute("SAVEPOINT s")
        connection.execute("INSERT INTO items VALUES (%s, %s)",
                           [100000 + 1000 * seed + step,
                            vectors.text(rows[ids[3]] + 0.01 * random.normal(size=DIMENSIONS))])
        if step % 3 == 0:
            connection.execute("ROLLBACK TO s")
        connection.execute("ROLLBACK" if step % 7 == 0 else "COMMIT")


def vacuum_until(cluster, crew):
    connection = cluster.connect()
    while not crew.stop.is_set():
        connection.execute("VACUUM items")
        time.sleep(0.05)


def test_everything_at_once(cluster):
    rows = vectors.clustered(2000, DIMENSIONS, seed=7)
    connection = cluster.connect()
    vectors.make_table(connection, rows)
    changers, others = Crew(), Crew()
    for seed in range(4):
        changers.run(change_rows, cluster, changers, rows, seed)
    for seed in range(2):
        others.run(search_until, cluster, others, seed)
    others.run(vacuum_until, cluster, others)
    changers.join()
    others.stop.set()
    others.join()
    answers.check_complete(connection, "items", rows[0])
    answers.check_own_neighbours(connection, "items")
    connection.execute("VACUUM items")
    answers.check_complete(connection, "items", rows[1])
    state = answers.index_state(connection, "items_v_idx")
    assert state["deleted"] > 100 or state["compactions"] > 0, state


def insert_and_search(cluster, rows, first_id):
    connection = cluster.connect()
    answers.force_index(connection, ef_search=100)
    for i, row in enumerate(rows):
        connection.execute("INSERT INTO items VALUES (%s, %s)", [first_id + i, vectors.text(row)])
        # Its own row, whether the worker was here already or not.
        [(id, distance)] = answers.nearest(connection, "items", row, 1)
        assert (id, distance) == (first_id + i, 0), f"{first_id + i} not found but {id}, {distance}"


def test_forty_connections(cluster):
    rows = vectors.clustered(40 * 12, DIMENSIONS, seed=8)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:0])
    crew = Crew()
    for worker in range(40):
        crew.run(insert_and_search, cluster, rows[worker * 12:worker * 12 + 12], worker * 12)
    crew.join()
    assert answers.check_complete(connection, "items", rows[0]) == len(rows)


def reinsert_rows(cluster, crew, seed):
    """Makes vacuum free line pointers that are used again at once."""
    connection = cluster.connect()
    random = np.random.default_rng(100 + seed)
    for _ in range(60):
        if crew.stop.is_set():
            return
        connection.execute("DELETE FROM items WHERE id BETWEEN %s AND %s", [seed * 100, seed * 100 + 19])
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO items VALUES (%s, %s)",
                [(seed * 100 + i, vectors.text(random.normal(size=DIMENSIONS))) for i in range(20)])


def test_line_pointers_used_again(cluster):
    connection = cluster.connect()
    vectors.make_table(connection, vectors.clustered(0, DIMENSIONS, seed=1))
    crew, vacuum = Crew(), Crew()
    for seed in range(3):
        crew.run(reinsert_rows, cluster, crew, seed)
    vacuum.run(vacuum_until, cluster, vacuum)
    vacuum.run(search_until, cluster, vacuum, 1)
    crew.join()
    vacuum.stop.set()
    vacuum.join()
    connection.execute("VACUUM items")
    assert answers.check_complete(connection, "items", np.zeros(DIMENSIONS)) == 60
    [[pages]] = connection.execute("SELECT pg_relation_size('items') / 8192").fetchall()
    assert pages < 60 * 60 / 20, f"no line pointer was used again: {pages} pages"
