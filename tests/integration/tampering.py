"""Who tampers with the upper and work directories of a mount, and the tree beside them that nothing
may lead to. What tampering may do, and what it may not, is in test_filesystem_tampering.py."""

import ctypes
import os
import shutil
import socket
import stat
import subprocess

import support
from filesystem import RENAME_EXCHANGE

SECRET = b"CANARY"
_libc = ctypes.CDLL(None, use_errno=True)

# What there is in the image, and what may come to be.
LOWER = ["file", "inline", "dir", "dir/file", "dir/sub", "dir/sub/deep", "dir/sub/file", "dir/empty",
         "other", "other/file", "other/dir", "link"]
BORN = ["new", "dir/new", "dir/sub/new", "other/new", "new/file", "new/dir", "other/dir/file",
        "dir/link", "new/new", "dir/" + "n" * 255, "b\udcff"]
NAMES = LOWER + BORN
MARKS = ["user.venvfs.id", "user.venvfs.digest", "user.venvfs.lower", "user.overlay.opaque",
         "user.overlay.redirect", "user.overlay.whiteout", "user.venvfs.aside", "user.venvfs.odd"]


# The tree that nothing may lead to


class Canary:
    """Whoever walks the whole disk, as backups do, reads it too. He lists the directory above it first, which
    nothing in a test does: once that one's access time has moved, the others prove nothing."""

    def __init__(self, root, user):
        self.root = root
        os.utime(root.parent, ns=(0, 10 ** 18))
        (root / "canary-dir").mkdir(parents=True)
        for name in ("canary-file", "file", "canary-dir/canary-file", "canary-dir/file"):
            (root / name).write_bytes(SECRET)
        if user:
            subprocess.run(["chown", "-R", f"{user.pw_uid}:{user.pw_gid}", root], check=True)
        # Older than mtime and ctime: with relatime, the first read will move it.
        for at, names, files in os.walk(root, topdown=False):
            for name in files:
                os.utime(os.path.join(at, name), ns=(0, 10 ** 18))
            os.utime(at, ns=(0, 10 ** 18))
        self.before = self.look()

    def check(self, said):
        """Demands that nothing has led here."""
        now, before = self.look(), self.before
        if self.root.parent.stat().st_atime_ns != 0:
            now, before = ({path: seen for path, (_, seen) in one.items()} for one in (now, before))
        assert now == before, f"{said}: something led out"

    def look(self):
        """Everything, without a trace: of each path, when it was read and what there is."""
        seen, todo = {}, [self.root]
        while todo:
            path = todo.pop()
            fd = os.open(path, os.O_RDONLY | os.O_NOATIME | os.O_NOFOLLOW)
            try:
                st = os.fstat(fd)
                inner = sorted(os.listdir(fd)) if stat.S_ISDIR(st.st_mode) else os.read(fd, 100)
                seen[str(path)] = st.st_atime_ns, (st.st_mode, st.st_uid, st.st_nlink, st.st_size, st.st_mtime_ns,
                                                   st.st_ctime_ns, os.listxattr(fd), inner)
                todo += [path / name for name in inner] if stat.S_ISDIR(st.st_mode) else []
            finally:
                os.close(fd)
        return seen


# Tampering


def replace(path, make):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        path.unlink()
    make(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as one:
        os.chdir(path.parent)
        try:
            one.bind(os.fsencode(path.name)[:100])
        finally:
            os.chdir("/")


def make_odd(path):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(fd, b"odd")
    os.close(fd)


def make_whiteout(path):
    os.mknod(path, stat.S_IFCHR, 0)


def make_deep(path):
    path.mkdir()
    fd = os.open(path, os.O_RDONLY)
    for _ in range(40):
        os.mkdir("d" * 200, dir_fd=fd)
        inner = os.open("d" * 200, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)


def copy_marks(source, target):
    for name in os.listxattr(source, follow_symlinks=False):
        os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False),
                    follow_symlinks=False)


def renameat2(old, new, flags, old_fd=-100, new_fd=-100):
    if _libc.renameat2(old_fd, os.fsencode(old), new_fd, os.fsencode(new), flags) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), os.fspath(old))


def act_nothing(path):
    pass


