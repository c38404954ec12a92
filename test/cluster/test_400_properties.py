"""Whatever the data and however the question is put, an answer through the index is that of the table
without one: the same rows where all are asked for, in true order always, and hardly any near row missed
where a LIMIT asks for the nearest.

DVEC_PROPERTY_DRAWS sets how many questions are drawn, DVEC_PROPERTY_SEED which. A failure prints the
seed, and the question as text.
"""

import os

import pytest

from questions import check_answers

DRAWS = int(os.environ.get("DVEC_PROPERTY_DRAWS", "1000"))
SEED = int(os.environ.get("DVEC_PROPERTY_SEED", "400"))
# Each part a test of its own, so that a failure of one does not hide the others.
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_answers_are_those_of_the_table(cluster, part):
    check_answers(cluster.connect(), SEED * PARTS + part, DRAWS // PARTS)
