"""An index whose files may lack something is made to agree with its table, whatever columns and rows
are like; one whose files are gone is built anew from the same rows."""

import re
import shutil

import pytest

import answers
import repairs
import vectors

DIMENSIONS = 700  # 2.8 kB a vector: stored out of line

TABLE = f"""
    CREATE TABLE items (id integer, kind text, note text, v vector({DIMENSIONS}), w vector(8))
        WITH (fillfactor = 50);
    ALTER TABLE items ALTER COLUMN v SET STORAGE EXTERNAL;
    CREATE FUNCTION doubled(w vector) RETURNS vector IMMUTABLE LANGUAGE sql AS
        $$SELECT public.l2_normalize(w) OPERATOR(public.+) public.l2_normalize(w)$$"""

INDEXES = """
    CREATE INDEX toasted ON items USING hnsw (v vector_l2_ops);
    CREATE INDEX plain ON items USING hnsw (w vector_l2_ops);
    CREATE INDEX expression ON items USING hnsw ((doubled(w)::vector(8)) vector_cosine_ops);
    CREATE INDEX partial ON items USING hnsw (w vector_l1_ops) WHERE kind = 'odd'"""

NAMES = ["toasted", "plain", "expression", "partial"]


def fill(connection, first, count):
    """Random rows; every fifth has no `w`."""
    connection.execute(
        f"""INSERT INTO items
            SELECT i, CASE i %% 2 WHEN 1 THEN 'odd' ELSE 'even' END, NULL,
                (SELECT array_agg(random() + 0 * i * j) FROM generate_series(1, {DIMENSIONS}) j)::vector,
                CASE WHEN i %% 5 > 0 THEN
                    (SELECT array_agg(random() - 0.5 + 0 * i * j) FROM generate_series(1, 8) j)::vector END
            FROM generate_series(%s::integer, %s::integer) i""", [first, first + count - 1])


def update_in_place(connection, condition):
    """Chains of versions that no index knows of."""
    for round in range(3):
        connection.execute(f"UPDATE items SET note = 'round {round}' WHERE {condition}")


def change(connection, first):
    """Some of everything that can happen to rows."""
    fill(connection, first, 60)
    update_in_place(connection, f"id >= {first} AND id % 3 = 0")
    connection.execute("DELETE FROM items WHERE id % 11 = 0")
    connection.execute("VACUUM items")
    fill(connection, first + 100, 30)
    connection.execute(f"UPDATE items SET w = w + w, kind = 'odd' WHERE id >= {first} AND id % 7 = 0")


def check(connection):
    """Each index returns each of its rows once, at its distance."""
    answers.force_index(connection)
    zeros = "[" + ",".join(["0.3"] * 8) + "]"
    long = "[" + ",".join(["0.5"] * DIMENSIONS) + "]"
    for order, condition in [(f"v <-> '{long}'", "true"),
                             (f"w <-> '{zeros}'", "w IS NOT NULL"),
                             (f"(doubled(w)::vector(8)) <=> '{zeros}'", "w IS NOT NULL"),
                             (f"w <+> '{zeros}'", "w IS NOT NULL AND kind = 'odd'")]:
        where = "kind = 'odd'" if "odd" in condition else "true"
        statement = f"SELECT id, {order} FROM items WHERE {where} ORDER BY {order}"
        answers.check_plan(connection, statement)
        found = connection.execute(statement).fetchall()
        with connection.transaction():
            connection.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = on")
            truth = connection.execute(
                f"SELECT id, {order} FROM items WHERE {condition} ORDER BY {order}").fetchall()
        assert sorted(id for id, _ in found) == sorted(id for id, _ in truth), order
        assert dict(found) == pytest.approx(dict(truth)), order
        distances = [distance for _, distance in found]
        assert distances == sorted(distances), order


def delete_folder(folder, _):
    shutil.rmtree(folder)


def copy_folder(folder, _):
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


def old_folder(folder, old):
    shutil.rmtree(folder)
    shutil.copytree(old, folder)


def damaged_copy(folder, old):
    copy_folder(folder, old)
    [nodes] = folder.glob("nodes.*")
    content = bytearray(nodes.read_bytes())
    # A bit of every sixth slot or so, beyond the header: vectors, TIDs, flags and links.
    for offset in range(4096 + 100, len(content), 6 * 4096 + 13):
        content[offset] ^= 0x04
    nodes.write_bytes(content)


@pytest.mark.parametrize("loss", [delete_folder, copy_folder, old_folder, damaged_copy],
                         ids=lambda loss: loss.__name__)
