"""Clumps of rows whose vectors are nearly equal, as the same text has them when another processor embeds it:
they keep nobody else from being found, whenever they came, and each comes at its own distance."""

import random

import numpy as np
import pytest

import answers
import vectors
from cluster import wait_until
from test_250_repeated_rows import check_own, indexed_in_every_way
from worker import wait_until_linked

DIMENSIONS = 16
OTHERS = 2000
ORDERS = ["first", "mixed", "last"]


def clumps(kinds, copies, noise, order, seed):
    """OTHERS vectors, the same and in the same order for a seed whatever the clumps, and `kinds` clumps of
    `copies` near copies; and for each whether it is one of the others."""
    source = np.random.default_rng(seed)
    others = source.normal(size=(OTHERS, DIMENSIONS)).astype(np.float32)
    copied = np.repeat(source.normal(size=(kinds, DIMENSIONS)), copies, axis=0)
    copied = (copied + noise * source.normal(size=copied.shape)).astype(np.float32)
    is_other = np.repeat([False, True], [len(copied), OTHERS])
    if order == "last":
        is_other = is_other[::-1]
    elif order == "mixed":
        source.shuffle(is_other)
    rows = np.empty((len(is_other), DIMENSIONS), np.float32)
    rows[is_other] = others
    rows[~is_other] = copied
    return rows, is_other


def recall(connection, rows, table="items"):
    """Of the ten nearest to each of 100 queries, the share found."""
    found = 0
    for query in np.random.default_rng(77).normal(size=(50, DIMENSIONS)).astype(np.float32):
        tenth = np.partition(vectors.distances("l2", rows, query), 9)[9]
        found += sum(distance[0] <= tenth * (1 + 1e-6) for distance in connection.execute(
            f"SELECT v <-> %s::vector FROM {table} ORDER BY v <-> %s::vector LIMIT 10",
            [vectors.text(query)] * 2))
    return found / 500


def fill(connection, rows, when, table="items"):
    if when == "built":
        vectors.make_table(connection, rows, table)
    else:
        vectors.make_table(connection, rows[:50], table)
        vectors.copy_in(connection, table, 50, rows[50:])
        wait_until_linked(connection, f"{table}_v_idx")


@pytest.mark.parametrize("kinds, copies, noise, when", [(40, 100, 1e-2, "built"), (1, 3000, 1e-4, "inserted")])
@pytest.mark.parametrize("order", ORDERS)
def test_others_among_clumps(make_cluster, kinds, copies, noise, when, order):
    connection = make_cluster().connect()
    plain, _ = clumps(0, 0, 0, order, seed=1)
    fill(connection, plain, when, "plain")
    rows, is_other = clumps(kinds, copies, noise, order, seed=1)
    fill(connection, rows, when)
    answers.force_index(connection, ef_search=200)
    check_own(connection, np.flatnonzero(is_other)[::10])
    check_own(connection, np.flatnonzero(~is_other)[::97])
    assert recall(connection, rows) >= recall(connection, plain, "plain") - 0.005
    assert answers.check_complete(connection, "items", rows[0]) == len(rows)
    assert connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == []


def test_every_type_and_metric(make_cluster):
    connection = make_cluster().connect()
    rows, is_other = clumps(20, 60, 3e-3, "first", seed=3)
    connection.execute("CREATE TABLE items (id integer, v vector(16))")
    vectors.copy_in(connection, "items", 0, rows)
    answers.force_index(connection, ef_search=200)
    for name, element, operator in indexed_in_every_way(connection, {
            "vector(16)": {"vector_ip_ops": "<#>", "vector_cosine_ops": "<=>", "vector_l1_ops": "<+>"},
            "halfvec(16)": {"halfvec_l2_ops": "<->", "halfvec_cosine_ops": "<=>"},
            "sparsevec(16)": {"sparsevec_l2_ops": "<->", "sparsevec_l1_ops": "<+>"}}):
        if operator != "<#>":
            check_own(connection, np.flatnonzero(is_other)[::25], operator, name)
        if element.startswith("vector"):
            assert answers.check_complete(connection, name, rows[0], operator) == len(rows)


@pytest.mark.parametrize("order", ORDERS)
def test_bits_one_apart(make_cluster, order):
    connection = make_cluster().connect()
    source = random.Random(7)
    pictures = [source.getrandbits(64) for _ in range(300)]
    blanks = [1 << source.randrange(64) if source.random() < 0.5 else 0 for _ in range(2000)]
    hashes = blanks + pictures if order == "first" else pictures + blanks
    if order == "mixed":
        source.shuffle(hashes)
    connection.execute("CREATE TABLE items (id integer, v bit(64))")
    with connection.cursor().copy("COPY items FROM STDIN") as copy:
        for row, value in enumerate(hashes):
            copy.write_row([row, f"{value:064b}"])
    connection.execute("CREATE INDEX items_v_idx ON items USING hnsw (v bit_hamming_ops)")
    answers.force_index(connection, ef_search=40)
    check_own(connection, [hashes.index(picture) for picture in pictures[::2]], "<~>")
    assert connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == []


@pytest.mark.parametrize("loss", ["processes", "power"])
def test_after_deletes_and_a_crash(make_cluster, loss):
    cluster = make_cluster(start=False, faults=loss == "power", dvec__compact_threshold="0")
    if loss == "power":
        cluster.remember_disk()
    cluster.start()
    connection = cluster.connect()
    rows, is_other = clumps(20, 100, 1e-3, "first", seed=13)
    fill(connection, rows, "inserted")
    connection.execute("DELETE FROM items WHERE id % 7 = 3 OR id < 150")
    connection.execute("VACUUM items")
    answers.force_index(connection, ef_search=200)
    there = [row for row in range(150, len(rows)) if row % 7 != 3]
    others = [row for row in there if is_other[row]]
    check_own(connection, others[::10])
    if loss == "power":
        cluster.power_loss(seed=5)
    else:
        cluster.kill()
    cluster.start()
    connection = cluster.connect()
    answers.force_index(connection, ef_search=200)
    assert answers.check_complete(connection, "items", rows[0]) == len(there)
    vectors.copy_in(connection, "items", len(rows), rows[:300])
    wait_until_linked(connection)
    check_own(connection, others[::10])
    assert answers.check_complete(connection, "items", rows[0]) == len(there) + 300
    wait_until(lambda: connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == [],
               "a sound index")
