"""Rows come and go, are searched and vacuumed, for hours: memory, files, descriptors, mappings and the slowest of a hundred
searches stay as they are.

    make cluster PYTEST_ARGS='-k soak -s'                       some seconds, which only show that all is sampled
    DVEC_SOAK_MINUTES=60 make cluster PYTEST_ARGS='-k soak -s'  the long mode: fails where something grows without end
    DVEC_SOAK_RATE=50 ...                                       rows, and searches, a second
    DVEC_SOAK_SEED=7 ...                                        other rows
"""

import os
import time

import pytest

import answers
import soak
from worker import wait_until_linked

MINUTES = float(os.environ.get("DVEC_SOAK_MINUTES", "0.1"))
RATE = float(os.environ.get("DVEC_SOAK_RATE", "100"))
SEED = int(os.environ.get("DVEC_SOAK_SEED", "291"))
SAMPLES = 60 if MINUTES >= 10 else 6
# The clocks of a server that lives for an hour, in a short run too.
SETTINGS = {"dvec__checkpoint_timeout": "10s", "checkpoint_timeout": "30s", "max_wal_size": "64MB",
            "min_wal_size": "16MB", "log_min_messages": "warning"}


def test_soak(make_cluster):
    cluster = make_cluster(**SETTINGS)
    load = soak.Load(cluster, RATE, SEED)
    load.make_table()
    interval = MINUTES * 60 / SAMPLES
    samples = []
    with load.running(vacuum_every=min(20, interval)):
        due = time.monotonic()
        while len(samples) < SAMPLES and not load.stopping.is_set():
            due += interval
            load.stopping.wait(max(0.0, due - time.monotonic()))
            if not load.stopping.is_set():
                samples.append(soak.Sample.take(load))
    print(f"\n{MINUTES:g} minutes, {RATE:g} rows and searches a second, seed {SEED}: {load.done}")
    print("\n".join(soak.figures(samples)))

    connection = cluster.connect()
    [[rows]] = connection.execute("SELECT count(*) FROM items").fetchall()
    assert abs(rows - soak.ROWS) <= 5 * RATE + soak.WRITTEN_AT_ONCE, "inserts and deletes do not keep step"
    wait_until_linked(connection)
    assert answers.check_complete(connection, "items", load.rows[0]) == rows
    assert connection.execute("SELECT * FROM dvec_check('items_v_idx')").fetchall() == []
    assert len(samples) == SAMPLES
    if SAMPLES >= 12:
        growing = [name for name in soak.NAMES if soak.grows([getattr(sample, name) for sample in samples])]
        assert not growing, f"these grow: {growing}"


@pytest.mark.parametrize("values, growing", [
    ([100 + 2 * i for i in range(60)], True),                          # a leak
    ([100 + 2 * i + (i % 5) * 3 for i in range(60)], True),            # one that is hidden by noise
    ([100 * i for i in range(15)] + [1500] * 45, False),               # a warm-up
    ([100 + 60 * (i % 7) for i in range(60)], False),                  # compactions
    ([100] * 30 + [900] + [100] * 29, False),                          # one bad minute
    ([100] * 40 + [108] * 20, False),                                  # a step that is none
    ([7] * 60, False), ([0] * 60, False),
], ids=["leak", "hidden leak", "warm-up", "compactions", "bad minute", "small step", "flat", "nothing"])
def test_soak_tells_growth(values, growing):
    assert soak.grows(values) == growing
