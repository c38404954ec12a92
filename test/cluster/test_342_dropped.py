"""What was dropped takes no space, whoever has it mapped."""

import os
import pathlib

import vectors
from cluster import wait_until


def mapped_and_gone(pid):
    """Files of sidecars that a process maps and that have no name any more."""
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    return {line.split()[-2] for line in maps.splitlines()
            if line.endswith("(deleted)") and "/dvec/" in line}


def test_a_dropped_index_gives_its_space_back_while_it_is_mapped(make_cluster):
    cluster = make_cluster(dvec__sweep_interval="1s")
    connection, idle = cluster.connect(), cluster.connect()
    idle.execute("SET enable_seqscan = off")
    rows = vectors.clustered(500, 128, seed=1)
    descriptors = []
    for number in range(5):
        vectors.make_table(connection, rows, f"t{number}")
        idle.execute(f"SELECT id FROM t{number} ORDER BY v <-> '{vectors.text(rows[0])}' LIMIT 1")
        connection.execute(f"INSERT INTO t{number} VALUES (1000, '{vectors.text(rows[0])}')")
        folder = cluster.folder_of(f"t{number}_v_idx")
        # As a mapping does, an open descriptor keeps the file.
        descriptors += [os.open(folder / name, os.O_RDONLY) for name in ("nodes.1", "upper.1")]
        connection.execute(f"DROP TABLE t{number}")
    try:
        assert all(os.fstat(descriptor).st_blocks > 0 for descriptor in descriptors)
        connection.execute("CHECKPOINT")
        wait_until(lambda: cluster.folders() == [], "folders swept", 20, 0.1)
        assert [os.fstat(descriptor).st_blocks for descriptor in descriptors] == [0] * 10
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    # A session lets go of them at the end of its next transaction, whatever that does.
    assert mapped_and_gone(idle.info.backend_pid)
    for session in (idle, connection):
        session.execute("SELECT 1")
        assert mapped_and_gone(session.info.backend_pid) == set()
