"""What tests need of the machine that they run on: supported Pythons, an ordinary user, /dev/fuse, the
table of mounts; and what a test does that finds something missing.

Environment variables that tests obey are listed in docs/development.md.
"""

import ctypes
import functools
import json
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

MUST_WORK = os.environ.get("VENVFS_MUST_WORK") == "1"
TEST_USER = "venvfs-test"
OLDEST_PYTHON, NEWEST_PYTHON = (3, 8), (3, 15)

if sys.version_info < (3, 9):
    raise RuntimeError("the integration tests need Python 3.9 or newer to run them")


def skip(reason):
    """Skips the running test; where everything must work, fails it instead."""
    if MUST_WORK:
        pytest.fail(f"skipped although VENVFS_MUST_WORK=1: {reason}", pytrace=False)
    pytest.skip(reason)


# Interpreters


@dataclass(frozen=True)
class Interpreter:
    path: str
    version: tuple
    ensurepip: bool

    @property
    def minor(self):
        return "%d.%d" % self.version[:2]

    @property
    def tag(self):
        return "cpython-%d%d" % self.version[:2]


_PROBE = (
    "import sys, json, importlib.util as u;"
    "print(json.dumps([sys.version_info[:3], sys.implementation.name,"
    " bool(u.find_spec('ensurepip') and u.find_spec('venv'))]))"
)


def _probe(path, user=None):
    try:
        done = subprocess.run([path, "-I", "-S", "-c", _PROBE], capture_output=True, text=True,
                              timeout=30, cwd="/", **user_options(user))
        version, implementation, ensurepip = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if implementation != "cpython" or not OLDEST_PYTHON <= tuple(version[:2]) <= NEWEST_PYTHON:
        return None
    return Interpreter(path, tuple(version), ensurepip)


@functools.cache
def find_interpreters(user=None):
    """The supported Pythons of this machine that @user can run, one per minor version, oldest first.

    VENVFS_TEST_PYTHONS (a list separated by ':') replaces the search."""
    listed = os.environ.get("VENVFS_TEST_PYTHONS")
    if listed:
        candidates = listed.split(":")
    else:
        roots = [os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv", "/opt/pyenv"]
        candidates = [str(path) for root in roots if root
                      for path in sorted(Path(root).glob("versions/*/bin/python"))]
        for folder in ("/usr/local/bin", "/usr/bin"):
            candidates += sorted(str(path) for path in Path(folder).glob("python3.*")
                                 if re.fullmatch(r"python3\.\d+", path.name))
    found = {}
    for candidate in candidates:
        interpreter = _probe(candidate, user)
        if interpreter and (interpreter.minor not in found
                            or interpreter.ensurepip > found[interpreter.minor].ensurepip):
            found[interpreter.minor] = interpreter
    return sorted(found.values(), key=lambda interpreter: interpreter.version)


def preferred(interpreters):
    """CPython 3.13 where it is there, else the next older one that can seed pip, else the newest."""
    usable = [one for one in interpreters if one.ensurepip]
    if not usable:
        skip("no supported Python with ensurepip is here (on Debian: apt-get install python3-venv)")
    return ([one for one in usable if one.version < (3, 14)] or usable)[-1]


# Users


def user_options(user):
    """Arguments for subprocess that make a child run as @user, a pwd entry or None."""
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def ordinary_user():
    """An ordinary user to run things as while the suite is root; made when it is not there."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return pwd.getpwnam(TEST_USER)
        except KeyError:
            pass
        done = subprocess.run(["useradd", "--system", "--user-group", "--no-create-home",
                               "--home-dir", "/nonexistent", "--shell", "/bin/sh", TEST_USER],
                              capture_output=True, text=True)
        # Of two who make it at once, one is refused the lock, and may look before the other is done.
        if done.returncode != 0 and time.monotonic() > deadline:
            skip(f"no ordinary user to run as: useradd {TEST_USER}: {done.stderr.strip()}")
        time.sleep(0.1)


# FUSE and mounts


def unescape(path):
    """A path as /proc/self/mountinfo writes it."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


def mounts_below(root, kind=""):
    """Mount points at or below @root, deepest last mounted first; @kind: of types that begin so."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            fields = line.split()
            path = unescape(fields[4])
            below = path == str(root) or path.startswith(f"{str(root).rstrip('/')}/")
            if below and fields[fields.index("-") + 1].startswith(kind):
                found.append(path)
    return found[::-1]


def open_fuse_to_users():
    """Where /dev/fuse is closed to ordinary users, as udev never leaves it: moves this process, if it is
    root, to a mount namespace of its own with an open one. Nothing else on the machine notices."""
    CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x20000, 0x1000, 0x4000, 0x40000, 2
    device = Path("/dev/fuse")
    if os.getuid() != 0 or not device.exists() or device.stat().st_mode & 0o666 == 0o666:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    folder = tempfile.mkdtemp(prefix="vf-dev-")

    def demand(result, what):
        if result != 0:
            raise OSError(ctypes.get_errno(), what)

    demand(libc.unshare(CLONE_NEWNS), "unshare")
    demand(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "mount --make-rprivate")
    # Copies of other people's mounts would keep those alive after they were unmounted.
    for path in mounts_below("/", "fuse"):
        libc.umount2(path.encode(errors="surrogateescape"), MNT_DETACH)
    demand(libc.mount(b"none", folder.encode(), b"tmpfs", 0, None), "mount -t tmpfs")
    os.mknod(f"{folder}/fuse", 0o666 | stat.S_IFCHR, device.stat().st_rdev)
    os.chmod(f"{folder}/fuse", 0o666)
    demand(libc.mount(f"{folder}/fuse".encode(), b"/dev/fuse", None, MS_BIND, None), "mount --bind")
    demand(libc.umount2(folder.encode(), MNT_DETACH), "umount -l")
    os.rmdir(folder)


def have_fuse():
    """Why nothing can be mounted here, or None when it can."""
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse here (in a container: --device /dev/fuse)"
    if os.getuid() != 0 and not shutil.which("fusermount3"):
        return "fusermount3 is not installed (on Debian: apt-get install fuse3)"
    return None
