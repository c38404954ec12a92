"""Indexes that have lost their files, and repairs that stop where a test wants them to."""

import contextlib
import shutil
import threading

import answers
import vectors
from cluster import wait_until

GATE = 7

OWNER = "table_owner"

# A predicate that is always true. With the rights of the table's owner, which is how a repair calls it
# in whatever process, it waits for the gate: however long, since it looks again and again and takes the lock
# only when it is free, so that the lock_timeout of a repair does not end it.
GATE_FUNCTION = f"""
    CREATE FUNCTION gate(integer) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
    BEGIN
        IF current_user = '{OWNER}' THEN
            WHILE NOT pg_try_advisory_lock_shared({GATE}) LOOP
                PERFORM pg_sleep(0.005);
            END LOOP;
            PERFORM pg_advisory_unlock_shared({GATE});
        END IF;
        RETURN true;
    END $$"""


def make_gated_table(connection, rows, table="items"):
    """A table (id, v) whose index, TABLE_v_idx, is repaired no further than the gate."""
    connection.execute(f"CREATE ROLE {OWNER}")
    connection.execute(GATE_FUNCTION)
    connection.execute(f"CREATE TABLE {table} (id integer, v vector({rows.shape[1]}))")
    vectors.copy_in(connection, table, 0, rows)
    connection.execute(f"CREATE INDEX ON {table} USING hnsw (v vector_l2_ops) WHERE gate(id)")
    connection.execute(f"ALTER TABLE {table} OWNER TO {OWNER}")


def lose_folders(cluster, *indexes):
    """Restarts the server without the folders of these indexes."""
    folders = [cluster.folder_of(index) for index in indexes]
    cluster.stop()
    for folder in folders:
        shutil.rmtree(folder)
    cluster.start()


@contextlib.contextmanager
def closed_gate(cluster):
    """While it is closed, a repair waits in the middle."""
    holder = cluster.connect()
    holder.execute("SELECT pg_advisory_lock(%s)", [GATE])
    try:
        yield
    finally:
        holder.execute("SELECT pg_advisory_unlock_all()")
        holder.close()


def wait_for_state(connection, index, state, seconds=30):
    return wait_until(lambda: answers.index_state(connection, index)["state"] == state,
                      f"{index} is {state}", seconds, 0.005)


def begin_during_repair(cluster, connection, index, *works):
    """Each of these, in a thread, needs the index, whose repair is under way before any of them goes on. They are over
    on return."""
    threads = [threading.Thread(target=work) for work in works]
    with closed_gate(cluster):
        for thread in threads:
            thread.start()
        wait_for_state(connection, index, "repairing")
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "a session hangs"


def path_of(cluster, connection, index):
    """The folder of an index that perhaps only this session can see."""
    [[name]] = connection.execute(
        """SELECT concat_ws('_', dattablespace, oid, pg_relation_filenode(%s::regclass))
           FROM pg_database WHERE datname = current_database()""", [index])
    return cluster.data / "dvec" / name
