"""The program of examples/python that needs LangChain prints what it says."""

import examples


def test_example(database):
    examples.check_python(database, "notes_langchain")
