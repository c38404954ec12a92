"""Rows with equal vectors, as every real table has them: all of them are found, and they keep nobody else
from being found, whatever became of them."""

import random

import numpy as np
import pytest

import answers
import vectors
from cluster import wait_until
from test_170_compaction import folder_bytes
from worker import wait_until_linked

DIMENSIONS = 16
SINGLES = 1500


def repeated(kinds, copies, seed):
    """Vectors of which the first SINGLES are drawn once and the others `copies` times each, shuffled; and for
    each whether it is one of the first."""
    source = np.random.default_rng(seed)
    singles = source.normal(size=(SINGLES, DIMENSIONS)).astype(np.float32)
    copied = np.repeat(source.normal(size=(kinds, DIMENSIONS)).astype(np.float32), copies, axis=0)
    order = source.permutation(SINGLES + kinds * copies)
    return np.concatenate([singles, copied])[order], order < SINGLES


def check_own(connection, ids, operator="<->", table="items"):
    """Each of these rows is found by its own vector, which no other row has."""
    def found_by(row):
        value = connection.execute(f"SELECT v::text FROM {table} WHERE id = %s", [int(row)]).fetchone()[0]
        return connection.execute(f"SELECT id FROM {table} ORDER BY v {operator} %s LIMIT 1", [value]).fetchone()[0]

    allowed = len(ids) / 1000
    missed = answers.missed_in_the_end(
        lambda: [(int(row), found) for row in ids if (found := found_by(row)) != row], allowed)
    assert len(missed) <= allowed, f"not found by their own vector: {missed}"


def check_copies(connection, row, operator="<->", table="items"):
    """Every row with the vector of this one comes first."""
    value = connection.execute(f"SELECT v::text FROM {table} WHERE id = %s", [int(row)]).fetchone()[0]
    with connection.transaction():
        connection.execute("SET LOCAL enable_indexscan = off")
        connection.execute("SET LOCAL enable_seqscan = on")
        wanted = {found[0] for found in connection.execute(
            f"SELECT id FROM {table} WHERE v::text = %s", [value]).fetchall()}
    found = connection.execute(f"SELECT id FROM {table} ORDER BY v {operator} %s LIMIT %s",
                               [value, len(wanted)]).fetchall()
    assert {one[0] for one in found} == wanted and len(found) == len(wanted)


def indexed_in_every_way(connection, classes):
    """Of the vectors in table `items` makes a table for each type of `classes`, and of that one index after the
    other, by operator class; yields the table, its type and the class's operator while each is there."""
    for element, operators in classes.items():
        name = "of_" + element.split("(")[0]
        connection.execute(f"CREATE TABLE {name} AS SELECT id, v::{element} AS v FROM items")
        for opclass, operator in operators.items():
            connection.execute(f"CREATE INDEX {name}_idx ON {name} USING hnsw (v {opclass})")
            yield name, element, operator
            connection.execute(f"DROP INDEX {name}_idx")


@pytest.mark.parametrize("kinds, copies", [(100, 33), (1, 3000), (20, 150)])
@pytest.mark.parametrize("when", ["built", "inserted"])
def test_single_rows_among_copies(make_cluster, kinds, copies, when):
    connection = make_cluster().connect()
    rows, single = repeated(kinds, copies, seed=kinds)
    if when == "built":
        vectors.make_table(connection, rows)
    else:
        vectors.make_table(connection, rows[:100])
        vectors.copy_in(connection, "items", 100, rows[100:])
        wait_until_linked(connection)
    answers.force_index(connection, ef_search=200)
    check_own(connection, np.flatnonzero(single)[::5])
    for row in np.flatnonzero(~single)[:3]:
        check_copies(connection, row)
    assert answers.check_complete(connection, "items", rows[0]) == len(rows)
    assert connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == []


