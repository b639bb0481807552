"""Disks of a test's own, each a file on a loop device: one may fill them, limit them, cut their power."""

import ctypes
import errno
import os
import shutil
import subprocess
import time
from contextlib import contextmanager

import machine
from filesystem import libc


def make_ext4(path, size, features):
    _make(path, size, "mkfs.ext4", "-q", "-O", features)


def make_btrfs(path, size=128 << 20):
    if not shutil.which("mkfs.btrfs"):
        machine.skip("mkfs.btrfs is not installed (on Debian: apt-get install btrfs-progs)")
    _make(path, size, "mkfs.btrfs", "-q")


def _make(path, size, *command):
    with open(path, "wb") as file:
        file.truncate(size)
    subprocess.run([*command, path], check=True, capture_output=True)


def attach(disk, place, options="loop"):
    """A mount namespace that somebody made may keep the disk that @disk is a copy of alive for a while."""
    deadline = time.monotonic() + 60
    while True:
        done = subprocess.run(["mount", "-o", options, disk, place], capture_output=True, text=True)
        if done.returncode == 0:
            return
        if "File exists" not in done.stderr or time.monotonic() > deadline:
            machine.skip(f"no loop devices here, or no such file system: {done.stderr.strip()}")
        time.sleep(0.1)


@contextmanager
def attached(disk, place, options="loop"):
    attach(disk, place, options)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


def sync_disk(place):
    """All that is on the disk of @place, and only that."""
    fd = os.open(place, os.O_RDONLY)
    try:
        if libc.syncfs(fd) != 0:
            raise OSError(ctypes.get_errno(), "syncfs")
    finally:
        os.close(fd)


def as_it_is(disk, copy):
    """What a power cut at this moment would leave of @disk, as a copy: what the kernel knows of @disk itself
    outlives an unmount where a mount namespace has it too."""
    subprocess.run(["cp", "--sparse=always", disk, copy], check=True)


def set_quota(place, size):
    """All files on the btrfs at @place together take @size bytes at most."""
    subprocess.run(["btrfs", "quota", "enable", place], check=True, capture_output=True)
    subprocess.run(["btrfs", "qgroup", "limit", str(size), place], check=True, capture_output=True)


def fill_up(path, place):
    """Writes to @path until the disk or the quota of @place has no block left, and returns the errno."""
    failed = None
    with open(path, "ab", buffering=0) as file:
        written = True
        while written:
            written = False
            try:
                while file.write(bytes(64 << 10)):
                    written = True
            except OSError as error:
                failed = error.errno
            # What was set apart for the writing itself is free again.
            sync_disk(place)
    assert failed in (errno.ENOSPC, errno.EDQUOT)
    return failed
