"""Every operation on every kind of node, as one table: what ext4 answers, the mount must answer.

A cell is an operation (a line of OPERATIONS) on a kind of node (a line of KINDS). It has a directory
of its own, in the image and as a plain copy, where `node` is of that kind and where `file2`, `dir2`
(not empty) and `empty2` stand beside it. The operation runs in both; what it returned or the errno
it failed with must be equal, and so must be what the directory then shows, also after a remount.
What cannot be equal stands in DIFFERENCES, with the reason.

    VENVFS_MATRIX=1 pytest -s tests/integration/test_filesystem_matrix.py

prints the table: one line an operation, one column a kind.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import shutil
import socket
import stat
import subprocess
import tempfile
import termios
from pathlib import Path

import pytest

import support
from filesystem import Mounted, as_user, renameat2

SHOWS_TABLE = "VENVFS_MATRIX" in os.environ
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
_libc = ctypes.CDLL(None, use_errno=True)


# Kinds of nodes: what the image has as `node` (made in the lower tree), and what was done to it.


def lower_file(path):
    path.write_bytes(b"lower file\n" * 20)


def lower_inline(path):
    path.with_name("node.inline").write_bytes(b"kept inside\n")


def lower_view(path):
    path.with_name("node.view").write_bytes(b"the same wherever it is\n")


def lower_read_only(path):
    lower_file(path)
    path.chmod(0o444)


def lower_link(path):
    path.symlink_to("file2")


def lower_directory(path):
    (path / "sub").mkdir(parents=True)
    (path / "one").write_bytes(b"one\n")
    (path / "sub" / "deep").write_bytes(b"deep\n")


def lower_empty(path):
    path.mkdir()


def lower_read_only_directory(path):
    lower_directory(path)
    path.chmod(0o555)


def lower_nothing(path):
    pass


def nothing_done(path):
    pass


def write_byte(path):
    with open(path, "r+b") as file:
        file.write(b"W")


def cut(path):
    os.truncate(path, 7)


def set_mode(mode):
    return lambda path: os.chmod(path, mode)


def link_twice(path):
    os.link(path, path.with_name("linked"), follow_symlinks=False)


def move_in(path):
    os.rename(path, path.with_name("elsewhere"))
    os.rename(path.with_name("elsewhere"), path)


def replace_file(path):
    os.unlink(path)
    path.write_bytes(b"in its place\n")


def replace_directory(path):
    shutil.rmtree(path)
    path.mkdir()
    (path / "mine").write_bytes(b"mine\n")


def merge(path):
    (path / "born").write_bytes(b"born\n")
    os.unlink(path / "one")


def empty_it(path):
    for name in ("sub", "one"):
        shutil.rmtree(path / name) if name == "sub" else os.unlink(path / name)


def swap(path):
    renameat2(path, path.with_name("dir2"), EXCHANGE)


def make_file(mode):
    def make(path):
        path.write_bytes(b"born here\n")
        path.chmod(mode)
    return make


def make_directory(mode):
    def make(path):
        path.mkdir()
        (path / "mine").write_bytes(b"mine\n")
        path.chmod(mode)
    return make


def make_empty(mode):
    def make(path):
        path.mkdir()
        path.chmod(mode)
    return make


def listen(path):
    os.chdir(path.parent)
    socket.socket(socket.AF_UNIX).bind("node")


KINDS = [
    # name            in the image              what was done to it
    ("file",          lower_file,                nothing_done),
    ("inline",        lower_inline,              nothing_done),
    ("view",          lower_view,                nothing_done),
    ("0444",          lower_read_only,           nothing_done),
    ("symlink",       lower_link,                nothing_done),
    ("dir",           lower_directory,           nothing_done),
    ("empty dir",     lower_empty,               nothing_done),
    ("0555 dir",      lower_read_only_directory, nothing_done),
    ("none",          lower_nothing,             nothing_done),
    ("copied up",     lower_file,                write_byte),
    ("view up",       lower_view,                write_byte),
    ("stub",          lower_file,                set_mode(0o640)),
    ("stub 0444",     lower_file,                set_mode(0o444)),
    ("stub 0000",     lower_file,                set_mode(0)),
    ("cut stub",      lower_file,                cut),
    ("two links",     lower_file,                link_twice),
    ("moved file",    lower_file,                move_in),
    ("moved link",    lower_link,                move_in),
    ("moved dir",     lower_directory,           move_in),
    ("swapped dir",   lower_directory,           swap),
    ("merged",        lower_directory,           merge),
    ("emptied",       lower_directory,           empty_it),
    ("dir up 0555",   lower_directory,           set_mode(0o555)),
    ("dir up 0000",   lower_directory,           set_mode(0)),
    ("empty up 0000", lower_empty,               set_mode(0)),
    ("whiteout",      lower_file,                os.unlink),
    ("file again",    lower_file,                replace_file),
    ("dir again",     lower_directory,           replace_directory),
    ("born",          lower_nothing,             make_file(0o644)),
    ("born 0400",     lower_nothing,             make_file(0o400)),
    ("born dir",      lower_nothing,             make_directory(0o755)),
    ("born 0555 dir", lower_nothing,             make_empty(0o555)),
    ("born link",     lower_nothing,             lambda path: os.symlink("file2", path)),
    ("fifo",          lower_nothing,             lambda path: os.mkfifo(path, 0o640)),
    ("socket",        lower_nothing,             listen),
]


def name_of(error):
    """Python's own refusals have no errno."""
    return errno.errorcode.get(getattr(error, "errno", None), type(error).__name__)


