"""The tables of the section `memory`."""

from harness.curves import RECALLS, at_recall
from harness.markdown import megabytes, number, table
from harness.targets import ratio


def memory_table(results):
    limits = ", ".join(f"{row['dataset']} {megabytes(float(row['value']))}" for row in results.select(
        section="memory", variant="limit", metric="limit_bytes"))
    text = ("Bytes of a row in the index, in memory when it is used; room in dvec's files for further rows is left out. "
            "*Cached* is how much of its files was in memory, in MB, after the searches; pgvector has pages in "
            "`shared_buffers` as well. QPS and processor time of one client are between the two nearest points of a curve over ef, "
            "on a straight line through the logarithms.\n\n" + memory_size_table(results) + "\n" +
            memory_speed_table(results) + memory_made_text(results))
    if limits:
        text += ("\nThe same queries, each way with the ef (or what it has instead) that reached that recall above, by a server "
                 "that may use a quarter of what pgvector's index of whole vectors takes, and 64 MB (MB in all: "
                 f"{limits}), pages of files included. It starts with none of its files in memory. The table is read from the "
                 "disk as well. Recall is of the first 50 queries; the others are asked once, as many as there is time for."
                 "\n\n" + memory_limited_table(results))
    refused = [[row["variant"], row["value"]] for row in results.select(section="memory", metric="refused")]
    return text + ("\nNot known to the server that was measured:\n\n" + table(["", ""], refused) if refused else "")


def memory_ways(results):
    """Data sets and the ways that were measured on each."""
    return [(row["dataset"], row["peer"])
            for row in results.select(section="memory", variant="index", metric="row_bytes")]


def memory_size_table(results):
    rows = []
    for dataset, peer in memory_ways(results):
        keys = dict(section="memory", dataset=dataset, peer=peer, variant="index")
        whole = results.value("row_bytes", **(keys | {"peer": "pgvector, vector"}))
        size = results.value("row_bytes", **keys)
        rows.append([dataset, peer, number(size), number(ratio(size, whole))] +
                    [number(results.value(f"row_{part}", **keys)) for part in ("links", "codes", "vectors", "upper")] +
                    [megabytes(results.value("cached_bytes", **keys)), number(results.value("build_seconds", **keys)),
                     number(results.value("build_cpu_seconds", **keys))])
    return table(["vectors", "index", "bytes a row", "of pgvector's", "links", "codes", "vectors", "upper", "cached, MB",
                  "build, s", "CPU s"], rows)


def memory_speed_table(results):
    rows = []
    for dataset, peer in memory_ways(results):
        row = [dataset, peer]
        for recall in RECALLS:
            def at(metric, whose=peer):
                return at_recall(results, dataset, whose, 1, metric, recall, "memory")

            row += [number(at("qps")), number(at("backend_cpu_us")), number(ratio(at("qps"), at("qps", "pgvector, vector"))),
                    number(ratio(at("qps"), at("qps", "dvec, full")))]
        rows.append(row)
    head = ["vectors", "index"]
    for recall in RECALLS:
        head += [f"recall {recall:g}, QPS", "CPU µs", "× pgvector's", "× full"]
    return table(head, rows)


def memory_made_text(results):
    """Of those that know no ef, or not by that name."""
    rows = []
    for row in results.select(section="memory", metric="curve"):
        if row["value"] != "hnsw.ef_search":
            [made] = results.select(section="memory", dataset=row["dataset"], peer=row["peer"], metric="made")
            rows.append([row["dataset"], row["peer"], f"`{made['value']}`", f"`{row['value']}`"])
    if not rows:
        return ""
    versions = " and ".join(f"{row['variant']} {row['value']}" for row in results.select(section="memory", metric="version"))
    return (f"\nOthers that index pgvector's types, on pgvector's server, as their documentation says: {versions}. Their "
            "curves go over a setting of their own instead of ef:\n\n" + table(["vectors", "index", "made", "over"], rows))


def memory_limited_table(results):
    rows = []
    for row in results.select(section="memory", metric="ef_search"):
        keys = dict(section="memory", dataset=row["dataset"], peer=row["peer"], variant=row["variant"])

        def value(metric, **more):
            return results.value(metric, **(keys | more))

        read = value("backend_read_bytes")
        rows.append([row["dataset"], row["peer"], row["variant"].split(", ")[1], row["value"], f"{value('recall'):.3f}",
                     number(value("qps")), number(value("p50_us") / 1000), number(value("p99_us") / 1000),
                     megabytes(read), number(ratio(value("qps"), value("qps", peer="pgvector, vector")))])
    return table(["vectors", "index", "recall wanted", "at", "found", "QPS", "p50 ms", "p99 ms", "MB read a query",
                  "× pgvector's QPS"], rows)
