"""A mount of any directory, without the command line: for tests of the file system alone."""

import ctypes
import errno
import functools
import json
import os
import pickle
import select
import stat
import subprocess
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path

import support

OPCODES = {1: "LOOKUP", 3: "GETATTR", 4: "SETATTR", 5: "READLINK", 6: "SYMLINK", 8: "MKNOD",
           9: "MKDIR", 10: "UNLINK", 11: "RMDIR", 12: "RENAME", 13: "LINK", 14: "OPEN", 15: "READ",
           16: "WRITE", 17: "STATFS", 18: "RELEASE", 20: "FSYNC", 21: "SETXATTR", 22: "GETXATTR",
           23: "LISTXATTR", 24: "REMOVEXATTR", 25: "FLUSH", 26: "INIT", 27: "OPENDIR",
           28: "READDIR", 30: "FSYNCDIR", 35: "CREATE", 39: "IOCTL", 43: "FALLOCATE",
           44: "READDIRPLUS", 45: "RENAME2", 46: "LSEEK", 47: "COPY_FILE_RANGE", 51: "TMPFILE",
           53: "COPY_FILE_RANGE_64"}

RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
MS_NOSUID, MS_NODEV, MS_REMOUNT = 2, 4, 32
AT_FDCWD = -100
libc = ctypes.CDLL(None, use_errno=True)


@functools.cache
def daemon_has(feature):
    """Whether the build under test has found @feature, see fs/meson.build, in its libfuse."""
    return f"-DHAVE_{feature} " in (support.BUILD / "compile_commands.json").read_text()


def renameat2(old, new, flags):
    if libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), old)


def give_name(fd, path):
    """To a file without one. With a directory, which the absolute path makes nothing of, os.link() calls
    linkat(2) with AT_SYMLINK_FOLLOW."""
    os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)


def brief(node):
    """What must be equal of the attributes of @node, a path or what stat(2) said."""
    st = node if isinstance(node, os.stat_result) else os.lstat(node)
    size = 0 if stat.S_ISDIR(st.st_mode) else st.st_size
    return oct(st.st_mode), st.st_nlink, size, st.st_uid, st.st_gid


def attempt(function, *arguments, **options):
    """What @function returns, or the errno it fails with."""
    try:
        return function(*arguments, **options)
    except OSError as error:
        return error.errno


def as_user(user, function, *arguments):
    """What @function returns, or the name of the errno it fails with, in a process of @user."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            if user is not None:
                os.setgroups([])
                os.setgid(user.pw_gid)
                os.setuid(user.pw_uid)
            os.umask(0o022)
            try:
                answer = ("saw", function(*arguments))
            except OSError as error:
                answer = ("failed", errno.errorcode[error.errno])
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(answer, pipe)
            status = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    assert os.waitpid(child, 0)[1] == 0, "the test's own process failed: see its output"
    return pickle.loads(data)


class Mounted:
    """LOWER seen at `root` under an upper of its own; everything is below one directory. With a
    @user, a pwd entry, root mounts it for that user and the server runs as that user."""

    def __init__(self, base, options="default_permissions", user=None):
        self.base = Path(base)
        self.lower = self.base / "lower"
        self.environment = self.base / "environment"
        self.store = self.base / "store"
        self.root = self.base / "mount"
        self.upper = self.environment / "upper"
        self.work = self.environment / "work"
        self.options = options
        self.user = user
        self.server = None
        self.requests = {}
        for path in (self.lower, self.environment, self.root):
            path.mkdir(exist_ok=True)

    def mount(self):
        environment = dict(os.environ, G_DEBUG="fatal-warnings", LC_ALL="C.UTF-8")
        self.log = open(self.base / "log", "a+")
        identity = [str(self.user.pw_uid), str(self.user.pw_gid)] if self.user else []
        self.server = subprocess.Popen(
            [support.BUILD / "tests" / "mount-image", self.store, self.lower, self.environment,
             self.root, self.options, *identity],
            stdout=subprocess.PIPE, stderr=self.log, env=environment, text=True)
        select.select([self.server.stdout], [], [], 60)
        line = self.server.stdout.readline()
        assert line == "ready\n", self.said()
        return self.root

    def said(self):
        return (self.base / "log").read_text()

    def unmount(self):
        """Demands a clean end: nothing open, nothing left in work/, exit status 0, nothing said."""
        command = ["umount"] if os.getuid() == 0 else ["fusermount3", "-u"]
        subprocess.run([*command, self.root], check=True)
        self._end()

    def _end(self):
        if not select.select([self.server.stdout], [], [], 60)[0]:
            self.server.kill()
            raise AssertionError("served on after the unmount: is it mounted in another namespace?")
        counts = json.loads(self.server.stdout.readline())
        self.requests = {OPCODES.get(i, str(i)): n for i, n in enumerate(counts) if n}
        status = self.server.wait(timeout=60)
        self.server.stdout.close()
        self.log.close()
        self.server = None
        assert status == 0, f"exit status {status}: {self.said()}"
        assert "WARNING" not in self.said() and "CRITICAL" not in self.said(), self.said()

    def forget(self):
        """As root: lets the kernel forget what nobody uses, as it may at any time."""
        options = MS_REMOUNT | MS_NOSUID | MS_NODEV
        if os.getuid() == 0 and libc.mount(None, os.fsencode(self.root), None, options, None) != 0:
            raise OSError(ctypes.get_errno(), "mount -o remount")

    def abandon(self):
        """Ends it as if the machine had stopped."""
        self.server.kill()
        self.server.wait()
        self.server.stdout.close()
        self.log.close()
        self.server = None
        subprocess.run(["umount", "-l", self.root], check=True)

    def remount(self):
        self.unmount()
        self.mount()

    def close(self):
        if self.server is None:
            return
        command = ["umount", "-l"] if os.getuid() == 0 else ["fusermount3", "-uz"]
        subprocess.run([*command, self.root], check=False)
        try:
            self._end()
        except (subprocess.TimeoutExpired, ValueError):
            self.server.kill()
            self.server.wait()
            raise


@contextmanager
def mounted(base, fill=None, **options):
    """A Mounted whose lower tree @fill has made, mounted; unmounted at the end."""
    one = Mounted(base, **options)
    if fill:
        fill(one.lower)
    one.mount()
    try:
        yield one
    finally:
        one.close()
