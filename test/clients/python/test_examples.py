"""The programs of examples/python print what they say."""

import pytest

import examples


@pytest.mark.parametrize("name", ["notes_psycopg", "notes_sqlalchemy", "notes_django"])
def test_example(database, name):
    examples.check_python(database, name)