@pytest.mark.parametrize("when", ["built", "inserted"])
def test_far_copies_beside_a_dense_line(make_cluster, when):
    """All rows of the line are nearer to a far one than the other far ones are. The usual width is enough."""
    connection = make_cluster().connect()
    source = np.random.default_rng(4)
    far = np.repeat(100 * source.normal(size=(40, DIMENSIONS)), 30, axis=0)
    line = np.zeros((300, DIMENSIONS))
    line[:, 0] = np.arange(300) / 10
    rows = np.concatenate([far, line]).astype(np.float32)
    vectors.make_table(connection, rows if when == "built" else rows[:1])
    if when == "inserted":
        vectors.copy_in(connection, "items", 1, rows[1:])
        wait_until_linked(connection)
    answers.force_index(connection, ef_search=40)

    def missed():
        return [row for row in range(0, len(far), 30)
                if connection.execute("SELECT id FROM items ORDER BY v <-> %s LIMIT 1", [vectors.text(rows[row])]).fetchone()[0]
                // 30 != row // 30]
    if when == "built":
        assert missed() == []
    wait_until(lambda: missed() == [], "the worker has looked for them", 60)
    for row in range(0, len(far), 30):
        check_copies(connection, row)
    check_own(connection, range(len(far), len(far) + 300, 10))


def test_every_type_and_metric(make_cluster):
    connection = make_cluster().connect()
    connection.execute("SELECT setseed(0.5)")
    rows, single = repeated(20, 50, seed=3)
    connection.execute("CREATE TABLE items (id integer, v vector(16))")
    vectors.copy_in(connection, "items", 0, rows)
    answers.force_index(connection, ef_search=200)
    for name, element, operator in indexed_in_every_way(connection, {
            "vector(16)": {"vector_ip_ops": "<#>", "vector_cosine_ops": "<=>", "vector_l1_ops": "<+>"},
            "halfvec(16)": {"halfvec_l2_ops": "<->", "halfvec_cosine_ops": "<=>"},
            "sparsevec(16)": {"sparsevec_l2_ops": "<->", "sparsevec_cosine_ops": "<=>"}}):
        if operator != "<#>":
            check_own(connection, np.flatnonzero(single)[::15], operator, name)
            check_copies(connection, np.flatnonzero(~single)[0], operator, name)
        if element.startswith("vector"):
            assert answers.check_complete(connection, name, rows[0], operator) == len(rows)


@pytest.mark.parametrize("opclass, operator", [("bit_hamming_ops", "<~>"), ("bit_jaccard_ops", "<%%>")])
def test_pictures_most_of_which_are_blank(make_cluster, opclass, operator):
    connection = make_cluster().connect()
    source = random.Random(5)
    hashes = [f"{source.getrandbits(64):064b}" for _ in range(600)]
    # Blank but for a bit, or altogether.
    hashes += [f"{1 << source.randrange(64) if source.random() < 0.5 else 0:064b}" for _ in range(3000)]
    connection.execute("CREATE TABLE items (id integer, v bit(64))")
    order = list(range(len(hashes)))
    source.shuffle(order)
    with connection.cursor().copy("COPY items FROM STDIN") as copy:
        for row in order:
            copy.write_row([row, hashes[row]])
    connection.execute(f"CREATE INDEX ON items USING hnsw (v {opclass})")
    answers.force_index(connection, ef_search=200)
    check_own(connection, range(0, 600, 3), operator)
    if operator == "<~>":
        check_copies(connection, 600, operator)
        check_copies(connection, 601, operator)


def test_copies_that_are_deleted_leave_nothing_behind(make_cluster):
    cluster = make_cluster(dvec__compact_threshold="0")
    connection = cluster.connect()
    rows, single = repeated(10, 400, seed=8)
    vectors.make_table(connection, rows)
    copies = [int(row) for row in np.flatnonzero(~single)]
    answers.force_index(connection, ef_search=200)
    connection.execute("DELETE FROM items WHERE id = ANY(%s)", [copies])
    connection.execute("VACUUM items")
    check_own(connection, np.flatnonzero(single)[::4])
    # And some come again.
    vectors.copy_in(connection, "items", 100000, np.repeat(rows[copies[:1]], 50, axis=0))
    wait_until_linked(connection)
    check_copies(connection, 100000)
    assert connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == []


def test_four_updates_of_another_column(make_cluster):
    cluster = make_cluster(dvec__checkpoint_timeout="1s")
    connection = cluster.connect()
    rows = vectors.clustered(8000, 32, seed=9)
    vectors.make_table(connection, rows)
    connection.execute("ALTER TABLE items ADD visits integer DEFAULT 0")
    connection.execute("CREATE INDEX ON items (visits)")  # so that no update is heap-only
    folder = cluster.folder_of("items_v_idx")
    fresh = folder_bytes(folder)
    for _ in range(4):
        connection.execute("UPDATE items SET visits = visits + 1")
        connection.execute("VACUUM items")
    wait_until(lambda: folder_bytes(folder) <= 2 * fresh and
               answers.index_state(connection, "items_v_idx")["tail"] == 0, "a small index", 60)
    answers.force_index(connection, ef_search=100)
    check_own(connection, range(0, 8000, 80))
    assert answers.check_complete(connection, "items", rows[0]) == 8000
    assert connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == []


@pytest.mark.parametrize("loss", ["processes", "power"])
def test_after_a_crash(make_cluster, loss):
    cluster = make_cluster(start=False, faults=loss == "power")
    if loss == "power":
        cluster.remember_disk()
    cluster.start()
    connection = cluster.connect()
    rows, single = repeated(20, 100, seed=13)
    vectors.make_table(connection, rows[:1000])
    vectors.copy_in(connection, "items", 1000, rows[1000:])
    wait_until_linked(connection)
    connection.execute("DELETE FROM items WHERE id % 7 = 3")
    connection.execute("VACUUM items")
    if loss == "power":
        cluster.power_loss(seed=5)
    else:
        cluster.kill()
    cluster.start()
    connection = cluster.connect()
    answers.force_index(connection, ef_search=200)
    there = [row for row in range(len(rows)) if row % 7 != 3]
    assert answers.check_complete(connection, "items", rows[0]) == len(there)
    wait_until_linked(connection)
    check_own(connection, [row for row in there if single[row]][::5])
    check_copies(connection, [row for row in there if not single[row]][0])
    wait_until(lambda: connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == [],
               "a sound index")


def test_bits_that_flip_in_links_bring_nothing_down(make_cluster):
    cluster = make_cluster()
    connection = cluster.connect()
    rows, single = repeated(10, 100, seed=17)
    vectors.make_table(connection, rows)
    answers.force_index(connection)
    worker = cluster.worker_pid()
    source = random.Random(19)
    nodes = cluster.folder_of("items_v_idx") / "nodes.1"
    stride, header, words = 256, 4096, range(16, 24 + 4 * 33)  # twins, the count and the links of a slot
    for _ in range(6):
        with open(nodes, "r+b") as file:
            for _ in range(400):
                place = header + source.randrange(len(rows)) * stride + source.choice(words)
                file.seek(place)
                byte = file.read(1)[0]
                file.seek(place)
                file.write(bytes([byte ^ 1 << source.randrange(8)]))
        first = connection.execute("SELECT max(id) + 1 FROM items").fetchone()[0]
        near = rows[source.sample(range(len(rows)), 100)]
        near[::2, 0] += np.float32(0.001)
        vectors.copy_in(connection, "items", first, near)
        wait_until_linked(connection)
        for row in near[:5]:
            answers.nearest(connection, "items", row, 20)
    assert cluster.worker_pid() == worker, cluster.log_tail()
    count = connection.execute("SELECT count(*) FROM items").fetchone()[0]
    assert answers.check_complete(connection, "items", rows[0]) == count
    # Whatever is found is mended by the worker.
    wait_until(lambda: connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == [],
               "a sound index", 60)
    check_own(connection, np.flatnonzero(single)[::10])
    assert cluster.worker_pid() == worker, cluster.log_tail()