# Operations. Each gets the path of the node; `beside(path, name)` is another name in its directory.


def beside(path, name):
    return path.with_name(name)


class Opened:
    """The node, open; never waiting for a fifo's other end."""

    def __init__(self, path, flags, mode=0o640):
        self.arguments = path, flags | os.O_NONBLOCK, mode

    def __enter__(self):
        self.fd = os.open(*self.arguments)
        return self.fd

    def __exit__(self, *exception):
        os.close(self.fd)


def brief(st):
    size = 0 if stat.S_ISDIR(st.st_mode) else st.st_size
    return oct(st.st_mode), st.st_nlink, size, st.st_uid, st.st_gid


def with_fd(flags, act):
    def operation(path):
        with Opened(path, flags) as fd:
            return act(fd)
    return operation


def several(*acts):
    """What each of them says; a failure of one is an answer, too."""
    def answer(act, *arguments):
        try:
            return act(*arguments)
        except OSError as error:
            return name_of(error)
    return lambda *arguments: [answer(act, *arguments) for act in acts]


def call(name, *arguments):
    if getattr(_libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def fallocate(mode, offset=4, length=8):
    return with_fd(os.O_RDWR, lambda fd: (
        call("fallocate", fd, mode, ctypes.c_long(offset), ctypes.c_long(length)),
        os.fstat(fd).st_size, os.pread(fd, 40, 0))[1:])


def copy_into(path):
    with Opened(beside(path, "file2"), os.O_RDONLY) as source, Opened(path, os.O_RDWR) as target:
        return os.copy_file_range(source, target, 5, 1, 3), os.pread(target, 40, 0)


def copy_out_of(path):
    with Opened(path, os.O_RDONLY) as source, \
            Opened(beside(path, "new"), os.O_RDWR | os.O_CREAT) as target:
        return (os.copy_file_range(source, target, 9, 1, 3), os.sendfile(target, source, 0, 5),
                os.pread(target, 40, 0))


def splice_through(path):
    reading, writing = os.pipe()
    with Opened(path, os.O_RDWR) as fd:
        there = os.splice(fd, writing, 6, offset_src=1)
        return there, os.splice(reading, fd, 6, offset_dst=0), os.pread(fd, 40, 0)


def map_and_write(path):
    with Opened(path, os.O_RDWR) as fd, mmap.mmap(fd, 4) as mapped:
        mapped[1:3] = b"MM"
        mapped.flush()
        return os.pread(fd, 40, 0)


def map_private(path):
    with Opened(path, os.O_RDONLY) as fd, \
            mmap.mmap(fd, 4, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
        mapped[1:3] = b"PP"
        return os.pread(fd, 4, 0)


def create(flags, mode=0o640):
    return lambda path: os.close(os.open(path, flags | os.O_CREAT | os.O_NONBLOCK, mode))


def rename_to(name, flags=0):
    return lambda path: renameat2(path, f"{path.parent}/{name}", flags)


def rename_from(name, flags=0):
    return lambda path: renameat2(f"{path.parent}/{name}", path, flags)


def rename_and_back(path):
    for _ in range(3):
        os.rename(path, beside(path, "away"))
        os.rename(beside(path, "away"), path)


def rename_and_make(make):
    def operation(path):
        os.rename(path, beside(path, "away"))
        make(path)
        return sorted(os.listdir(path)) if path.is_dir() else None
    return operation


def move_below(path):
    os.rename(path, beside(path, "dir2") / "in")
    os.rename(beside(path, "dir2"), beside(path, "dir3"))
    return brief(os.lstat(beside(path, "dir3") / "in"))


def use_after_unlink(path):
    with Opened(path, os.O_RDWR) as fd:
        os.unlink(path)
        return several(
            lambda: brief(os.fstat(fd)), lambda: os.pread(fd, 40, 0),
            lambda: os.pwrite(fd, b"AFTER", 2), lambda: os.fchmod(fd, 0o400),
            lambda: os.setxattr(fd, "user.a", b"1"), lambda: os.listxattr(fd),
            lambda: os.ftruncate(fd, 20), lambda: os.pwrite(fd, b"0400", 30),
            lambda: os.utime(fd, (5, 6)), lambda: os.fstat(fd).st_mtime_ns,
            lambda: os.fsync(fd), lambda: os.fchown(fd, os.getuid(), -1),
            lambda: os.link(f"/proc/self/fd/{fd}", beside(path, "new"), follow_symlinks=True),
            lambda: brief(os.fstat(fd)), lambda: os.pread(fd, 60, 0))()


def use_after_rmdir(path):
    with Opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
        os.rmdir(path)
        return several(
            lambda: brief(os.fstat(fd)), lambda: os.listdir(fd), lambda: os.fchmod(fd, 0o711),
            lambda: os.setxattr(fd, "user.a", b"1"), lambda: os.getxattr(fd, "user.a"),
            lambda: os.utime(fd, (5, 6)), lambda: os.fstat(fd).st_mtime_ns,
            lambda: os.fchown(fd, os.getuid(), -1), lambda: os.fsync(fd),
            lambda: os.mkdir("x", dir_fd=fd), lambda: os.stat("..", dir_fd=fd).st_mode,
            lambda: brief(os.fstat(fd)))()


def write_through_a_late_mode(path):
    with Opened(path, os.O_RDWR) as fd:
        os.fchmod(fd, 0)
        return os.pwrite(fd, b"LATE", 1), brief(os.fstat(fd)), os.pread(fd, 30, 0)


def replace_open(path):
    """What was open stays what it was."""
    with Opened(path, os.O_RDONLY) as fd:
        os.rename(beside(path, "file2"), path)
        return os.pread(fd, 30, 0), os.fstat(fd).st_nlink, path.read_bytes()


def replace_open_directory(path):
    with Opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
        os.rename(beside(path, "dir2"), path)
        return os.listdir(fd), os.fstat(fd).st_nlink, sorted(os.listdir(path))


def link_by_the_other_name(path):
    os.link(path, beside(path, "b"), follow_symlinks=False)
    os.unlink(path)
    os.link(beside(path, "b"), beside(path, "c"), follow_symlinks=False)
    os.link(beside(path, "c"), path, follow_symlinks=False)
    return os.path.samestat(os.lstat(path), os.lstat(beside(path, "b")))


def link_and_write(path):
    os.link(path, beside(path, "b"), follow_symlinks=False)
    with Opened(beside(path, "b"), os.O_RDWR) as fd, Opened(path, os.O_RDONLY) as other:
        return os.pwrite(fd, b"BOTH", 0), os.pread(other, 30, 0)


def rename_over_own_link(path):
    os.link(path, beside(path, "b"), follow_symlinks=False)
    os.rename(path, beside(path, "b"))
    return brief(os.lstat(path))


def set_attribute(name, flags=0, value=b"1"):
    return lambda path: os.setxattr(path, name, value, flags, follow_symlinks=False)


def get_attribute(name):
    return lambda path: os.getxattr(path, name, follow_symlinks=False)


def remove_attribute(name):
    return lambda path: os.removexattr(path, name, follow_symlinks=False)


def keep_attributes(path):
    set_attribute("user.a")(path)
    set_attribute("user.empty", value=b"")(path)
    os.rename(path, beside(path, "new"))
    moved = beside(path, "new")
    return (sorted(name for name in os.listxattr(moved) if name.startswith("user.")),
            os.getxattr(moved, "user.a"), os.getxattr(moved, "user.empty"))


def change_owner(uid, gid):
    return lambda path: os.chown(path, uid, gid, follow_symlinks=False)


def set_times(path):
    os.utime(path, ns=(1_000_000_007, 2_000_000_011), follow_symlinks=False)
    return os.lstat(path).st_atime_ns, os.lstat(path).st_mtime_ns


def touch_now(path):
    before = os.lstat(path).st_mtime_ns
    os.utime(path, follow_symlinks=False)
    return os.lstat(path).st_mtime_ns > before


def times_move(act):
    """Whether mtime and ctime of the directory and of the node move."""
    def operation(path):
        os.utime(path.parent, (5, 5)), os.utime(path, (5, 5), follow_symlinks=False)
        act(path)
        moved = [os.stat(path.parent).st_mtime != 5]
        return moved + ([os.lstat(path).st_mtime != 5] if os.path.lexists(path) else [])
    return operation


def seek(offset, whence):
    """What an offset in a directory means is the file system's own affair."""
    return with_fd(os.O_RDONLY, lambda fd: stat.S_ISDIR(os.fstat(fd).st_mode) or
                   os.lseek(fd, offset, whence))


def ioctl(request):
    return with_fd(os.O_RDONLY, lambda fd: fcntl.ioctl(fd, request, b"\0" * 64)[:4])


def flock(fd):
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_tree(path):
    """shutil's would wait for a fifo's other end."""
    for name in sorted(os.listdir(path)):
        inner = path / name
        remove_tree(inner) if inner.is_dir() else os.unlink(inner)
    os.rmdir(path)


def run(path):
    try:
        return subprocess.run([path], capture_output=True).returncode
    except OSError as error:
        raise OSError(error.errno, "exec") from None


def list_names(path):
    return sorted(os.listdir(path))


def same_numbers(path):
    """The number that a listing tells, and the one that stays when it is written to."""
    with os.scandir(path.parent) as entries:
        listed = next(entry.inode() for entry in entries if entry.name == "node")
    before = os.lstat(path).st_ino
    os.chmod(path, 0o755, follow_symlinks=os.path.islink(path))
    return listed == before == os.lstat(path).st_ino


RDONLY, WRONLY, RDWR, EXCL = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_EXCL

OPERATIONS = [
    ("stat",                 lambda p: brief(os.lstat(p))),
    ("access",               lambda p: [os.access(p, how) for how in (os.F_OK, 4, 2, 1)]),
    ("numbers",              same_numbers),
    ("statfs",               lambda p: os.statvfs(p).f_namemax),
    ("chdir",                lambda p: os.chdir(p)),
    ("exec",                 run),
    # opening
    ("open r",               with_fd(RDONLY, lambda fd: None)),
    ("open w",               with_fd(WRONLY, lambda fd: None)),
    ("open rw",              with_fd(RDWR, lambda fd: brief(os.fstat(fd)))),
    ("open trunc",           with_fd(WRONLY | os.O_TRUNC, lambda fd: brief(os.fstat(fd)))),
    ("open r trunc",         with_fd(RDONLY | os.O_TRUNC, lambda fd: brief(os.fstat(fd)))),
    ("open append",          with_fd(RDWR | os.O_APPEND, lambda fd: (os.write(fd, b"END"),
                                                                    os.pread(fd, 300, 0)))),
    ("open directory",       with_fd(RDONLY | os.O_DIRECTORY, lambda fd: sorted(os.listdir(fd)))),
    ("open nofollow",        with_fd(RDONLY | os.O_NOFOLLOW, lambda fd: None)),
    ("open path",            with_fd(os.O_PATH | os.O_NOFOLLOW, lambda fd: brief(os.fstat(fd)))),
    ("open noatime",         with_fd(RDONLY | os.O_NOATIME, lambda fd: None)),
    ("open sync",            with_fd(RDWR | os.O_SYNC, lambda fd: os.pwrite(fd, b"S", 0))),
    ("open dsync",           with_fd(RDWR | os.O_DSYNC, lambda fd: os.pwrite(fd, b"S", 0))),
    ("open tmpfile",         with_fd(RDWR | os.O_TMPFILE, lambda fd: None)),
    ("creat",                create(WRONLY)),
    ("creat trunc",          create(RDWR | os.O_TRUNC)),
    ("creat excl",           create(WRONLY | EXCL)),
    ("creat 0444 write",     lambda p: os.write(os.open(p, RDWR | EXCL | os.O_CREAT, 0o444), b"x")),
    ("creat directory",      create(RDONLY | os.O_DIRECTORY)),
    ("open slash",           lambda p: os.close(os.open(f"{p}/", RDONLY | os.O_NONBLOCK))),
    ("creat slash",          lambda p: os.close(os.open(f"{p}/", WRONLY | os.O_CREAT, 0o600))),
    # bytes
    ("read",                 with_fd(RDONLY, lambda fd: os.read(fd, 400))),
    ("read past end",        with_fd(RDONLY, lambda fd: os.pread(fd, 10, 1 << 40))),
    ("write",                with_fd(RDWR, lambda fd: (os.write(fd, b"WW"), os.pread(fd, 400, 0)))),
    ("write beyond",         with_fd(RDWR, lambda fd: (os.pwrite(fd, b"W", 9000), os.pread(fd, 30, 8980)))),
    ("write nothing",        with_fd(WRONLY, lambda fd: os.write(fd, b""))),
    ("write to r",           with_fd(RDONLY, lambda fd: os.write(fd, b"x"))),
    ("write, late mode",     write_through_a_late_mode),
    ("truncate 0",           lambda p: os.truncate(p, 0)),
    ("truncate 5",           lambda p: os.truncate(p, 5)),
    ("truncate 5, 50",       lambda p: (os.truncate(p, 5), os.truncate(p, 50), p.read_bytes())),
    ("truncate large",       lambda p: (os.truncate(p, 5 << 30), os.stat(p).st_size, os.truncate(p, 3))),
    ("truncate negative",    lambda p: os.truncate(p, -1)),
    ("ftruncate r",          with_fd(RDONLY, lambda fd: os.ftruncate(fd, 0))),
    ("fallocate",            fallocate(0, 4, 9000)),
    ("fallocate keep",       fallocate(1, 4, 9000)),
    ("fallocate punch",      fallocate(3)),
    ("fallocate zero",       fallocate(16)),
    ("fallocate zero keep",  fallocate(17, 4, 9000)),
    ("fallocate punch only", fallocate(2)),
    ("fallocate unknown",    fallocate(0x8000)),
    ("fallocate nothing",    fallocate(0, 4, 0)),
    ("fallocate collapse",   fallocate(8)),
    ("fallocate insert",     fallocate(32)),
    ("fallocate r",          with_fd(RDONLY, lambda fd: call("fallocate", fd, 0, 0, 8))),
    ("seek data",            seek(0, os.SEEK_DATA)),
    ("seek hole",            seek(1, os.SEEK_HOLE)),
    ("seek past",            seek(1 << 30, os.SEEK_DATA)),
    ("seek end",             seek(0, os.SEEK_END)),
    ("copy_file_range in",   copy_into),
    ("copy_file_range out",  copy_out_of),
    ("splice",               splice_through),
    ("mmap shared",          map_and_write),
    ("mmap private",         map_private),
    ("fsync",                with_fd(RDONLY, os.fsync)),
    ("fdatasync",            with_fd(RDONLY, os.fdatasync)),
    ("flock",                with_fd(RDONLY, flock)),
    ("lockf",                with_fd(RDWR, lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB))),
    ("lease r",              with_fd(RDONLY, lambda fd: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK))),
    ("ioctl tty",            ioctl(termios.TCGETS)),
    ("readlink",             lambda p: os.readlink(p)),
    # attributes
    ("chmod 0",              lambda p: (os.chmod(p, 0), brief(os.stat(p)))),
    ("chmod 0444",           lambda p: (os.chmod(p, 0o444), brief(os.stat(p)))),
    ("chmod 6755",           lambda p: (os.chmod(p, 0o6755), brief(os.stat(p)))),
    ("chmod 1777",           lambda p: (os.chmod(p, 0o1777), brief(os.stat(p)))),
    ("setuid, write",        lambda p: (os.chmod(p, 0o6777), write_byte(p), brief(os.stat(p)))),
    ("setuid, cut",          lambda p: (os.chmod(p, 0o6777), cut(p), brief(os.stat(p)))),
    ("setuid, chown",        lambda p: (os.chmod(p, 0o6777), os.chown(p, os.getuid(), -1),
                                        brief(os.stat(p)))),
    ("chown nothing",        change_owner(-1, -1)),
    ("chown self",           lambda p: change_owner(os.getuid(), os.getgid())(p)),
    ("chown 12345",          change_owner(12345, -1)),
    ("chgrp 12345",          change_owner(-1, 12345)),
    ("utimens",              set_times),
    ("utimens now",          touch_now),
    ("times of chmod",       times_move(lambda p: os.chmod(p, 0o700))),
    ("times of write",       times_move(write_byte)),
    ("times of unlink",      times_move(os.unlink)),
    ("times of rename",      times_move(lambda p: os.rename(p, beside(p, "new")))),
    ("times of link",        times_move(lambda p: os.link(p, beside(p, "b"), follow_symlinks=False))),
    ("times of mkdir",       times_move(lambda p: os.mkdir(p / "x"))),
    ("setxattr user",        set_attribute("user.a")),
    ("setxattr create",      several(*[set_attribute("user.a", os.XATTR_CREATE)] * 2)),
    ("setxattr replace",     set_attribute("user.a", os.XATTR_REPLACE)),
    ("setxattr trusted",     several(set_attribute("trusted.a"), get_attribute("trusted.a"))),
    ("setxattr security",    several(set_attribute("security.a"), get_attribute("security.a"))),
    ("setxattr user.",       set_attribute("user.")),
    ("setxattr nonsense",    set_attribute("nonsense.a")),
    ("setxattr system",      set_attribute("system.a")),
    ("setxattr no dot",      set_attribute("user")),
    ("setxattr long name",   set_attribute("user." + "n" * 300)),
    ("setxattr overlay",     set_attribute("user.overlay.opaque")),
    ("setxattr venvfs",      set_attribute("user.venvfs.id")),
    ("getxattr user",        get_attribute("user.a")),
    ("getxattr nonsense",    get_attribute("nonsense.a")),
    ("getxattr capability",  get_attribute("security.capability")),
    ("getxattr acl",         get_attribute("system.posix_acl_access")),
    ("getxattr own",         several(*map(get_attribute, ("user.venvfs.id", "user.venvfs.digest",
                                          "user.venvfs.lower", "user.overlay.opaque")))),
    ("listxattr",            lambda p: os.listxattr(p, follow_symlinks=False)),
    ("removexattr user",     remove_attribute("user.a")),
    ("removexattr nonsense", remove_attribute("nonsense.a")),
    ("removexattr own",      several(*map(remove_attribute, ("user.venvfs.id", "user.venvfs.digest",
                                          "user.venvfs.lower", "user.overlay.opaque")))),
    ("attributes move",      keep_attributes),
    # names
    ("link",                 lambda p: (os.link(p, beside(p, "new"), follow_symlinks=False),
                                        brief(os.lstat(p)))),
    ("link to file2",        lambda p: os.link(p, beside(p, "file2"), follow_symlinks=False)),
    ("link, write",          link_and_write),
    ("link of other name",   link_by_the_other_name),
    ("rename over link",     rename_over_own_link),
    ("symlink at",           lambda p: os.symlink("x", p)),
    ("mkdir at",             lambda p: (os.mkdir(p), list_names(p))),
    ("mkdir 0555 at",        lambda p: (os.mkdir(p, 0o555), list_names(p))),
    ("mkfifo at",            lambda p: os.mkfifo(p)),
    ("unlink",               lambda p: os.unlink(p)),
    ("unlink slash",         lambda p: os.unlink(f"{p}/")),
    ("unlink, create",       lambda p: (os.unlink(p), p.write_bytes(b"again"), p.read_bytes())),
    ("unlink, mkdir",        lambda p: (os.unlink(p), os.mkdir(p, 0o500), list_names(p))),
    ("rmdir",                lambda p: os.rmdir(p)),
    ("rmdir dot",            lambda p: os.rmdir(f"{p}/.")),
    ("rmdir, mkdir",         lambda p: (os.rmdir(p), os.mkdir(p), list_names(p))),
    ("rmdir, create",        lambda p: (os.rmdir(p), p.write_bytes(b"x"), p.read_bytes())),
    ("open, unlink",         use_after_unlink),
    ("open, rmdir",          use_after_rmdir),
    ("open, file2 over",     replace_open),
    ("open, dir2 over",      replace_open_directory),
    ("rename new",           rename_to("new")),
    ("rename new slash",     rename_to("new/")),
    ("rename file2",         rename_to("file2")),
    ("rename dir2",          rename_to("dir2")),
    ("rename empty2",        rename_to("empty2")),
    ("rename dir2/in",       rename_to("dir2/in")),
    ("rename dir2/child",    rename_to("dir2/child")),
    ("rename file2/x",       rename_to("file2/x")),
    ("rename own subtree",   rename_to("node/x")),
    ("rename itself",        rename_to("node")),
    ("rename long name",     rename_to("n" * 256)),
    ("rename 255 bytes",     rename_to("n" * 255)),
    ("file2 over",           rename_from("file2")),
    ("dir2 over",            rename_from("dir2")),
    ("empty2 over",          rename_from("empty2")),
    ("dir2/child over",      rename_from("dir2/child")),
    ("noreplace new",        rename_to("new", NOREPLACE)),
    ("noreplace file2",      rename_to("file2", NOREPLACE)),
    ("noreplace over",       rename_from("file2", NOREPLACE)),
    ("exchange file2",       rename_to("file2", EXCHANGE)),
    ("exchange dir2",        rename_to("dir2", EXCHANGE)),
    ("exchange empty2",      rename_to("empty2", EXCHANGE)),
    ("exchange dir2/child",  rename_to("dir2/child", EXCHANGE)),
    ("exchange new",         rename_to("new", EXCHANGE)),
    ("exchange own subtree", rename_to("node/sub", EXCHANGE)),
    ("rename both flags",    rename_to("new", NOREPLACE | EXCHANGE)),
    ("rename flag 8",        rename_to("new", 8)),
    ("rename whiteout",      rename_to("new", WHITEOUT)),
    ("rename and back",      rename_and_back),
    ("rename, create",       rename_and_make(lambda p: p.write_bytes(b"x"))),
    ("rename, mkdir",        rename_and_make(os.mkdir)),
    ("move below",           move_below),
    # inside
    ("list",                 list_names),
    ("create inside",        lambda p: (p / "x").write_bytes(b"x")),
    ("mkdir inside",         lambda p: (os.mkdir(p / "x"), brief(os.stat(p)))),
    ("unlink inside",        lambda p: os.unlink(p / "one")),
    ("rmdir inside",         lambda p: os.rmdir(p / "sub")),
    ("rmtree inside",        lambda p: (remove_tree(p / "sub"), brief(os.stat(p)))),
    ("rename inside",        lambda p: os.rename(p / "one", p / "sub" / "one")),
    ("rename out of",        lambda p: os.rename(p / "sub", beside(p, "out"))),
    ("rename into",          lambda p: os.rename(beside(p, "dir2"), p / "dir2")),
    ("write inside",         lambda p: write_byte(p / "sub" / "deep")),
    ("look inside",          lambda p: brief(os.stat(p / "sub" / "deep"))),
    ("256 bytes inside",     lambda p: os.mkdir(p / ("n" * 256))),
    ("rmtree",               remove_tree),
    ("open, chmod, inside",  lambda p: (lambda fd: several(
        lambda: os.fchmod(fd, 0o300), lambda: os.mkdir("x", dir_fd=fd),
        lambda: os.stat("sub", dir_fd=fd).st_nlink, lambda: os.fchmod(fd, 0),
        lambda: brief(os.fstat(fd)), lambda: os.fsync(fd),
        lambda: os.mkdir("y", dir_fd=fd))())(os.open(p, RDONLY | os.O_DIRECTORY))),
]


