"""What can be done to a tree, and a random choice of it: for test_filesystem_random.py."""

import errno
import os

from filesystem import (RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, brief, daemon_has,
                        give_name, renameat2)

NAMES = ["a", "b", "c", "dir", "sub", "x.py", "y.so", "long" * 60]


def make_lower(root, rng):
    def fill(directory, depth):
        for name in rng.sample(NAMES, rng.randint(2, 6)):
            path = directory / name
            kind = rng.random()
            if kind < 0.45 and depth < 3:
                path.mkdir()
                fill(path, depth + 1)
            elif kind < 0.9:
                path.write_bytes(rng.randbytes(rng.choice([0, 1, 100, 5000, 70000])))
                path.chmod(rng.choice([0o644, 0o755, 0o600]))
            else:
                path.symlink_to(rng.choice(NAMES))
    fill(root, 0)


class Side:
    """One of the two trees, with what is open in it."""

    def __init__(self, root):
        self.root = str(root)
        self.open = {}

    def path(self, relative):
        return os.path.join(self.root, relative)

    def close(self):
        for fd in self.open.values():
            os.close(fd)
        self.open.clear()


class Steps:
    """Each method does one thing to a side and returns what can be seen of it."""

    def write_new(self, side, path, data, mode):
        fd = os.open(side.path(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        try:
            return os.write(fd, data)
        finally:
            os.close(fd)

    def write_unnamed(self, side, path, data, mode):
        fd = os.open(os.path.dirname(side.path(path)), os.O_TMPFILE | os.O_WRONLY, mode)
        try:
            written = os.write(fd, data)
            give_name(fd, side.path(path))
            return written, brief(os.fstat(fd))
        finally:
            os.close(fd)

    def overwrite(self, side, path, flags, data):
        fd = os.open(side.path(path), os.O_WRONLY | os.O_NONBLOCK | flags)
        try:
            return os.write(fd, data)
        finally:
            os.close(fd)

    def write_at(self, side, path, offset, data):
        fd = os.open(side.path(path), os.O_RDWR | os.O_NONBLOCK)
        try:
            return os.pwrite(fd, data, offset), os.pread(fd, 100, max(0, offset - 50))
        finally:
            os.close(fd)

    def truncate(self, side, path, size):
        os.truncate(side.path(path), size)

    def fallocate(self, side, path, offset, length):
        fd = os.open(side.path(path), os.O_RDWR | os.O_NONBLOCK)
        try:
            os.posix_fallocate(fd, offset, length)
        finally:
            os.close(fd)

    def mkdir(self, side, path, mode):
        os.mkdir(side.path(path), mode)

    def rmdir(self, side, path):
        os.rmdir(side.path(path))

    def unlink(self, side, path):
        os.unlink(side.path(path))

    def symlink(self, side, target, path):
        os.symlink(target, side.path(path))

    def mkfifo(self, side, path, mode):
        os.mkfifo(side.path(path), mode)

    def link(self, side, path, new):
        os.link(side.path(path), side.path(new), follow_symlinks=False)

    def rename(self, side, path, new, flags):
        renameat2(side.path(path), side.path(new), flags)

    def chmod(self, side, path, mode):
        os.chmod(side.path(path), mode)

    def chown(self, side, path, uid, gid):
        os.chown(side.path(path), uid, gid, follow_symlinks=False)

    def utime(self, side, path, when):
        os.utime(side.path(path), ns=(when, when), follow_symlinks=False)
        return os.lstat(side.path(path)).st_mtime_ns

    def setxattr(self, side, path, name, value, flags):
        os.setxattr(side.path(path), name, value, flags, follow_symlinks=False)

    def removexattr(self, side, path, name):
        os.removexattr(side.path(path), name, follow_symlinks=False)

    def listdir(self, side, path):
        return sorted(os.listdir(side.path(path)))

    def readlink(self, side, path):
        return os.readlink(side.path(path))

    def stat(self, side, path):
        return brief(side.path(path))

    # What stays open

    def open(self, side, key, path, flags):
        fd = os.open(side.path(path), flags)
        if key in side.open:
            os.close(side.open[key])
        side.open[key] = fd

    def fd_fstat(self, side, key):
        return brief(os.fstat(side.open[key]))

    def fd_read(self, side, key, offset):
        return os.pread(side.open[key], 300, offset)

    def fd_write(self, side, key, offset, data):
        return os.pwrite(side.open[key], data, offset)

    def fd_truncate(self, side, key, size):
        os.ftruncate(side.open[key], size)

    def fd_chmod(self, side, key, mode):
        os.fchmod(side.open[key], mode)

    def fd_fsync(self, side, key):
        os.fsync(side.open[key])

    def fd_listdir(self, side, key):
        return sorted(os.listdir(side.open[key]))

    def fd_close(self, side, key):
        os.close(side.open.pop(key))


class Chooser:
    def __init__(self, rng):
        self.rng = rng

    def path(self):
        """Mostly something that is there or could be."""
        rng = self.rng
        return "/".join(rng.choice(NAMES) for _ in range(rng.choice([1, 1, 2, 2, 2, 3, 3, 4])))

    def existing(self, side):
        found = []
        for directory, names, files in os.walk(side.root):
            found += [os.path.relpath(os.path.join(directory, name), side.root)
                      for name in names + files]
        return self.rng.choice(sorted(found)) if found else self.path()

    def some(self, side):
        return self.existing(side) if self.rng.random() < 0.7 else self.path()

    def data(self):
        return self.rng.randbytes(self.rng.choice([1, 10, 4096, 9000]))

    def mode(self):
        return self.rng.choice([0o644, 0o755, 0o600, 0o444, 0o700, 0o4755, 0o2755, 0o1777])

    def step(self, side):
        rng = self.rng
        new = self.some(side) + (("/" + rng.choice(NAMES)) if rng.random() < 0.5 else "")
        some = self.some(side)
        size = rng.choice([0, 0, 1, 100, 5000, 100000])
        key = rng.choice(sorted(side.open)) if side.open else None
        choices = [
            (8, "write_new", new, self.data(), self.mode()),
            (4 if daemon_has("TMPFILE") else 0, "write_unnamed", new, self.data(), self.mode()),
            (6, "overwrite", some, rng.choice([0, os.O_TRUNC, os.O_APPEND]), self.data()),
            (4, "write_at", some, size, self.data()),
            (4, "truncate", some, size),
            (1, "fallocate", some, size, 1000),
            (6, "mkdir", new, self.mode() | 0o700),
            (5, "rmdir", some),
            (8, "unlink", some),
            (3, "symlink", rng.choice(NAMES), new),
            (1, "mkfifo", new, 0o644),
            (5, "link", some, new),
            (14, "rename", some, new if rng.random() < 0.5 else self.some(side),
             rng.choice([0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT | 64])),
            (4, "chmod", some, self.mode() | 0o700),
            (2, "chown", some, rng.choice([-1, os.getuid()]), rng.choice([-1, os.getgid()])),
            (3, "utime", some, rng.randrange(10**18)),
            (3, "setxattr", some, rng.choice(["user.one", "user.two"]), self.data()[:200],
             rng.choice([0, 0, os.XATTR_CREATE, os.XATTR_REPLACE])),
            (1, "removexattr", some, rng.choice(["user.one", "user.two"])),
            (3, "listdir", some),
            (1, "readlink", some),
            (3, "stat", some),
            (5, "open", rng.randrange(6), some,
             rng.choice([os.O_RDONLY, os.O_RDWR, os.O_RDONLY | os.O_DIRECTORY]) | os.O_NONBLOCK),
        ]
        if key is not None:
            choices += [(3, "fd_fstat", key), (3, "fd_read", key, size),
                        (4, "fd_write", key, size, self.data()), (2, "fd_truncate", key, size),
                        (2, "fd_chmod", key, self.mode() | 0o700), (1, "fd_fsync", key),
                        (2, "fd_listdir", key), (2, "fd_close", key)]
        chosen = rng.choices(choices, [weight for weight, *_ in choices])[0]
        return chosen[1], chosen[2:]


def shorten(arguments):
    return tuple(f"<{len(one)} bytes>" if isinstance(one, bytes) else one for one in arguments)


def perform(side, name, arguments):
    try:
        return getattr(Steps(), name)(side, *arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
