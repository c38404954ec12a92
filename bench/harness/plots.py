"""Curves as SVG, by matplotlib where it is installed."""

from harness.curves import points

COLOURS = {"dvec": "#1b6ca8", "pgvector": "#c8553d", "hnswlib": "#588b3b"}


def recall_curves(results, folder, name):
    """One figure for each set: recall@10 over queries per second of one client, and over processor time.
    Returns the paths; none without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        print("no plots: python3-matplotlib is not installed")
        return []
    matplotlib.use("svg")
    # Equal numbers make equal files.
    matplotlib.rcParams.update({"svg.hashsalt": "dvec", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    paths = []
    folder.mkdir(parents=True, exist_ok=True)
    for dataset in results.distinct("dataset", section="search"):
        figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
        for axis, metric, label in ((axes[0], "qps", "queries per second, one client"),
                                    (axes[1], "backend_cpu_us", "processor time per query, µs")):
            for peer, colour in COLOURS.items():
                curve = points(results, dataset, peer, 1, metric)
                if curve:
                    axis.plot([point[1] for point in curve], [point[0] for point in curve],
                              marker="o", markersize=3, color=colour, label=peer)
            axis.set(xscale="log", xlabel=label, ylabel="recall@10")
            axis.grid(alpha=0.3, which="both", linewidth=0.5)
        axes[0].legend()
        figure.suptitle(dataset)
        path = folder / f"{name}-{dataset}.svg"
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
        paths.append(path)
    return paths