# What cannot be as on ext4, each with what the mount answers then; docs/filesystem.md says why.

DIFFERENCES = {
    "open tmpfile":       {"ENOTSUP"},
    "fallocate collapse": {"ENOTSUP"},
    "fallocate insert":   {"ENOTSUP"},
    "setxattr overlay":   {"EPERM"},
    "setxattr venvfs":    {"EPERM"},
    "rename whiteout":    {"EINVAL"},
}


# Running the table


class Cell:
    def __init__(self, kind, operation):
        self.kind, self.lower, self.set_up = kind
        self.operation, self.act = operation
        self.place = "/".join(name.replace(" ", "-").replace("/", "-").replace(",", "")
                              for name in (self.kind, self.operation))

    def fill(self, root, views_are_files):
        directory = root / self.place
        (directory / "dir2").mkdir(parents=True)
        (directory / "empty2").mkdir()
        (directory / "dir2" / "child").write_bytes(b"child\n")
        (directory / "file2").write_bytes(b"the second file\n")
        self.lower(directory / "node")
        for path in list(directory.glob("node.*")) if views_are_files else []:
            path.rename(path.with_suffix(""))

    def run(self, root):
        """The answer, and what the directory then shows."""
        os.chdir(root)
        try:
            answer = self.act(root / self.place / "node")
        except Exception as error:
            answer = name_of(error)
        os.chdir(root)
        return answer, look(root / self.place)


