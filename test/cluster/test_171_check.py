"""dvec_check finds what is damaged and what is missing, and what it finds is repaired."""

import psycopg
import pytest

import answers
import vectors
from cluster import wait_until
from test_060_damage import flip
from worker import wait_until_linked

ROWS = 500
DIMENSIONS = 16


@pytest.fixture
def items(cluster):
    connection = cluster.connect()
    vectors.make_table(connection, vectors.clustered(ROWS, DIMENSIONS, seed=130))
    vectors.copy_in(connection, "items", ROWS, vectors.clustered(100, DIMENSIONS, seed=131))
    wait_until_linked(connection)
    return connection


def check(connection, arguments="'items_v_idx'"):
    return connection.execute(f"SELECT * FROM dvec_check({arguments})").fetchall()


def test_a_sound_index_has_no_findings(items):
    assert check(items) == []
    items.execute("DELETE FROM items WHERE id % 3 = 0")
    assert check(items) == []
    items.execute("VACUUM items")
    assert check(items) == []
    items.execute("UPDATE items SET id = id + 1000")
    assert check(items, "'items_v_idx', heap => false") == []


def test_a_damaged_payload_is_found_and_repaired(cluster, items):
    [nodes] = cluster.folder_of("items_v_idx").glob("nodes.*")
    stride = (nodes.stat().st_size - 4096) and 256
    flip(nodes, 4096 + 77 * stride + stride - 3)
    findings = check(items)
    assert findings, "not found"
    path, offset, problem = findings[0]
    assert path.endswith("/" + nodes.name) and offset == 4096 + 77 * stride, findings
    assert "node 77" in problem and "checksum" in problem
    # Whoever reads the log learns of it, too.
    assert f'index "items_v_idx" is damaged in {len(findings)} places' in cluster.log_text()
    assert problem in cluster.log_text()
    wait_until(lambda: check(cluster.connect()) == [], "repaired")
    assert answers.check_complete(items, "items", [0.0] * DIMENSIONS) == ROWS + 100
    state = answers.index_state(items, "items_v_idx")
    assert state["state"] == "ready" and state["damage"] >= 1, state


def test_a_damaged_link_is_found_and_mended(cluster, items):
    [nodes] = cluster.folder_of("items_v_idx").glob("nodes.*")
    flip(nodes, 4096 + 33 * 256 + 24 + 3)  # the highest byte of the first link
    [[_, offset, problem]] = check(items)
    assert offset == 4096 + 33 * 256 and "does not exist" in problem
    wait_until(lambda: check(items) == [], "mended")


def test_a_damaged_log_is_found_and_made_unnecessary(cluster, items):
    log = sorted(cluster.folder_of("items_v_idx").glob("log.*"))[-1]
    flip(log, 40)
    [[path, offset, _]] = check(items)
    assert path.endswith("/" + log.name) and offset == 0
    wait_until(lambda: check(items) == [], "a checkpoint")


def test_a_damaged_checkpoint_is_found_and_replaced(cluster, items):
    flip(cluster.folder_of("items_v_idx") / "checkpoint", 50)
    flip(cluster.folder_of("items_v_idx") / "checkpoint", 4096 + 50)
    assert {offset for _, offset, _ in check(items)} == {0, 4096}
    wait_until(lambda: check(items) == [], "both replaced")


def test_what_is_not_an_index_of_ours_is_refused(items):
    items.execute("CREATE TABLE plain (id integer PRIMARY KEY)")
    with pytest.raises(psycopg.errors.WrongObjectType):
        check(items, "'plain_pkey'")
    with pytest.raises(psycopg.errors.WrongObjectType):
        check(items, "'plain'")
    items.execute("CREATE TABLE parted (id integer, v vector(3)) PARTITION BY RANGE (id)")
    items.execute("CREATE INDEX parted_v ON parted USING hnsw (v vector_l2_ops)")
    with pytest.raises(psycopg.errors.WrongObjectType):
        check(items, "'parted_v'")
    items.execute("CREATE ROLE somebody LOGIN")
    items.execute("SET ROLE somebody")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        check(items)


def test_scrubbing_after_a_crash_finds_damage(cluster, items):
    [nodes] = cluster.folder_of("items_v_idx").glob("nodes.*")
    vectors.copy_in(items, "items", 3000, vectors.clustered(5, DIMENSIONS, seed=132))
    cluster.kill()
    flip(nodes, 4096 + 88 * 256 + 200)
    cluster.start()
    connection = cluster.connect()
    answers.force_index(connection)
    answers.nearest(connection, "items", [0.0] * DIMENSIONS, 1)
    wait_until(lambda: answers.index_state(connection, "items_v_idx")["repaired"] >= 1, "repaired")
    wait_until(lambda: answers.index_state(connection, "items_v_idx")["state"] == "ready", "ready")
    assert answers.check_complete(connection, "items", [0.0] * DIMENSIONS) == ROWS + 105
    assert "node 88 is damaged" in cluster.log_text()


def test_a_log_segment_that_disappears_under_a_running_server_costs_nothing(make_cluster):
    cluster = make_cluster(dvec__log_segment_size="256kB")
    connection = cluster.connect()
    vectors.make_table(connection, vectors.clustered(ROWS, DIMENSIONS, seed=133))
    vectors.copy_in(connection, "items", ROWS, vectors.clustered(5, DIMENSIONS, seed=134))
    for log in cluster.folder_of("items_v_idx").glob("log.*"):
        log.unlink()
    other = cluster.connect()  # has not mapped the segment
    vectors.copy_in(other, "items", 2000, vectors.clustered(5, DIMENSIONS, seed=135))
    assert answers.index_state(connection, "items_v_idx")["repaired"] >= 1
    assert answers.check_complete(connection, "items", [0.0] * DIMENSIONS) == ROWS + 10


@pytest.mark.parametrize("index, error, message, more", [
    ("items_id_idx", psycopg.errors.WrongObjectType, "neither an hnsw nor an ivfflat index", '"btree"'),
    ("parts_v_idx", psycopg.errors.WrongObjectType, "is a partitioned index", "its partitions"),
    ("items", psycopg.errors.WrongObjectType, "is not an index", "")])
def test_what_cannot_be_checked(items, index, error, message, more):
    items.execute("CREATE INDEX items_id_idx ON items (id)")
    items.execute("CREATE TABLE parts (id integer, v vector(3)) PARTITION BY LIST (id)")
    items.execute("CREATE TABLE part PARTITION OF parts DEFAULT")
    items.execute("CREATE INDEX parts_v_idx ON parts USING ivfflat (v vector_l2_ops)")
    with pytest.raises(error) as raised:
        check(items, f"'{index}'")
    told = raised.value.diag
    assert message in told.message_primary
    assert more in (told.message_detail or "") + (told.message_hint or "")
    assert check(items, "'part_v_idx'") == []
