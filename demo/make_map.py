#!/usr/bin/env python3
"""Makes the map that the demo's page shows: a place in the plane for each package, near those that mean nearly the
same, and names for the regions.

This is how packages.map and regions.tsv in demo/data came to be; the demo itself never runs it. It needs, best in
a virtual environment:

    pip install numpy==2.4.6 scikit-learn==1.9.1

    python3 demo/make_map.py [--data FOLDER]

reads packages.tsv and packages.i8 in FOLDER and writes the other two beside them. The places are those of t-SNE by cosine
distance, turned so that the map is wide; a region is what k-means makes of the places, named by the words that its
descriptions have more often than those of others. The byte format is in README.md there.
"""

import argparse
import collections
import math
import re
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

DIMENSIONS = 384
ROW = np.dtype([("scale", "<f4"), ("code", "i1", (DIMENSIONS,))])
PLACE = np.dtype([("x", "<u2"), ("y", "<u2"), ("region", "u1")])
REGIONS = 42
SEED = 1
MOST = 65535

# Said of everything, or of nothing in particular.
IDLE = set("""a an and are as at based be by can common data debian development dummy easy extra extras file files for from generic
            gnu help in interface into is it its library libraries like linux main metapackage module modules more multi new of on one
            or other package packages plugin plugins program programs set simple small software support system that the this
            to tool tools toolkit transitional two use used user using utilities utility various version via with written your
            language implementation client server python3 documentation data2 environment framework application applications""".split())


def words(text):
    return {word for word in re.findall(r"[A-Za-z][A-Za-z0-9+#]+", text) if word.lower() not in IDLE}


def places(vectors):
    flat = TSNE(metric="cosine", init="pca", perplexity=30, learning_rate="auto", random_state=SEED,
                n_jobs=-1).fit_transform(vectors)
    return PCA(2).fit_transform(flat)


def spelled(word, spellings):
    """As most write it."""
    return spellings[word].most_common(1)[0][0]


def names_of(regions, descriptions):
    """Two words for each region: those that are frequent there and rare elsewhere."""
    spellings = collections.defaultdict(collections.Counter)
    inside = [collections.Counter() for _ in range(REGIONS)]
    for region, description in zip(regions, descriptions):
        for word in words(description):
            spellings[word.lower()][word] += 1
            inside[region][word.lower()] += 1
    everywhere = sum(inside, collections.Counter())
    names, taken = [], set()
    for counts in inside:
        total = sum(counts.values())
        score = {word: count * math.log(count / total / (everywhere[word] / everywhere.total()))
                 for word, count in counts.items() if word not in taken}
        best = sorted(score, key=score.get, reverse=True)
        first = best[0]
        # Not the plural of the first.
        second = next((word for word in best[1:] if word[:4] != first[:4] and score[word] > 0.5 * score[first]), None)
        taken.add(first)
        names.append(", ".join(spelled(word, spellings) for word in (first, second) if word))
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parent / "data")
    data = parser.parse_args().data
    codes = np.fromfile(data / "packages.i8", ROW)
    vectors = codes["scale"][:, None] * codes["code"].astype(np.float32)
    descriptions = [line.split("\t")[1] for line in (data / "packages.tsv").read_text(encoding="utf-8").splitlines()]
    assert len(descriptions) == len(vectors)

    at = places(vectors)
    grouped = KMeans(REGIONS, n_init=4, random_state=SEED).fit(at)
    low, width = at.min(axis=0), np.ptp(at, axis=0).max()

    def scaled(points):
        return np.rint((points - low) / width * MOST)

    rows = np.zeros(len(at), PLACE)
    rows["x"], rows["y"] = scaled(at).T
    rows["region"] = grouped.labels_
    rows.tofile(data / "packages.map")
    middles = scaled(np.array([np.median(at[grouped.labels_ == region], axis=0) for region in range(REGIONS)]))
    with open(data / "regions.tsv", "w", encoding="utf-8") as file:
        for (x, y), name in zip(middles, names_of(grouped.labels_, descriptions)):
            file.write(f"{x:.0f}\t{y:.0f}\t{name}\n")


if __name__ == "__main__":
    main()
