"""One server for all tests of a folder, and an empty database for each test: the clients themselves
create the extension, as programs made for pgvector do."""

import pathlib
import re
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "cluster"))

from cluster import Cluster, make_template  # noqa: E402


class Database:
    """What a client needs to connect: `host` is the folder of the socket, `user` the superuser."""

    user = "postgres"

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.host = str(cluster.home)
        self.name = name

    def url(self, scheme):
        return f"{scheme}://{self.user}@/{self.name}?host={self.host}"

    def sql(self, query, parameters=None):
        return self.cluster.sql(query, parameters, self.name)

    def scans(self):
        """How often each index was used; a session tells when it ends."""
        return dict(self.sql("SELECT index::text, scans FROM dvec_indexes"))


@pytest.fixture(scope="session")
def server():
    home = pathlib.Path(tempfile.mkdtemp(prefix="dvec-template-", dir="/tmp"))
    try:
        make_template(home / "data")
        cluster = Cluster(home / "data")
    finally:
        shutil.rmtree(home, ignore_errors=True)
    try:
        yield cluster.start()
    finally:
        cluster.destroy()


@pytest.fixture
def database(server, request):
    name = re.sub(r"\W", "_", request.node.name)[:60].lower()
    server.sql(f"CREATE DATABASE {name}")
    # Tables of a test are small, and their indexes are what is tested.
    server.sql(f"ALTER DATABASE {name} SET enable_seqscan = off")
    return Database(server, name)