CELLS = [Cell(kind, operation) for kind in KINDS for operation in OPERATIONS]


def look(directory):
    """Everything that can be seen in it."""
    seen = []
    for at, names, files in os.walk(directory):
        names.sort()
        for name in sorted(names + files):
            path = os.path.join(at, name)
            what = [os.path.relpath(path, directory)]
            seen.append(what)
            try:
                st = os.lstat(path)
                what.append(brief(st))
                if stat.S_ISLNK(st.st_mode):
                    what.append(os.readlink(path))
                what.append(sorted((key, os.getxattr(path, key, follow_symlinks=False))
                                   for key in os.listxattr(path, follow_symlinks=False)
                                   if key.startswith("user.")))
                if stat.S_ISREG(st.st_mode):
                    with open(path, "rb") as file:
                        what.append(file.read(400))
            except OSError as error:
                what.append(name_of(error))
    return seen


def run_on_plain(root):
    os.umask(0o022)
    answers = {}
    for cell in CELLS:
        cell.fill(root, views_are_files=True)
        cell.set_up(root / cell.place / "node")
        answers[cell.place] = cell.run(root)
        remove_whatever_its_modes(root / cell.place)
    return answers


def set_up_on_mount(root):
    os.umask(0o022)
    for cell in CELLS:
        cell.set_up(root / cell.place / "node")