class Tamperer:
    def __init__(self, rng, environment, canary, image):
        self.rng = rng
        self.environment = environment
        self.canary = canary
        self.image = image
        self.own = environment.parent / "mount"  # who follows it waits for itself

    def places(self):
        found = []
        for part in ("upper", "work"):
            for at, names, files in os.walk(self.environment / part):
                found += [os.path.join(at, name) for name in sorted(names) + sorted(files)]
        return [self.environment.__class__(path) for path in sorted(found)]

    def odd_target(self):
        return self.rng.choice([self.canary, self.canary / "canary-file", self.canary / "file", "..",
                                self.canary / "canary-dir", ".", "/", "../../canary", "../canary/file",
                                "../" * 30 + str(self.canary).lstrip("/"), "file", "x" * 4000,
                                self.own / "dir", self.own / "dir" / "file"])

    def odd_value(self):
        digest = "%064x" % self.rng.getrandbits(256)
        paths = ["", ".", "..", "/", "dir", "dir/sub", "other", "file", "none", "dir/../..", "dir/",
                 "untouched", str(self.canary), "../" * 20, "a/" * 1500]
        values = [b"", b"y", b"x", b"\xff" * 300, b"0" * 16, b"%016x" % self.rng.getrandbits(62),
                  b"0000000000000001", b"f" * 16, digest.encode(), digest.encode() + b"0",
                  b"z" * 3000, str(self.canary / "file").encode()]
        values += [f"{self.image}:{path}".encode() for path in paths]
        values += [f"{digest}:{path}".encode() for path in paths[:3]]
        return self.rng.choice(values)

    def step(self):
        """One thing that nobody should do. Returns what it was."""
        rng, places = self.rng, self.places()
        path = rng.choice(places) if places else self.environment / "upper" / "odd"
        other = rng.choice(places) if places else path
        parent = other if os.path.isdir(other) and not os.path.islink(other) else other.parent
        name = rng.choice(["file", "sub", "dir", "new", "deep", "n" * 255, "b\udcff", "new-1",
                           "%016x" % rng.getrandbits(8), ".wh.file", "link"])
        target, value, mode = self.odd_target(), self.odd_value(), rng.choice([0, 0o444, 0o2777, 0o755])
        beside = parent / name
        makers = [lambda where: where.symlink_to(target), os.mkfifo, os.mkdir, make_whiteout,
                  make_odd, make_socket, act_nothing, make_deep]
        maker = rng.choice(makers)
        mark = rng.choice(MARKS)
        acts = {
            "replaced": lambda: replace(path, maker),
            "made": lambda: maker(beside),
            "moved": lambda: os.rename(path, beside),
            "exchanged": lambda: renameat2(path, other, RENAME_EXCHANGE),
            "linked": lambda: os.link(path, beside, follow_symlinks=False),
            "mode": lambda: os.path.islink(path) or os.chmod(path, mode),
            "cut": lambda: os.path.islink(path) or os.path.isfile(path) and os.truncate(path, rng.choice([0, 3, 10 ** 6])),
            "marked": lambda: os.setxattr(path, mark, value, follow_symlinks=False),
            "marks copied": lambda: copy_marks(path, other),
            "marks removed": lambda: [os.removexattr(path, one, follow_symlinks=False)
                                      for one in os.listxattr(path, follow_symlinks=False)],
        }
        what = rng.choice(sorted(acts))
        try:
            acts[what]()
            result = "done"
        except (OSError, ValueError, shutil.Error) as error:
            result = type(error).__name__ + str(error)[:40]
        return f"{what} {path} {other} {name!r} {makers.index(maker)} {target} {mark}={value[:90]!r}: {result}"

    def swap_top(self):
        """upper/ or work/ itself. Returns what it was."""
        part = self.environment / self.rng.choice(["upper", "work"])
        what = self.rng.choice([self.canary, self.canary / "file", None, "fifo", "mode"])
        if what == "mode":
            os.chmod(part, 0)
            return f"mode 0 for {part.name}"
        # One that was taken away altogether has been made anew.
        support.remove_tree(self.environment / "kept")
        os.rename(part, self.environment / "kept")
        if what == "fifo":
            os.mkfifo(part)
        elif what is not None:
            part.symlink_to(what)
        return f"{what} instead of {part.name}"


def restore_top(environment):
    for part in ("upper", "work"):
        path = environment / part
        if (environment / "kept").is_dir() and (path.is_symlink() or not path.is_dir()):
            path.unlink(missing_ok=True)
            os.rename(environment / "kept", path)
        if path.is_dir():
            os.chmod(path, 0o755)


class Racer:
    """Exchanges objects of the upper with others, symlinks that lead out among them, as fast as it can. It
    follows no symlink itself, however fast the daemon moves one to where it looks."""

    def __init__(self, rng, environment, canary):
        self.rng = rng
        self.upper = os.open(environment / "upper", os.O_PATH | os.O_DIRECTORY)
        decoys = environment / "decoys"
        if not decoys.exists():
            decoys.mkdir()
            for number, target in enumerate([canary, canary / "canary-dir", canary / "file", ".."]):
                (decoys / f"{number}").symlink_to(target)
            os.mkfifo(decoys / "4")
            (decoys / "5").mkdir()
            (decoys / "6").write_bytes(b"odd")
        self.decoys = os.open(decoys, os.O_PATH | os.O_DIRECTORY)

    def step(self):
        *parts, last = self.rng.choice(NAMES).split("/")
        fd = os.dup(self.upper)
        try:
            for part in parts:
                inner = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
                os.close(fd)
                fd = inner
            renameat2(last, str(self.rng.randrange(7)), RENAME_EXCHANGE, fd, self.decoys)
        except OSError:
            pass
        finally:
            os.close(fd)
