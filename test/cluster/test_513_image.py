"""What the image of docker/Dockerfile runs in a new server, and what it shows."""

from cluster import ROOT


def test_statements_of_the_image(make_cluster):
    cluster = make_cluster()
    # As the image's entrypoint does it, in the order of names, in the database that it makes.
    cluster.sql("CREATE DATABASE shop")
    cluster.psql("-f", str(ROOT / "docker/create-extension.sql"), dbname="shop")
    cluster.sql("CREATE DATABASE later")
    for database in ("shop", "later"):
        assert cluster.sql("SELECT extname FROM pg_extension WHERE extname = 'dvec'", dbname=database) == [("dvec",)]
        shown = cluster.psql("-A", "-t", "-f", str(ROOT / "docker/example.sql"), dbname=database)
        assert "Index Scan using points_embedding_idx" in shown
        assert "42|0.0000" in shown.splitlines()
        assert "points_embedding_idx|ready|10000|0" in shown.splitlines()
