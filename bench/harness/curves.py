"""What a curve over ef says at a given recall."""

import math

RECALLS = (0.95, 0.99)


def points(results, dataset, peer, clients, metric, section="search"):
    """(recall, value, ef) in the order of ef."""
    keys = dict(section=section, dataset=dataset, peer=peer, clients=clients)
    found = []
    for ef in results.distinct("ef", **keys):
        recall = results.value("recall", ef=ef, **keys)
        value = results.value(metric, ef=ef, **keys)
        if recall is not None and value:
            found.append((recall, value, ef))
    return found


def at_recall(results, dataset, peer, clients, metric, recall, section="search"):
    """The value where the curve first reaches that recall: between two points on a straight line
    through the logarithms. None when it never does. A curve that begins above it gives its beginning,
    which is then less favourable than what was asked for."""
    before = None
    for point in points(results, dataset, peer, clients, metric, section):
        if point[0] >= recall:
            if before is None or point[0] == before[0]:
                return point[1]
            part = (recall - before[0]) / (point[0] - before[0])
            return math.exp((1 - part) * math.log(before[1]) + part * math.log(point[1]))
        before = point
    return None