def run_on_mount(root):
    os.umask(0o022)
    return {cell.place: cell.run(root) for cell in CELLS}


def look_at_mount(root):
    return {cell.place: look(root / cell.place) for cell in CELLS}


def remove_whatever_its_modes(directory):
    for at, names, files in os.walk(directory):
        for name in names:
            if not os.path.islink(os.path.join(at, name)):
                os.chmod(os.path.join(at, name), 0o700)
    shutil.rmtree(directory)


def describe(answer):
    return answer if isinstance(answer, str) else "ok"


def table(answers):
    width = max(len(operation) for operation, act in OPERATIONS)
    lines = [" " * width + " | " + " | ".join(kind for kind, *rest in KINDS)]
    for operation in OPERATIONS:
        row = [describe(answers[Cell(kind, operation).place][0]).ljust(len(kind[0]))
               for kind in KINDS]
        lines.append(operation[0].ljust(width) + " | " + " | ".join(row))
    return "\n".join(lines)


def is_as_expected(cell, expected, got):
    return expected == got or not isinstance(got[0], list) and got[0] in DIFFERENCES.get(cell.operation, ())


def compare(expected, got):
    different = {}
    for cell in CELLS:
        if not is_as_expected(cell, expected[cell.place], got[cell.place]):
            different.setdefault(cell.operation, []).append(cell)
    text = "\n".join(
        f"{operation}: {', '.join(cell.kind for cell in cells)}\n"
        f"  ext4  {expected[cells[0].place]!r:.1500}\n  mount {got[cells[0].place]!r:.1500}"
        for operation, cells in different.items())
    assert not different, f"{len(different)} operations differ:\n{text}"