def test_all_kinds_of_columns(cluster, loss):
    connection = cluster.connect()
    connection.execute(TABLE)
    connection.execute("SELECT setseed(0.5)")
    fill(connection, 0, 100)
    connection.execute(INDEXES)
    update_in_place(connection, "id < 30")
    folders = {name: repairs.path_of(cluster, connection, name) for name in NAMES}
    cluster.stop()
    for name, folder in folders.items():
        shutil.copytree(folder, cluster.home / name)
    cluster.start()
    connection = cluster.connect()
    change(connection, 1000)
    cluster.stop()
    for name, folder in folders.items():
        loss(folder, cluster.home / name)
    cluster.start()
    connection = cluster.connect()
    check(connection)
    for name in NAMES:
        state = answers.index_state(connection, name)
        assert state["opened_by"] == ("rebuild" if loss is delete_folder else "reconcile"), state
        if loss is old_folder:
            assert state["repair_added"] > 0 and state["repair_removed"] > 0, state
        if loss is copy_folder:
            # What is removed are entries of dead rows, before vacuum does it.
            assert state["repair_added"] == 0, state
    change(connection, 2000)
    check(connection)
    cluster.kill()
    cluster.start()
    check(cluster.connect())


@pytest.mark.parametrize("wal", ["there", "gone"])
def test_only_changed_pages_are_read(make_cluster, wal):
    """After damage to the log the pages changed since the last checkpoint tell what is missing. The
    server's WAL names them; when it is gone, their LSNs do."""
    cluster = make_cluster(dvec__checkpoint_timeout="1h", log_min_messages="debug1",
                           max_wal_size="4MB")
    rows = vectors.clustered(6100, 16, seed=160)
    connection = cluster.connect()
    vectors.make_table(connection, rows[:6000])
    vectors.copy_in(connection, "items", 6000, rows[6000:])
    folder = cluster.folder_of("items_v_idx")
    cluster.sql("CHECKPOINT")
    if wal == "gone":
        # A few pages more than the table has, and none of them of the table.
        cluster.sql("CREATE TABLE other AS SELECT i, 'x' || i FROM generate_series(1, 50000) i")
        cluster.sql("CHECKPOINT")
    cluster.kill()
    [segment] = folder.glob("log.*")
    content = bytearray(segment.read_bytes())
    content[20 * (32 + 8 + 64) + 50] ^= 1
    segment.write_bytes(content)
    cluster.start()
    connection = cluster.connect()
    assert answers.check_complete(connection, "items", rows[0]) == 6100
    answers.check_own_neighbours(connection, "items")
    state = answers.index_state(connection, "items_v_idx")
    assert (state["opened_by"], state["repair_added"], state["repair_removed"]) == ("reconcile", 1, 0)
    [(pages, table)] = re.findall(r"reconcile of (\d+) of (\d+) pages \(1 added, 0 removed\)",
                                  cluster.log_text())
    # From 16 on COPY makes a table longer by several pages at once, and empty ones are read too.
    assert int(table) > 60 and 0 < int(pages) < 20, (pages, table)
    assert ("changed pages found in WAL" in cluster.log_text()) == (wal == "there")


def test_transactions_in_progress(cluster):
    """Rows that a reconcile reads before they are committed are not added twice by their inserter."""
    rows = vectors.clustered(400, 8, seed=161)
    repairs.make_gated_table(cluster.connect(), rows[:200])
    folder = cluster.folder_of("items_v_idx")
    cluster.stop()
    copy_folder(folder, None)
    cluster.start()
    early, aborting = cluster.connect(autocommit=False), cluster.connect(autocommit=False)
    connection = cluster.connect()

    def insert(session, first):
        vectors.copy_in(session, "items", first, rows[200:230])

    repairs.begin_during_repair(cluster, connection, "items_v_idx",
                                lambda: insert(early, 1000), lambda: insert(aborting, 2000))
    insert(early, 1100)
    aborting.rollback()
    early.commit()
    insert(connection, 3000)
    statement = f"SELECT id FROM items WHERE gate(id) ORDER BY v <-> '{vectors.text(rows[0])}'"
    answers.force_index(connection)
    answers.check_plan(connection, statement)
    found = sorted(id for [id] in connection.execute(statement))
    assert found == sorted(answers.ids_in_table(connection, "items")) and len(found) == 290
    assert answers.index_state(connection, "items_v_idx")["opened_by"] == "reconcile"


def test_crash_during_a_repair(cluster):
    """A server that dies in the middle begins anew, and ends complete."""
    rows = vectors.clustered(400, 8, seed=162)
    repairs.make_gated_table(cluster.connect(), rows[:200])
    folder = cluster.folder_of("items_v_idx")
    cluster.stop()
    damaged_copy(folder, None)
    cluster.start()
    connection = cluster.connect()
    statement = f"SELECT id FROM items WHERE gate(id) ORDER BY v <-> '{vectors.text(rows[0])}'"
    holder = cluster.connect()
    holder.execute("SELECT pg_advisory_lock(%s)", [repairs.GATE])
    connection.execute(statement + " LIMIT 1")
    repairs.wait_for_state(connection, "items_v_idx", "repairing")
    cluster.kill()
    cluster.start()
    connection = cluster.connect()
    answers.force_index(connection)
    answers.check_plan(connection, statement)
    assert sorted(id for [id] in connection.execute(statement)) == list(range(200))
    assert answers.index_state(connection, "items_v_idx")["opened_by"] == "reconcile"
