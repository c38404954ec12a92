"""Runs the tests of this folder that are written for node."""

import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent
MODULES = HERE.parents[2] / "build/clients/node/node_modules"


def test_node_postgres(database):
    environment = dict(os.environ, NODE_PATH=str(MODULES), PGHOST=database.host, PGUSER=database.user,
                       PGDATABASE=database.name, PGPORT="5432")
    result = subprocess.run(["node", "--test", str(HERE / "pg.test.cjs")], env=environment,
                            capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    assert database.scans() == {"items_embedding_idx": 2}
