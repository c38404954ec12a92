"""A crash, or a shutdown in the middle of linking, must not leave a graph that finds less."""

import numpy as np
import pytest

import answers
import vectors
from cluster import wait_until

DIMENSIONS = 32
BUILT = 500
ROWS = 6000
QUERIES = 200


def recall(connection, rows, queries):
    answers.force_index(connection, ef_search=100)
    found = 0
    for query in queries:
        wanted = set(np.argsort(vectors.distances("l2", rows, query))[:10].tolist())
        found += len(wanted & {id for id, _ in answers.nearest(connection, "items", query, 10)})
    return found / (10 * len(queries))


@pytest.mark.parametrize("end", ["kill", "kill while linking", "stop while linking"])
def test_recall_after(make_cluster, end):
    cluster = make_cluster(dvec__log_buffer_limit="64MB", dvec__checkpoint_timeout="1h",
                           dvec__link_threads="1")
    # Built rows and queries share their clusters, later rows fill the space around them.
    points = vectors.clustered(ROWS + QUERIES, DIMENSIONS, seed=17)
    rows, queries = points[:ROWS], points[ROWS:]
    connection = cluster.connect()
    vectors.make_table(connection, rows[:BUILT])
    vectors.copy_in(connection, "items", BUILT, rows[BUILT:])

    def tail():
        return answers.index_state(connection, "items_v_idx")["tail"]

    if end == "kill":
        wait_until(lambda: tail() == 0, "all linked", pause=0.05)
    else:
        wait_until(lambda: tail() < ROWS - BUILT, "linking has begun", pause=0.001)
    cluster.stop() if end == "stop while linking" else cluster.kill()
    cluster.start()
    connection = cluster.connect()
    answers.nearest(connection, "items", rows[0], 1)
    at_once = recall(connection, rows, queries)
    wait_until(lambda: tail() == 0, "all linked")
    later = recall(connection, rows, queries)
    answers.check_complete(connection, "items", rows[0])
    print(f"recall@10 after {end}: {at_once:.4f} at once, {later:.4f} linked")
    assert at_once >= 0.985 and later >= 0.985, f"recall {at_once:.4f} at once, {later:.4f} linked"
