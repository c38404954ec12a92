"""The tables of the section `growth`."""

from harness.curves import RECALLS, at_recall
from harness.markdown import megabytes, number, table
from harness.targets import growth_lives, ratio, search_itself


def growth_table(results):
    return (f"{run_of_each(results)}\n\n"
            "Vectors as in `clustered-128`, compared by l2; a server for each line. *Peak* is the memory of the building "
            "session that is in no file, in MB; *cached* is how much of the index's files was in memory after the searches.\n\n" +
            growth_build_table(results) +
            "\nProcessor time of a query, between the two nearest ef on a straight line through the logarithms, and less what "
            "SQL costs without a search; *ef* is the least that was measured to reach the recall. *Times* is to the least "
            "number of rows.\n\n" + growth_search_table(results) +
            "\nRows come in batches of 100, each a transaction, from one session; the rate ends when all are linked. *First* is the seconds until the first "
            "100 are linked, for which the worker gets to know the index; the rate is of those behind them. *Worker* is "
            "its memory that is in no file, for each row of the index: while it links, the most until it has done what it does "
            "when no more rows come, and then. *Right answer* is in seconds from the launch of the server after kill -9 of all "
            "its processes, *connects* to the first connection; the page cache is warm. VACUUM comes after every twentieth "
            "row was deleted. *Recall* is with the ef of the highest recall that is above.\n\n" + growth_life_table(results))


def run_of_each(results):
    """They may have been measured apart."""
    words = []
    for dataset, peer in growth_lives(results):
        keys = dict(section="growth", dataset=dataset, peer=peer, variant="run")
        [date] = results.select(metric="date", **keys)
        words.append(f"{number(results.value('rows', **keys))} rows, {peer.removeprefix('dvec, ')}: {date['value']}, "
                     f"{number(results.value('section_seconds', **keys) / 60)} minutes, others' processor use "
                     f"{number(results.value('others_cores', **keys))} cores")
    return "; ".join(words) + "."


def lines(results):
    """(what a line begins with, value of a metric of a variant)"""
    for dataset, peer in growth_lives(results):
        def value(variant, metric, dataset=dataset, peer=peer):
            return results.value(metric, section="growth", dataset=dataset, peer=peer, variant=variant)

        yield [f"{value('run', 'rows'):,.0f}", peer.removeprefix("dvec, ")], value


def whole_number(value):
    return "–" if value is None else f"{value:.0f}"


def growth_build_table(results):
    rows = []
    for begin, value in lines(results):
        seconds, count = value("index", "build_cpu_seconds"), value("run", "rows")
        rows.append(begin + [number(value("index", "build_seconds")), number(seconds), number(seconds / count * 1e6),
                             megabytes(value("index", "build_peak_bytes")), number(value("index", "row_bytes")),
                             megabytes(value("index", "cached_bytes"))])
    return table(["rows", "index", "build, s", "CPU s", "CPU µs a row", "peak", "bytes a row", "cached, MB"], rows)


def growth_search_table(results):
    rows = []
    lives = growth_lives(results)
    for (dataset, peer), (begin, value) in zip(lives, lines(results)):
        [first, *_] = [each for each, whose in lives if whose == peer]
        row = begin + [number(value("floor", "backend_cpu_us"))]
        for recall in RECALLS:
            itself = search_itself(results, dataset, peer, recall)
            row += [whole_number(value(f"ef, {recall:g}", "ef_search")),
                    number(at_recall(results, dataset, peer, 1, "backend_cpu_us", recall, "growth")), number(itself),
                    number(ratio(itself, search_itself(results, first, peer, recall)))]
        rows.append(row)
    head = ["rows", "index", "SQL, µs"]
    for recall in RECALLS:
        head += [f"recall {recall:g}: ef", "CPU µs", "less SQL", "times"]
    return table(head, rows)


def growth_life_table(results):
    rows = []
    for begin, value in lines(results):
        def cell(variant, metric, value=value):
            return number(value(variant, metric))

        worker = " / ".join(cell("insert", f"worker_row_bytes{which}") for which in ("_linking", "", "_after"))
        rows.append(begin + [cell("insert", "first_linked_seconds"), cell("insert", "sustained_rate"),
                             cell("insert", "server_cpu_us"), f"{value('insert', 'recall'):.4f}", worker,
                             cell("restart", "accepts_seconds"), cell("restart", "right_answer_seconds"),
                             cell("vacuum", "vacuum_seconds"), cell("vacuum", "vacuum_cpu_seconds"),
                             f"{value('vacuum', 'recall'):.4f}"])
    return table(["rows", "index", "first, s", "inserted/s", "server CPU µs a row", "recall then", "worker, bytes a row",
                  "connects, s", "right answer, s", "VACUUM, s", "CPU s", "recall then"], rows)
