"""The disk below a mount: full, or without power in the middle of something."""

import errno
import fcntl
import os
import stat
import struct
import subprocess

import pytest

import machine
from filesystem import Mounted
from filesystem_pair import fill

pytestmark = pytest.mark.usefixtures("mountable")

EXT4_IOC_SHUTDOWN, WITHOUT_THE_LOG = 0x8004587D, struct.pack("I", 2)


def make_disk(path, size, features):
    with open(path, "wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", "-O", features, path], check=True)


def attach(disk, place):
    if subprocess.run(["mount", "-o", "loop", disk, place]).returncode != 0:
        machine.skip("no loop devices here")


@pytest.mark.root
def test_a_full_disk(tmp_path):
    """In the middle of a copy-up the lower stays what is seen; what needs no space goes on working."""
    mounted = Mounted(tmp_path)
    make_disk(tmp_path / "disk", 16 << 20, "^has_journal")
    attach(tmp_path / "disk", mounted.environment)
    try:
        fill(mounted.lower)
        (mounted.lower / "large").write_bytes(b"large" * (5 << 20))
        root = mounted.mount()
        before = (root / "large").stat()
        with pytest.raises(OSError) as failure:
            with open(root / "large", "r+b") as file:
                file.write(b"x")
        assert failure.value.errno == errno.ENOSPC
        after = (root / "large").stat()
        assert (after.st_size, after.st_mtime_ns, after.st_ino) == \
            (before.st_size, before.st_mtime_ns, before.st_ino)
        assert (root / "large").read_bytes() == b"large" * (5 << 20)
        assert not (mounted.upper / "large").exists() and os.listdir(mounted.work) == ["whiteout"]
        with pytest.raises(OSError) as failure:
            with open(root / "filler", "wb", buffering=0) as file:
                while file.write(bytes(1 << 20)):
                    pass
        assert failure.value.errno == errno.ENOSPC
        with pytest.raises(OSError) as failure:
            (root / "dir" / "sub" / "deep").write_bytes(bytes(1 << 20))
        assert failure.value.errno == errno.ENOSPC
        os.unlink(root / "filler")
        (root / "dir" / "sub" / "deep").write_bytes(b"there is space")
        mounted.remount()
        assert (root / "dir" / "sub" / "deep").read_bytes() == b"there is space"
        assert (root / "large").read_bytes()[:10] == b"largelarge"
        mounted.unmount()
    finally:
        mounted.close()
        subprocess.run(["umount", mounted.environment], check=True)


def cut_the_power(place):
    """Nothing reaches the disk from here on, not even what the file system's log holds."""
    fd = os.open(place, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, WITHOUT_THE_LOG)
    finally:
        os.close(fd)


def sync(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


SYNCED = {
    "first write": (lambda root: (root / "file").write_bytes(b"changed"), "file",
                    lambda root: (root / "file").read_bytes() == b"changed"),
    "deep below": (lambda root: (root / "dir" / "sub" / "deep").write_bytes(b"changed"), "dir/sub/deep",
                   lambda root: (root / "dir" / "sub" / "deep").read_bytes() == b"changed"),
    "mode": (lambda root: (root / "big").chmod(0o600), "big",
             lambda root: stat.S_IMODE((root / "big").stat().st_mode) == 0o600),
    "new file": (lambda root: (root / "dir" / "new").write_bytes(b"new"), "dir/new",
                 lambda root: (root / "dir" / "new").read_bytes() == b"new"),
    "new name": (lambda root: os.rename(root / "file", root / "dir" / "moved"), "dir",
                 lambda root: (root / "dir" / "moved").read_bytes() == b"lower file\n"),
    "renamed directory": (lambda root: os.rename(root / "dir", root / "elsewhere"), ".",
                          lambda root: (root / "elsewhere" / "sub" / "deep").read_bytes() == b"deep\n"),
    "removed": (lambda root: os.unlink(root / "dir" / "many-1"), "dir",
                lambda root: not (root / "dir" / "many-1").exists()),
    "mode of what is in the image": (lambda root: (root / "kept").chmod(0o600), ".",
                                     lambda root: (root / "kept").read_bytes() == b"kept inside\n"),
    "made and filled": (lambda root: ((root / "made").mkdir(), (root / "made" / "in").write_bytes(b"in")), "made/in",
                        lambda root: (root / "made" / "in").read_bytes() == b"in"),
}


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("what", list(SYNCED))
def test_what_was_synced_is_there_after_a_power_cut(tmp_path, what):
    """And what was not is there as a whole or as it was."""
    change, synced, is_there = SYNCED[what]
    mounted = Mounted(tmp_path)
    make_disk(tmp_path / "disk", 64 << 20, "has_journal")
    attach(tmp_path / "disk", mounted.environment)
    try:
        fill(mounted.lower)
        (mounted.lower / "kept.inline").write_bytes(b"kept inside\n")
        root = mounted.mount()
        (root / "script").write_bytes(b"before")  # so that the first copy-up is not all there is
        sync(root / "script")
        change(root)
        sync(root / synced)
        (root / "readonly").chmod(0o640)
        cut_the_power(mounted.environment)
        mounted.abandon()
        subprocess.run(["umount", mounted.environment], check=True)
        attach(tmp_path / "disk", mounted.environment)
        root = mounted.mount()
        assert is_there(root)
        assert (root / "script").read_bytes() == b"before"
        assert (root / "readonly").read_bytes() == b"read only\n"
        assert stat.S_IMODE((root / "readonly").stat().st_mode) in (0o444, 0o640)
        mounted.unmount()
    finally:
        mounted.close()
        subprocess.run(["umount", mounted.environment], check=True)
