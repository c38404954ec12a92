"""A server that was shut down cleanly, followed another for a while and took over again: its own sidecars
are unchanged, in place and clean, and lack what the other server's WAL brought."""

import pytest

import answers
import vectors
from cluster import Cluster
from replicas import PRIMARY, follow, wait_until_replayed
from test_165_server_starts import promoted

DIMENSIONS = 8
ROWS = vectors.clustered(600, DIMENSIONS, seed=166)


@pytest.fixture
def pair(make_cluster):
    """Two servers with the same past; the first is down. Its index was used, so that it has a log."""
    first = make_cluster(**PRIMARY)
    vectors.make_table(first.connect(), ROWS[:100])
    vectors.copy_in(first.connect(), "items", 100, ROWS[100:200])
    first.stop()
    second = Cluster(first.data, **PRIMARY)
    yield first, second.start()
    second.destroy()


@pytest.mark.parametrize("restarts", [0, 2])
def test_rows_that_came_from_another_server(pair, restarts):
    first, second = pair
    connection = second.connect()
    vectors.copy_in(connection, "items", 200, ROWS[200:400])
    connection.execute("DELETE FROM items WHERE id % 4 = 0")
    connection.execute("VACUUM items")
    vectors.copy_in(connection, "items", 400, ROWS[400:500])  # takes TIDs of deleted rows
    follow(first, second)
    first.start()
    wait_until_replayed(first, second)
    for _ in range(restarts):
        first.restart()
    expected = sorted(answers.ids_in_table(second.connect(), "items"))
    second.stop()
    promoted(first)
    connection = first.connect()
    assert sorted(answers.ids_in_table(connection, "items")) == expected
    assert answers.check_complete(connection, "items", ROWS[0]) == len(expected)
    # Used after its promotion, it is judged by its own recoveries again.
    vectors.copy_in(connection, "items", 500, ROWS[500:])
    first.kill()
    first.start()
    connection = first.connect()
    assert answers.check_complete(connection, "items", ROWS[0]) == len(expected) + 100
    assert answers.index_state(connection, "items_v_idx")["opened_by"] == "replay"
