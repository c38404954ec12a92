"""Fixtures: the template cluster, and clusters made from it."""

import os
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import pgvector_beside  # noqa: E402
import replicas  # noqa: E402
from cluster import BIN, Cluster, make_template  # noqa: E402


@pytest.fixture(scope="session")
def template():
    assert os.access(BIN / "postgres", os.X_OK), f"no server in {BIN}; run make prefix"
    home = pathlib.Path(tempfile.mkdtemp(prefix="dvec-template-", dir="/tmp"))
    try:
        make_template(home / "data")
        yield home / "data"
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def prepared_template(template):
    """The template with the extension in database postgres, shut down cleanly."""
    cluster = Cluster(template)
    try:
        cluster.start()
        cluster.sql("CREATE EXTENSION dvec")
        cluster.stop()
        yield cluster.data
    finally:
        cluster.destroy()


@pytest.fixture(scope="session")
def template_beside(template):
    """The template with pgvector in database postgres, and dvec beside it, shut down cleanly."""
    cluster = Cluster(template, **pgvector_beside.settings())
    try:
        cluster.start()
        cluster.sql("CREATE EXTENSION vector")
        cluster.sql("CREATE EXTENSION dvec")
        cluster.stop()
        yield cluster.data
    finally:
        cluster.destroy()


@pytest.fixture
def make_cluster(request):
    """make_cluster(setting=value...): a running cluster with dvec in database postgres; with beside=True
    it has pgvector's types."""
    clusters = []

    def make(start=True, beside=False, **settings):
        template = request.getfixturevalue("template_beside" if beside else "prepared_template")
        cluster = Cluster(template, **(pgvector_beside.settings() if beside else {}), **settings)
        clusters.append(cluster)
        return cluster.start() if start else cluster

    yield make
    report = getattr(request.node, "report_of_call", None)
    if report is not None and report.failed:
        for cluster in clusters:
            print(f"--- end of the server's log in {cluster.home} ---\n{cluster.log_tail(40)}")
    complaints = [cluster.complaints() for cluster in clusters]
    for cluster in clusters:
        cluster.destroy()
    assert not any(complaints), "".join(complaints)


@pytest.fixture
def cluster(make_cluster):
    return make_cluster()


@pytest.fixture
def standbys():
    """Of a cluster, and of each other: standbys.make(source)."""
    made = replicas.Replicas()
    yield made
    made.destroy()


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.report_of_call = outcome.get_result()
