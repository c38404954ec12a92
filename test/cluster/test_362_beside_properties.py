"""As test_400_properties.py, in a database that has pgvector's types and operators: what the index of dvec
answers is what these operators say, whose sums differ from dvec's own in their last bits.

DVEC_PROPERTY_DRAWS sets how many questions are drawn, DVEC_PROPERTY_SEED which.
"""

import os

import pytest

from pgvector_beside import needs_pgvector
from questions import check_answers

DRAWS = int(os.environ.get("DVEC_PROPERTY_DRAWS", "600"))
SEED = int(os.environ.get("DVEC_PROPERTY_SEED", "362"))
PARTS = 3

pytestmark = needs_pgvector


@pytest.mark.parametrize("part", range(PARTS))
def test_answers_are_those_of_the_table(make_cluster, part):
    connection = make_cluster(beside=True).connect()
    check_answers(connection, SEED * PARTS + part, DRAWS // PARTS, method="dvec")
