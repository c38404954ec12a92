"""What a restart costs depends on how the server went down, and dvec_indexes says so."""

import re

import pytest

import answers
import vectors
from cluster import wait_until
from worker import wait_until_linked


@pytest.mark.parametrize("how, opened_by", [
    ("fast", "clean start"), ("smart", "clean start"), ("immediate", "replay"), ("kill", "replay")])
def test_opened_by(cluster, how, opened_by):
    rows = vectors.clustered(600, 8, seed=19)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:300])
    vectors.copy_in(connection, "items", 300, rows[300:])
    connection.execute("DELETE FROM items WHERE id % 5 = 0")
    connection.execute("VACUUM items")
    before = answers.index_state(connection, "items_v_idx")
    assert (before["nodes"], before["deleted"]) == (600, 120), before
    if how == "kill":
        cluster.kill()
    else:
        cluster.stop(how)
    cluster.start()
    connection = cluster.connect()
    assert answers.index_state(connection, "items_v_idx")["state"] == "closed"
    assert answers.check_complete(connection, "items", rows[0]) == 480
    after = answers.index_state(connection, "items_v_idx")
    assert after["opened_by"] == opened_by, after
    # The log says it in the same words, without the statement, whose vectors would make it long.
    assert re.search(rf"opened in \d+ ms: {opened_by}( of |$)", cluster.log_text(), re.M)
    assert not re.search(r"(opened in|has to be repaired|rebuilding the files).*\n(.*DETAIL.*\n)?.*STATEMENT",
                         cluster.log_text())
    assert (after["nodes"], after["deleted"]) == (600, 120), after
    if opened_by == "clean start":
        assert after["replayed_records"] == 0, after
    else:
        assert after["replayed_records"] == 420, after
    wait_until_linked(connection)
    answers.check_own_neighbours(connection, "items")


def test_unused_index_stays_clean(cluster):
    """Starts and stops without use change nothing, and reading does not make an index dirty."""
    rows = vectors.clustered(300, 8, seed=20)
    vectors.make_table(cluster.connect(), rows)
    cluster.restart()
    cluster.restart()
    connection = cluster.connect()
    answers.check_complete(connection, "items", rows[0])
    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    answers.check_complete(connection, "items", rows[0])
    state = answers.index_state(connection, "items_v_idx")
    assert state["opened_by"] == "clean start", state


def test_log_is_bounded(make_cluster):
    """Checkpoints cut the log, by size and at the end."""
    cluster = make_cluster(dvec__checkpoint_size="1MB", dvec__log_segment_size="256kB")
    rows = vectors.clustered(8000, 64, seed=21)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:0])
    for begin in range(0, 8000, 1000):
        vectors.copy_in(connection, "items", begin, rows[begin:begin + 1000])
    folder = cluster.folder_of("items_v_idx")

    def cut():
        state = answers.index_state(connection, "items_v_idx")
        return state["checkpoints"] > 0 and state["log_bytes"] <= 3 << 20 and state

    wait_until(cut, "the log is cut")
    # At rest: a checkpoint under way would remove files while they are counted.
    wait_until_linked(connection)
    cluster.stop()
    segments = [path for path in folder.iterdir() if path.name.startswith("log.")]
    assert sum(path.stat().st_size for path in segments) <= 3 << 20, segments
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == 8000
