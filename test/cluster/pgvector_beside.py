"""pgvector itself, in a database beside dvec, where the server has it.

A server of PostgreSQL 18 whose package brings pgvector finds it in the package's folder, before the extension
`vector` that dvec provides. For any other server the tree that tests run in (DVEC_PREFIX_BIN) may have
pgvector's files where dvec's own `vector` would be.
"""

import pathlib
import re
import subprocess

import pytest

import cluster as clusters


def ask_pg_config(option):
    """About the installed server, which the tree of links leads to."""
    result = subprocess.run([clusters.BIN / "pg_config", option], check=True, capture_output=True, text=True)
    return result.stdout.strip()


def is_of_pgvector(control_file):
    return control_file.exists() and "dvec" not in control_file.read_text()


def settings():
    """What a cluster needs to find it; nothing where there is none."""
    shared = ask_pg_config("--sharedir")
    in_tree = pathlib.Path(f"{clusters.BIN.parent}{shared}") / "extension" / "vector.control"
    if is_of_pgvector(in_tree):
        return {}
    major_version = int(re.search(r"\d+", ask_pg_config("--version"))[0])
    if major_version >= 18 and is_of_pgvector(pathlib.Path(shared) / "extension" / "vector.control"):
        return {"extension_control_path": f"{shared}:$system"}
    return None


def stands_for_shim():
    """Whether the tree that tests run in has pgvector in place of dvec's own extension `vector`."""
    return settings() == {}


needs_pgvector = pytest.mark.skipif(settings() is None, reason="no server with pgvector")
