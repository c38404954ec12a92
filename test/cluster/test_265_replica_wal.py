"""What a follower, and searches in its place, make of WAL: which records concern an index, and where they are."""

import re

import replicas
from replicas import check_same, wait_until_followed, wait_until_replayed, wait_until_taken_in
from worker import stop_in_its_sleep, stopped

# One row on each page, and more pages than may be behind.
PAGES = 4400
MOST_PAGES_BEHIND = 4096


def make_table(connection, rows, pad=1):
    connection.execute("CREATE TABLE items (id integer, v vector(3), note integer DEFAULT 0, pad text)")
    connection.execute("ALTER TABLE items ALTER pad SET STORAGE plain")
    add(connection, 1, rows, pad)
    connection.execute("CREATE INDEX items_v_idx ON items USING hnsw (v vector_l2_ops)")
    connection.execute("VACUUM (ANALYZE) items")


def add(connection, first, rows, pad=1):
    connection.execute("INSERT INTO items SELECT i, ARRAY[i %% 100, i / 100, i %% 7]::vector, 0, repeat('x', %s) "
                       "FROM generate_series(%s::integer, %s) i", [pad, first, first + rows - 1])


def buffers_of_search(connection):
    plan = connection.execute("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT id FROM items "
                              "ORDER BY v <-> '[1,2,3]' LIMIT 5").fetchall()
    text = "\n".join(line for [line] in plan)
    assert "Index Scan" in text
    return sum(map(int, re.findall(r"(?:hit|read)=(\d+)", text.splitlines()[1])))


def test_changes_that_concern_no_index(make_cluster, standbys):
    """A VACUUM that freezes all pages of a table, deletes, locks and updates by HOT leave searches what they
    were, even where the follower has read nothing of it."""
    primary = make_cluster(**replicas.PRIMARY, full_page_writes="off", shared_buffers="128MB")
    connection = primary.connect()
    make_table(connection, PAGES, pad=7000)
    assert connection.execute("SELECT pg_relation_size('items') / 8192").fetchone()[0] > MOST_PAGES_BEHIND
    standby = standbys.make(primary)
    wait_until_followed(standby)
    wait_until_taken_in(standby, primary)
    session = standby.connect()
    session.execute("SET enable_seqscan = off")
    buffers_of_search(session)
    with stopped(standby.child("dvec follower"), stop_in_its_sleep):
        connection.execute("DELETE FROM items WHERE id % 3 = 0")
        connection.execute("VACUUM (FREEZE, INDEX_CLEANUP ON, TRUNCATE OFF) items")
        connection.execute("BEGIN; SELECT count(*) FROM (SELECT FROM items FOR UPDATE) each; COMMIT")
        wait_until_replayed(standby, primary)
        assert buffers_of_search(session) < MOST_PAGES_BEHIND / 4
        rows, by_index = check_same(session, "items", [1, 2, 3])
        assert by_index and rows == PAGES - PAGES // 3
        # Rows on pages that were emptied.
        add(connection, PAGES + 1, 300, pad=7000)
        wait_until_replayed(standby, primary)
        rows, by_index = check_same(session, "items", [1, 2, 3])
        assert by_index and rows == PAGES - PAGES // 3 + 300
    wait_until_taken_in(standby, primary)
    assert check_same(session, "items", [1, 2, 3]) == (PAGES - PAGES // 3 + 300, True)


def test_hot_updates_concern_no_index(make_cluster, standbys):
    primary = make_cluster(**replicas.PRIMARY)
    connection = primary.connect()
    make_table(connection, 2000)
    connection.execute("ALTER TABLE items SET (fillfactor = 50)")
    connection.execute("VACUUM FULL items")
    standby = standbys.make(primary)
    wait_until_followed(standby)
    wait_until_taken_in(standby, primary)
    session = standby.connect()
    session.execute("SET enable_seqscan = off")
    before = buffers_of_search(session)
    with stopped(standby.child("dvec follower"), stop_in_its_sleep):
        for _ in range(3):
            connection.execute("UPDATE items SET note = note + 1 WHERE id % 10 = 1")
        wait_until_replayed(standby, primary)
        # A row's version is found along its chain: a page more for each of five rows, at most.
        assert buffers_of_search(session) <= before + 5
        assert check_same(session, "items", [1, 2, 3]) == (2000, True)
        assert session.execute("SELECT sum(note) FROM items").fetchone() == (600,)


def test_records_wherever_they_are(make_cluster, standbys):
    """Over the borders of pages and segments, behind segments that end early, with images of pages and without,
    of a COPY and of single rows, before and behind records that are longer than a follower reads at once: all WAL is read, none is taken for lost."""
    primary = make_cluster(**replicas.PRIMARY, wal_compression="pglz")
    connection = primary.connect()
    make_table(connection, 500)
    standby = standbys.make(primary, log_min_messages="debug1")
    wait_until_followed(standby)
    rows = 500
    for turn in range(6):
        connection.execute("CHECKPOINT")  # images of pages from now on
        add(connection, rows + 1, 100, pad=1 + 900 * turn)
        for row in range(rows + 101, rows + 131):
            add(connection, row, 1, pad=37 * (row % 50))
        rows += 130
        with connection.cursor().copy("COPY items (id, v) FROM STDIN") as copy:
            for row in range(rows + 1, rows + 301):
                copy.write(f"{row}\t[{row % 9},{row % 11},1]\n")
        rows += 300
        connection.execute("UPDATE items SET v = '[4,4,4]' WHERE id %% 50 = %s", [turn])
        connection.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', %s))", [1_200_000 * turn])
        if turn % 2 == 1:
            connection.execute("SELECT pg_switch_wal()")
        wait_until_replayed(standby, primary)
        assert check_same(standby.connect(), "items", [1, 2, 3]) == (rows, True)
    wait_until_taken_in(standby, primary)
    assert check_same(standby.connect(), "items", [1, 2, 3]) == (rows, True)
    assert "is followed" in standby.log_text()
    assert "could not read WAL" not in standby.log_text()
