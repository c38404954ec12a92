"""Where and with what was measured, and whether others were using the machine meanwhile."""

import contextlib
import datetime
import os
import pathlib
import platform
import re
import subprocess
import time

from harness.plan import ROOT

# Other processes' use of the processors, in cores, from which on numbers are marked.
QUIET = 0.1


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout.strip()
    except OSError:
        return ""


def facts():
    cpu = pathlib.Path("/proc/cpuinfo").read_text()
    names = re.findall(r"^model name\s*: (.*)$", cpu, re.M) or [platform.processor() or "unknown"]
    memory = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    isas = [isa for isa in ("avx2", "avx512f") if f" {isa}" in cpu]
    release = re.search(r'PRETTY_NAME="([^"]*)"', pathlib.Path("/etc/os-release").read_text())
    changed = "" if not output("git", "status", "--porcelain", "src") else ", with changes in src"
    return {
        "processor": f"{names[0]}, {os.cpu_count()} cores, {' '.join(isas)}",
        "virtual machine": "yes" if " hypervisor" in cpu else "no",
        "memory": f"{memory / 2**20:.0f} GB",
        "system": f"{release[1] if release else ''}, Linux {platform.release()}",
        "compiler": output("g++", "--version").splitlines()[0],
        "hnswlib": output("dpkg-query", "-W", "-f", "${Version}", "libhnswlib-dev"),
        "dvec": output("git", "describe", "--always", "--tags") + changed,
    }


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def busy_seconds():
    """Processor time that anybody has used since boot, and what a hypervisor took away."""
    fields = [int(each) for each in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    user, nice, system, idle, waiting, irq, softirq, steal = fields
    ticks = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / ticks, steal / ticks


def stat_fields(folder):
    """Of a process, by its folder in /proc: what its stat says behind the name of the command."""
    text = (folder / "stat").read_text()
    return text[text.rindex(")") + 2:].split()


def processes():
    """Process id -> (parent, stat_fields)."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                fields = stat_fields(entry)
                found[int(entry.name)] = (int(fields[1]), fields)
    return found


def is_alive(pid):
    """Neither gone nor a zombie, which holds no files and no memory once its last thread has ended."""
    folder = pathlib.Path("/proc") / str(pid)
    try:
        return stat_fields(folder)[0] != "Z" or len(list((folder / "task").iterdir())) > 1
    except OSError:
        return False


def tree_seconds(root):
    """Processor time of a process and everything below it, those that have ended and were waited for
    included."""
    found = processes()
    below = {root}
    grown = True
    while grown:
        more = {pid for pid, (parent, _) in found.items() if parent in below} - below
        below |= more
        grown = bool(more)
    ticks = sum(sum(map(int, found[pid][1][11:15])) for pid in below if pid in found)
    return ticks / os.sysconf("SC_CLK_TCK")


class Watch:
    """Over a section: how many cores others used on average, and how many the hypervisor took."""

    def __init__(self):
        self.begin = time.monotonic()
        self.busy, self.stolen = busy_seconds()
        self.ours = tree_seconds(os.getpid())

    def report(self):
        busy, stolen = busy_seconds()
        seconds = max(time.monotonic() - self.begin, 0.1)
        ours = tree_seconds(os.getpid()) - self.ours
        return {
            "others_cores": max(0.0, (busy - self.busy - ours) / seconds),
            "stolen_cores": (stolen - self.stolen) / seconds,
            "load_average": os.getloadavg()[0],
            "section_seconds": seconds,
        }
