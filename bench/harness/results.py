"""The raw results: one CSV for each scale, a line per number. A run replaces the lines of the sections it
measured, of the sets that it was for, and leaves the others."""

import csv
import statistics

KEYS = ["section", "dataset", "peer", "variant", "clients", "ef", "batch", "metric"]
COLUMNS = KEYS + ["value", "low", "high", "rounds"]


class Results:
    def __init__(self, path):
        self.path = path
        self.rows = {}
        if path.exists():
            with open(path, newline="") as file:
                for row in csv.DictReader(file):
                    self.rows[tuple(row[key] for key in KEYS)] = row

    def save(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        with open(new, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows.values())
        new.rename(self.path)

    def forget(self, **keys):
        """All of a section, or less."""
        gone = [id(row) for row in self.select(**keys)]
        self.rows = {key: row for key, row in self.rows.items() if id(row) not in gone}

    def note(self, section, name, text, variant="", dataset=""):
        """A fact in words."""
        self.put(dict(section=section, metric=name, value=text, variant=variant, dataset=dataset))

    def add(self, rounds, **keys):
        """Numbers by name, one dict for each round."""
        for metric in rounds[0]:
            values = [each[metric] for each in rounds]
            self.put(dict(keys, metric=metric, value=f"{statistics.median(values):.6g}",
                          low=f"{min(values):.6g}", high=f"{max(values):.6g}",
                          rounds=len(values)))

    def put(self, row):
        row = {column: str(row.get(column, "")) for column in COLUMNS}
        self.rows[tuple(row[key] for key in KEYS)] = row

    # ---- reading ----

    def select(self, **keys):
        keys = {name: str(value) for name, value in keys.items()}
        return [row for row in self.rows.values()
                if all(row[name] == value for name, value in keys.items())]

    def value(self, metric, **keys):
        """The number, or None when it was not measured."""
        for name in KEYS[:-1]:
            keys.setdefault(name, "")
        rows = self.select(metric=metric, **keys)
        return float(rows[0]["value"]) if rows else None

    def words(self, section, name):
        rows = self.select(section=section, metric=name)
        return rows[0]["value"] if rows else ""

    def distinct(self, column, **keys):
        """Values of a column in the order they were measured; numbers as numbers, in their own."""
        found = list(dict.fromkeys(row[column] for row in self.select(**keys) if row[column] != ""))
        return sorted(map(int, found)) if all(each.isdigit() for each in found) else found
