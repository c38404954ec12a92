"""The switches of test/faults/faults.c, a library in a server that makes its sidecar files fail."""

import contextlib
import pathlib
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build/faults.so"


class Faults:
    def __init__(self, folder):
        assert LIBRARY.exists(), f"{LIBRARY} is missing; run make build/faults.so"
        self.folder = folder
        self.disk = folder / "disk"
        folder.mkdir()

    def environment(self):
        return {"LD_PRELOAD": str(LIBRARY), "DVEC_FAULTS": str(self.folder)}

    @contextlib.contextmanager
    def in_force(self, fault, files=""):
        """While it lasts `fault` (no_space or fail_sync) strikes the files whose names begin so."""
        switch = self.folder / fault
        unfinished = self.folder / f"{fault}.new"
        unfinished.write_text(files)
        unfinished.rename(switch)
        try:
            yield
        finally:
            switch.unlink()

    def another_boot(self):
        unfinished = self.folder / "boot_id.new"
        unfinished.write_text(f"{uuid.uuid4()}\n")
        unfinished.rename(self.folder / "boot_id")
