"""Qdrant's engine as a peer of the section on filters: a process that has the package qdrant-edge-py
(bench/peers/qdrant_filter.py), fed with the rows and the questions that dvec's table has."""

import json
import subprocess

from harness import plan

SCRIPT = plan.ROOT / "bench/peers/qdrant_filter.py"


class Qdrant:
    """Of a table of the section: its payloads are read from there, its vectors from the file that was loaded."""

    def __init__(self, python, table, files, repeated):
        self.process = subprocess.Popen([python, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        rows = table.session.connection.execute(
            f"SELECT id, number, region FROM {table.name} ORDER BY id").fetchall()
        ids, numbers, regions = zip(*rows)
        self.facts = self.ask({
            "base": str(files.base), "folder": str(plan.BUILD), "ids": ids, "numbers": numbers, "regions": regions,
            "dimensions": int(files.described()["dimensions"]), "metric": table.dataset.metric, "m": plan.M,
            "ef_construction": plan.EF_CONSTRUCTION, "k": plan.K, "repeated": repeated})

    def ask(self, question):
        print(json.dumps(question), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{SCRIPT.name} failed")
        return json.loads(line)

    def answers(self, conditions, asking, ef):
        """Of each vector the ids, and the processor time of one answer in microseconds."""
        found = self.ask({"ef": ef, "vectors": [json.loads(vector) for vector in asking], "conditions": conditions})
        return [set(ids) for ids in found["ids"]], found["cpu_us"]

    def end(self):
        self.process.stdin.close()
        self.process.wait()
