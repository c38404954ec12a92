"""Two result files of one machine, number by number. A number is a regression when it is worse by more than
its noise band and, where it was measured in several rounds, worse than every round of the old run.

The bands are for an idle machine and the full scale; two runs of one build show whether they hold.
"""

from harness.results import KEYS, Results

# Metric -> (direction: +1 more is better, -1 less is better, relative band).
BANDS = {
    "qps": (+1, 0.10),
    "backend_cpu_us": (-1, 0.07),
    "p50_us": (-1, 0.15),
    "p95_us": (-1, 0.20),
    "p99_us": (-1, 0.30),
    "build_seconds": (-1, 0.10),
    "build_cpu_seconds": (-1, 0.07),
    "index_bytes": (-1, 0.02),
    "burst_rate": (+1, 0.15),
    "sustained_rate": (+1, 0.15),
    "wal_bytes": (-1, 0.03),
    "first_us": (-1, 0.20),
    "private_bytes": (-1, 0.10),
    "ns": (-1, 0.10),
    "first_answer_seconds": (-1, 0.25),
    "index_used_seconds": (-1, 0.25),
}
RECALL_BAND = 0.005  # absolute
# Only ours can be a regression; a peer that moved says that the machine did.
OURS = {"dvec", "scalar", "avx2", "avx512", "neon"}


def judge(old, new):
    """Ratio new / old, and whether it is a regression, within the noise or an improvement."""
    metric, before, after = old["metric"], float(old["value"]), float(new["value"])
    if metric == "recall":
        change = after - before
        return change, "worse" if change < -RECALL_BAND else "better" if change > RECALL_BAND else ""
    direction, band = BANDS[metric]
    if before <= 0:
        return 1.0, ""
    ratio = after / before
    # So that both directions mean the same: above 1 is worse.
    cost = ratio if direction < 0 else before / max(after, 1e-30)
    if cost > 1 + band and apart(old, new, direction):
        return ratio, "worse"
    if 1 / cost > 1 + band and apart(new, old, direction):
        return ratio, "better"
    return ratio, ""


def apart(good, bad, direction):
    """Every round of one is better than every round of the other."""
    if direction > 0:
        return float(bad["high"]) < float(good["low"])
    return float(bad["low"]) > float(good["high"])


def compare(old_path, new_path):
    for path in (old_path, new_path):
        if not path.exists():
            print(f"bench/run: there is no {path}")
            return 2
    old, new = Results(old_path), Results(new_path)
    worse = better = same = peers_moved = 0
    print("| what | old | new | new / old | |\n|---|---|---|---|---|")
    for key, before in old.rows.items():
        after = new.rows.get(key)
        if after is None or before["metric"] not in BANDS and before["metric"] != "recall":
            continue
        ratio, verdict = judge(before, after)
        if not verdict:
            same += 1
            continue
        if before["peer"] not in OURS:
            peers_moved += 1
            verdict = "peer moved"
        elif verdict == "worse":
            worse += 1
        else:
            better += 1
        name = ", ".join(f"{part} {value}" if part in ("ef", "batch", "clients") else value
                         for part, value in zip(KEYS, key) if value)
        print(f"| {name} | {before['value']} | {after['value']} | {ratio:.3f} | {verdict} |")
    print(f"\n{worse} worse, {better} better, {same} within the noise; {peers_moved} numbers of peers "
          "moved, which means the machine did")
    if same + worse + better == 0:
        print("bench/run: the files have no number in common")
        return 2
    return 1 if worse else 0
