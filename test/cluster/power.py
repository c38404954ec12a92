"""What a loss of power leaves of the sidecar files, made from what they hold now and from what
test/faults/faults.c saw synced.

Every page (4096 bytes) that differs is, by itself, as it was synced last or as it is now, or now and
then a mixture by sectors of 512 bytes. A file keeps its inode. What lies behind its synced size may be
there, be zeros or be cut off. A name whose folder was not synced since may be there or not, or lead to
what it led to before. PostgreSQL's own files stay: they have more than any disk would, which is what
its write-ahead log promises.
"""

import collections
import os
import random

PAGE = 4096
SECTOR = 512


class Chances:
    """How much is lost: all, nothing, or any part. Chosen once, since extremes find what mixtures of
    everything do not."""

    def __init__(self, seed, keep):
        self.random = random.Random(f"power {seed}")
        chosen = self.random.choice([0.0, 0.0, 0.1, 0.5, 0.9, 1.0, self.random.random()])
        self.keep = chosen if keep is None else keep
        self.keep_name = self.random.choice([0.0, 0.5, 1.0])
        self.tear = self.random.choice([0.0, 0.0, 0.2])

    def kept(self):
        return self.random.random() < self.keep

    def name_kept(self):
        return self.random.random() < self.keep_name


def cut(root, disk, seed, keep=None):
    """Changes the files under `root`; returns counts of what happened. `keep` is the part of what was
    not synced that survives; by default the seed decides."""
    chances = Chances(seed, keep)
    lost = collections.Counter(keep=f"{chances.keep:.2f}", keep_name=chances.keep_name,
                               tear=chances.tear)
    if root.is_dir():
        lose_names_below(root, disk, chances, lost)
        for folder, _, names in os.walk(root):
            for name in sorted(names):
                lose_pages(os.path.join(folder, name), disk, chances, lost)
    settle(root, disk)
    return dict(lost)


def pages_of(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def lose_pages(path, disk, chances, lost):
    present = pages_of(path)
    synced = pages_of(disk / str(os.stat(path).st_ino))
    size = chances.random.choice([len(synced), len(present)])
    if len(present) > len(synced) and chances.random.random() < 0.3:
        # A longer file may have become so in part.
        size = chances.random.randrange(len(synced), len(present) + 1, PAGE)
    with open(path, "r+b", buffering=0) as file:
        for start in range(0, min(size, max(len(present), len(synced))), PAGE):
            now = present[start:start + PAGE].ljust(PAGE, b"\0")
            then = synced[start:start + PAGE].ljust(PAGE, b"\0")
            if now == then:
                continue
            after = page_after(now, then, chances)
            if after != now:
                lost["pages"] += 1
                os.pwrite(file.fileno(), after[:size - start], start)
        if size != len(present):
            lost["sizes"] += 1
            os.ftruncate(file.fileno(), size)


def page_after(now, then, chances):
    if chances.random.random() < chances.tear:
        return b"".join((now if chances.kept() else then)[at:at + SECTOR]
                        for at in range(0, PAGE, SECTOR))
    return now if chances.kept() else then


def synced_names(folder, disk):
    """Name -> inode, as the folder was synced; None if it never was."""
    try:
        lines = (disk / f"names.{os.stat(folder).st_ino}").read_text().splitlines()
    except FileNotFoundError:
        return {}
    return {name: int(inode) for inode, name in (line.split(" ", 1) for line in lines)}


def lose_names_below(folder, disk, chances, lost):
    synced = synced_names(folder, disk)
    for name in sorted(os.listdir(folder)):
        path = folder / name
        if synced.get(name) == os.lstat(path).st_ino or chances.name_kept():
            continue
        lost["names"] += 1
        forget(path)
    inodes = {os.lstat(folder / name).st_ino: name for name in os.listdir(folder)}
    for name, inode in sorted(synced.items()):
        path = folder / name
        if path.exists() or chances.name_kept():
            continue
        gone = disk / f"gone.{os.stat(folder).st_ino}.{name}"
        if gone.exists():
            # Its inode was freed here; the file comes back as another.
            path.write_bytes(gone.read_bytes())
            path.chmod(0o600)
            (disk / str(path.stat().st_ino)).write_bytes(gone.read_bytes())
            lost["risen"] += 1
        elif inode in inodes:
            os.rename(folder / inodes[inode], path)
            lost["renamed"] += 1
    for name in sorted(os.listdir(folder)):
        if (folder / name).is_dir():
            lose_names_below(folder / name, disk, chances, lost)


def forget(path):
    if path.is_dir() and not path.is_symlink():
        for entry in path.iterdir():
            forget(entry)
        path.rmdir()
    else:
        path.unlink()


def settle(root, disk):
    """What came through is on disk now."""
    for entry in disk.iterdir():
        entry.unlink()
    for folder, folders, names in os.walk(root):
        lines = [f"{os.lstat(os.path.join(folder, name)).st_ino} {name}\n" for name in folders + names]
        (disk / f"names.{os.stat(folder).st_ino}").write_text("".join(lines))
        for name in names:
            path = os.path.join(folder, name)
            (disk / str(os.stat(path).st_ino)).write_bytes(pages_of(path))
