"""The switches of test/faults/faults.c, a library in a server that makes its sidecar files fail."""

import contextlib
import mmap
import pathlib
import struct
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build/faults.so"


class Faults:
    def __init__(self, folder):
        assert LIBRARY.exists(), f"{LIBRARY} is missing; run make build/faults.so"
        self.folder = folder
        self.disk = folder / "disk"
        folder.mkdir()
        allocations = folder / "allocations"
        allocations.write_bytes(bytes(mmap.PAGESIZE))
        with open(allocations, "r+b") as file:
            self.allocations = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def environment(self):
        return {"LD_PRELOAD": str(LIBRARY), "DVEC_FAULTS": str(self.folder)}

    @contextlib.contextmanager
    def in_force(self, fault, files=""):
        """While it lasts `fault` (no_space, fail_sync, fail_read or stall_sync) strikes the files whose names begin so."""
        switch = self.folder / fault
        unfinished = self.folder / f"{fault}.new"
        unfinished.write_text(files)
        unfinished.rename(switch)
        try:
            yield
        finally:
            switch.unlink()

    @contextlib.contextmanager
    def failing_allocation(self, pid, number):
        """The allocation of that number, from 0, that C++ code in process `pid` makes from now on fails.
        Yields a function that says whether it came to that."""
        self.allocations[:24] = struct.pack("=iiqq", 0, 0, number, 0)
        self.allocations[:4] = struct.pack("=i", pid)
        try:
            yield lambda: struct.unpack("=q", self.allocations[16:24])[0] > 0
        finally:
            self.allocations[:4] = struct.pack("=i", 0)

    def mount(self, number):
        """The file system is mounted under this number, on the same boot; 0: the system tells none."""
        unfinished = self.folder / "mount.new"
        unfinished.write_text(f"{number}\n")
        unfinished.rename(self.folder / "mount")

    def another_boot(self):
        unfinished = self.folder / "boot_id.new"
        unfinished.write_text(f"{uuid.uuid4()}\n")
        unfinished.rename(self.folder / "boot_id")
