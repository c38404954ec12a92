"""A control group that a server is held in, so that its tables are larger than its memory. Groups of version 1
or 2, whichever the system has mounted."""

import os
import pathlib

MOUNT = pathlib.Path("/sys/fs/cgroup")
VERSION_2 = (MOUNT / "cgroup.controllers").exists()
PARENT = MOUNT if VERSION_2 else MOUNT / "memory"
FOLDER = PARENT / "dvec-bench"


def make():
    """Only root can; others use what is there. It stays, without processes."""
    try:
        FOLDER.mkdir(exist_ok=True)
    except OSError:
        pass


class MemoryGroup:
    """Within it this process, and all that it starts, may use so many bytes, pages of files included.
    Raises OSError where there is no such group."""

    def __init__(self, limit):
        self.limit = limit
        self.before = PARENT / own_path()

    def __enter__(self):
        name = "memory.max" if VERSION_2 else "memory.limit_in_bytes"
        (FOLDER / name).write_text(str(self.limit))
        (FOLDER / "cgroup.procs").write_text(str(os.getpid()))

    def __exit__(self, *_):
        (self.before / "cgroup.procs").write_text(str(os.getpid()))


def own_path():
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if (controllers == "") if VERSION_2 else ("memory" in controllers.split(",")):
            return path.lstrip("/")
    raise OSError("this process is in no group that limits memory")


def forget_pages(folder):
    """Writes what is in these files and drops them from memory, so that the next reader pays for them."""
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            forget_file(path)


def forget_file(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
