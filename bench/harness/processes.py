"""What processes of a server use, from /proc."""

import contextlib
import pathlib
import threading

import smaps  # of test/cluster
from harness.machine import processes

SAMPLING_SECONDS = 0.5  # to tell it takes the system some milliseconds a gigabyte


def title(pid):
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def find_processes(server, names):
    """Name -> process ids, by what their titles contain."""
    found = {name: [] for name in names}
    for pid, (parent, _) in processes().items():
        if parent == server.process.pid:
            with contextlib.suppress(OSError):
                words = title(pid)
                for name, pids in found.items():
                    if name in words:
                        pids.append(pid)
    return found


def seconds_of(pids):
    """Processor time of all their threads."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def anonymous_bytes(pid):
    """Memory that is in no file and that nobody else has, but for what a process was forked with, and without the files
    of an index that it builds in memory."""
    return 1024 * smaps.kilobytes(pid, "Anonymous", built=False)


class PeakMemory:
    """The most anonymous memory that a process has had while this is entered, looked at now and then."""

    def __init__(self, pid):
        self.pid = pid
        self.bytes = anonymous_bytes(pid)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        with contextlib.suppress(OSError):  # when it has ended
            while not self.over.wait(SAMPLING_SECONDS):
                self.bytes = max(self.bytes, anonymous_bytes(self.pid))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
