"""What dvec writes to PostgreSQL's WAL (nothing), and its use of WAL positions."""

import vectors
import answers


def wal_of_inserts(connection, table, rows):
    """Bytes of WAL that inserting `rows` one by one takes, apart from full-page images."""
    connection.execute("CHECKPOINT")
    vectors.copy_in(connection, table, 0, rows[:5])  # the first touch of each page
    [[before]] = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchall()
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {table} VALUES (%s, %s)",
                           [(i, vectors.text(row)) for i, row in enumerate(rows)])
    return connection.execute("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", [before]).fetchone()[0]


def test_inserts_write_no_wal_for_the_index(make_cluster):
    # Nobody else may write: no snapshots of running transactions, no checkpoints in between.
    cluster = make_cluster(wal_level="minimal", max_wal_senders="0", checkpoint_timeout="1h",
                           bgwriter_lru_maxpages="0", full_page_writes="off")
    rows = vectors.clustered(500, 64, seed=45)
    connection = cluster.connect()
    for table in ("plain", "indexed"):
        connection.execute(f"CREATE TABLE {table} (id integer, v vector(64))")
        connection.execute(f"INSERT INTO {table} VALUES (-1, %s)", [vectors.text(rows[0])])
    connection.execute("CREATE INDEX ON indexed USING hnsw (v vector_l2_ops)")
    plain = wal_of_inserts(connection, "plain", rows)
    indexed = wal_of_inserts(connection, "indexed", rows)
    # Page headers and alignment of the one WAL stream may differ by where it stands.
    assert abs(indexed - plain) <= 200, f"{plain} bytes without the index, {indexed} with it"


def fill_wal_page(connection):
    """Writes WAL up to the very end of a page. The insert position then already lies behind the header
    of the next page, which does not exist yet."""
    page = 8192

    def position():
        return int(connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'").fetchone()[0])

    def emit(size):
        # A record of `size` bytes: 53 bytes are its own, and it ends at a multiple of 8.
        connection.execute("SELECT pg_logical_emit_message(false, '', repeat('x', %s))", [size - 53])

    for _ in range(300):
        left = page - position() % page
        if left > 240:
            emit(160)
        elif left >= 80:
            emit(left)
            if position() % page in (24, 40):
                return
        else:
            emit(160)
    raise AssertionError("the end of a WAL page was not met")


def test_flush_at_the_end_of_a_wal_page(make_cluster):
    """To flush up to where the server's insert position is then would be an error."""
    cluster = make_cluster(wal_level="minimal", max_wal_senders="0", checkpoint_timeout="1h",
                           bgwriter_lru_maxpages="0", wal_writer_delay="10s")
    rows = vectors.clustered(40, 8, seed=46)
    connection = cluster.connect()
    connection.execute("BEGIN")
    connection.execute("CREATE TEMP TABLE items (id integer, v vector(8))")
    connection.execute("CREATE INDEX items_v_idx ON items USING hnsw (v vector_l2_ops)")
    for _ in range(3):
        fill_wal_page(connection)
        # Builds the index anew, in place, without WAL of its own before the flush.
        connection.execute("TRUNCATE items")
    vectors.copy_in(connection, "items", 0, rows)
    connection.execute("COMMIT")
    assert answers.check_complete(connection, "items", rows[0]) == 40