class Matrix:
    """The image's tree lies in memory: it is large, and looked at once."""

    def __init__(self, user):
        self.user = user
        self.base = support.new_root("matrix")
        self.mounted = Mounted(self.base, user=user)
        self.mounted.lower = Path(tempfile.mkdtemp(prefix="vf-matrix-", dir="/dev/shm"))
        self.mounted.lower.chmod(0o755)
        self.plain = self.base / "plain"
        self.plain.mkdir()
        for cell in CELLS:
            cell.fill(self.mounted.lower, views_are_files=False)
        if user is not None:
            subprocess.run(["chown", "-hR", f"{user.pw_uid}:{user.pw_gid}", self.base], check=True)
        self.root = self.mounted.mount()

    def saw(self, function, root):
        saw, answer = as_user(self.user, function, root)
        assert saw == "saw", answer
        return answer

    def close(self):
        self.mounted.close()
        support.remove_tree(self.mounted.lower)
        support.remove_tree(self.base)


@pytest.mark.slow
@pytest.mark.parametrize("whose, warm", [
    pytest.param("own", True, id="own-warm", marks=pytest.mark.long),
    pytest.param("user", False, id="user-cold"),
    pytest.param("own", False, id="own-cold", marks=pytest.mark.long),
    pytest.param("user", True, id="user-warm", marks=pytest.mark.long)])
def test_matrix(whose, warm):
    user = support.ordinary_user() if whose == "user" and os.getuid() == 0 else None
    if whose == "user" and user is None:
        support.skip("already an ordinary user")
    matrix = Matrix(user)
    try:
        expected = matrix.saw(run_on_plain, matrix.plain)
        if SHOWS_TABLE:
            print(table(expected))
        matrix.saw(set_up_on_mount, matrix.root)
        if not warm:
            matrix.mounted.remount()
        got = matrix.saw(run_on_mount, matrix.root)
        compare(expected, got)
        matrix.mounted.remount()
        aftermath = matrix.saw(look_at_mount, matrix.root)
        compare({place: (None, answer[1]) for place, answer in got.items()},
                {place: (None, seen) for place, seen in aftermath.items()})
    finally:
        matrix.close()
