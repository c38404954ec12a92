"""What memory a process has in its mappings, from /proc. The harness in bench/ reads it here, too."""

import pathlib


def kilobytes(pid, field, built):
    """The sum of a field, such as Rss or Anonymous: of the files of an index that the process builds in memory, or of all
    other mappings. No other memory is kept from the processes that it starts (dc)."""
    total = one = 0
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, *values = line.split()
        if name == f"{field}:":
            one = int(values[0])
        elif name == "VmFlags:" and ("dc" in values) == built:
            total += one
    return total
