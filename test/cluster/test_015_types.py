"""Indexes on the types beside vector: recall, and every row after a crash and after a repair from the table,
as for vectors."""

import collections
import shutil

import numpy as np
import pytest

import answers
import vectors

ROWS = 2500
LATER = 400  # rows that come after the build
QUERIES = 20
LIMIT = 10
DIMENSIONS = 96
WORDS = 2000  # dimensions of sparse vectors


def dense_texts(count, seed):
    return [vectors.text(point) for point in vectors.clustered(count, DIMENSIONS, seed)]


def sparse_texts(count, seed):
    """Documents of 32 topics, 5 to 40 words each, with weights."""
    random = np.random.default_rng(seed)
    topics = random.dirichlet(np.full(WORDS, 0.02), size=32)
    texts = []
    for topic in random.integers(32, size=count):
        words = np.unique(random.choice(WORDS, size=random.integers(5, 41), p=topics[topic]))
        weights = random.gamma(2.0, size=len(words))
        texts.append("{" + ",".join(f"{word + 1}:{weight:.5f}" for word, weight
                                    in zip(words, weights)) + f"}}/{WORDS}")
    return texts


def bit_texts(count, seed):
    points = vectors.clustered(count, DIMENSIONS, seed)
    return ["".join("1" if x > 0 else "0" for x in point) for point in points]


Kind = collections.namedtuple("Kind", "type texts operator opclass")
KINDS = [
    Kind(f"halfvec({DIMENSIONS})", dense_texts, "<->", "halfvec_l2_ops"),
    Kind(f"halfvec({DIMENSIONS})", dense_texts, "<=>", "halfvec_cosine_ops"),
    Kind(f"sparsevec({WORDS})", sparse_texts, "<#>", "sparsevec_ip_ops"),
    Kind(f"sparsevec({WORDS})", sparse_texts, "<=>", "sparsevec_cosine_ops"),
    Kind(f"bit({DIMENSIONS})", bit_texts, "<~>", "bit_hamming_ops"),
    Kind(f"bit({DIMENSIONS})", bit_texts, "<%>", "bit_jaccard_ops"),
]


def copy_in(connection, first_id, texts):
    with connection.cursor() as cursor, cursor.copy("COPY items (id, v) FROM STDIN") as copy:
        for id, text in enumerate(texts, first_id):
            copy.write_row((id, text))


def distances(connection, kind, query, exact):
    """Of the nearest rows. Many rows may share a distance, so that ids say less."""
    operator = kind.operator.replace("%", "%%")
    statement = (f"SELECT d FROM (SELECT v {operator} %(q)s::{kind.type} AS d FROM items "
                 f"ORDER BY v {operator} %(q)s::{kind.type} LIMIT {LIMIT}) AS nearest")
    with connection.transaction():
        connection.execute(f"SET LOCAL enable_indexscan = {'off' if exact else 'on'}")
        if not exact:
            answers.check_plan(connection, statement, {"q": query})
        return np.array([row[0] for row in connection.execute(statement, {"q": query})])


def recall(connection, kind, queries):
    found = 0
    for query in queries:
        exact = distances(connection, kind, query, exact=True)
        told = distances(connection, kind, query, exact=False)
        assert len(told) == LIMIT
        assert np.all(np.diff(told) >= 0), f"not in order: {told}"
        found += np.count_nonzero(told <= exact.max() + 1e-6 * abs(exact.max()) + 1e-9)
    print(f"recall@{LIMIT} by {kind.opclass}: {found / (LIMIT * len(queries)):.4f}")
    return found / (LIMIT * len(queries))


def check_complete(connection, kind, query):
    answers.check_complete(connection, "items", query, kind.operator, kind.type)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.opclass)
def test_recall_crash_and_repair(cluster, kind):
    texts = kind.texts(ROWS + LATER + QUERIES, seed=15)
    queries = texts[ROWS + LATER:]
    connection = cluster.connect()
    connection.execute(f"CREATE TABLE items (id integer, v {kind.type})")
    copy_in(connection, 0, texts[:ROWS])
    connection.execute(f"CREATE INDEX items_v_idx ON items USING hnsw (v {kind.opclass})")
    answers.force_index(connection)
    assert recall(connection, kind, queries) >= 0.97

    copy_in(connection, ROWS, texts[ROWS:ROWS + LATER])
    connection.execute("DELETE FROM items WHERE id % 7 = 0")
    check_complete(connection, kind, queries[0])

    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    answers.force_index(connection)
    check_complete(connection, kind, queries[1])
    state = answers.index_state(connection, "items_v_idx")
    assert state["opened_by"] == "replay" and state["damaged_records"] == 0, state
    assert recall(connection, kind, queries) >= 0.97
    connection.execute("VACUUM items")
    check_complete(connection, kind, queries[2])

    # Nobody can know that a copy has all rows, so each is compared with the table's, byte for byte.
    folder = cluster.folder_of("items_v_idx")
    cluster.stop()
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    shutil.rmtree(folder)
    copy.rename(folder)
    cluster.start()
    connection = cluster.connect()
    answers.force_index(connection)
    check_complete(connection, kind, queries[3])
    state = answers.index_state(connection, "items_v_idx")
    assert (state["opened_by"], state["repaired"]) == ("reconcile", 1), state
    assert (state["repair_added"], state["repair_removed"]) == (0, 0), state

    folder = cluster.folder_of("items_v_idx")
    cluster.stop()
    shutil.rmtree(folder)
    cluster.start()
    connection = cluster.connect()
    answers.force_index(connection)
    check_complete(connection, kind, queries[4])
    assert answers.index_state(connection, "items_v_idx")["opened_by"] == "rebuild"
