"""The lines of the table that test_filesystem_matrix.py runs: operations on a node, and what cannot be
as on ext4.

Each gets the path of the node; `beside(path, name)` is another name in its directory."""

import ctypes
import errno
import fcntl
import mmap
import os
import stat
import subprocess
import termios

from filesystem import (RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, brief, daemon_has, libc,
                        renameat2)
from matrix_kinds import cut, write_byte


def name_of(error):
    """Python's own refusals have no errno."""
    return errno.errorcode.get(getattr(error, "errno", None), type(error).__name__)


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
    if getattr(libc, name)(*arguments) < 0:
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
    ("lease w",              with_fd(RDWR, lambda fd: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK))),
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
    ("noreplace new",        rename_to("new", RENAME_NOREPLACE)),
    ("noreplace file2",      rename_to("file2", RENAME_NOREPLACE)),
    ("noreplace over",       rename_from("file2", RENAME_NOREPLACE)),
    ("exchange file2",       rename_to("file2", RENAME_EXCHANGE)),
    ("exchange dir2",        rename_to("dir2", RENAME_EXCHANGE)),
    ("exchange empty2",      rename_to("empty2", RENAME_EXCHANGE)),
    ("exchange dir2/child",  rename_to("dir2/child", RENAME_EXCHANGE)),
    ("exchange new",         rename_to("new", RENAME_EXCHANGE)),
    ("exchange own subtree", rename_to("node/sub", RENAME_EXCHANGE)),
    ("rename both flags",    rename_to("new", RENAME_NOREPLACE | RENAME_EXCHANGE)),
    ("rename flag 8",        rename_to("new", 8)),
    ("rename whiteout",      rename_to("new", RENAME_WHITEOUT)),
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
    "open tmpfile":       set() if daemon_has("TMPFILE") else {"ENOTSUP"},
    "fallocate collapse": {"ENOTSUP"},
    "fallocate insert":   {"ENOTSUP"},
    "setxattr overlay":   {"EPERM"},
    "setxattr venvfs":    {"EPERM"},
    "rename whiteout":    {"EINVAL"},
}
