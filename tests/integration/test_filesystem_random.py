"""Random operations on a mount and on a plain directory, which must not differ.

Every step is done on both; results, errnos and afterwards the trees (types, contents, modes, links,
attributes, which times moved) must be equal. A failing run prints its seed and the steps:

    VENVFS_RANDOM_SEED=17 VENVFS_RANDOM_STEPS=400 pytest tests/integration/test_filesystem_random.py

repeats it.
"""

import errno
import fcntl
import multiprocessing
import os
import random
import stat
import time
import traceback

import pytest

import support
from filesystem import (Mounted, RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, renameat2)

SEED = os.environ.get("VENVFS_RANDOM_SEED")
STEPS = int(os.environ.get("VENVFS_RANDOM_STEPS", "400"))
RUNS = int(os.environ.get("VENVFS_RANDOM_RUNS", "6"))

NAMES = ["a", "b", "c", "dir", "sub", "x.py", "y.so", "long" * 60]
SKIPPED_XATTRS = ("security.selinux",)


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


def plain_stat(st, is_symlink):
    mode = st.st_mode
    size = 0 if stat.S_ISDIR(mode) else st.st_size
    return (oct(mode), st.st_nlink, size, st.st_uid, st.st_gid)


class Steps:
    """Each method does one thing to a side and returns what can be seen of it."""

    def write_new(self, side, path, data, mode):
        fd = os.open(side.path(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        try:
            return os.write(fd, data)
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
        return plain_stat(os.lstat(side.path(path)), True)

    # What stays open

    def open(self, side, key, path, flags):
        fd = os.open(side.path(path), flags)
        if key in side.open:
            os.close(side.open[key])
        side.open[key] = fd

    def fd_fstat(self, side, key):
        return plain_stat(os.fstat(side.open[key]), False)

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


def picture(side):
    """Everything that can be seen, by relative path."""
    seen, inodes = {}, {}
    for directory, names, files in os.walk(side.root):
        for name in [*names, *files] + ([""] if directory == side.root else []):
            path = os.path.join(directory, name)
            relative = os.path.relpath(path, side.root)
            st = os.lstat(path)
            inodes.setdefault(st.st_ino, []).append(relative)
            what = list(plain_stat(st, True)) if relative != "." else [st.st_nlink]
            if stat.S_ISLNK(st.st_mode):
                what.append(os.readlink(path))
            elif stat.S_ISREG(st.st_mode):
                with open(path, "rb") as file:
                    what.append(file.read())
            what.append(sorted((key, os.getxattr(path, key, follow_symlinks=False))
                               for key in os.listxattr(path, follow_symlinks=False)
                               if key not in SKIPPED_XATTRS))
            seen[relative] = what
    links = sorted(sorted(paths) for paths in inodes.values() if len(paths) > 1)
    return seen, links


def times(side):
    found = {}
    for directory, names, files in os.walk(side.root):
        for name in [*names, *files, "."]:
            path = os.path.normpath(os.path.join(directory, name))
            st = os.lstat(path)
            found[os.path.relpath(path, side.root)] = (st.st_mtime_ns, st.st_ctime_ns)
    return found


def moved(before, after):
    return {path: tuple(b != a for b, a in zip(before[path], after[path]))
            for path in before.keys() & after.keys()}


def same_moves(plain, mount):
    """A copy-up moves a node's ctime, which nobody can set, so the mount's may move more often."""
    return plain.keys() == mount.keys() and all(
        plain[path][0] == mount[path][0] and plain[path][1] <= mount[path][1] for path in plain)


def inode_numbers(side):
    numbers = {}
    for directory, names, files in os.walk(side.root):
        for name in [*names, *files]:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            # A symlink of the image that was copied up cannot carry its number over a remount.
            if not stat.S_ISLNK(st.st_mode):
                numbers[os.path.relpath(path, side.root)] = st.st_ino
        with os.scandir(directory) as entries:
            for entry in entries:
                assert entry.inode() == os.lstat(entry.path).st_ino, entry.path
    return numbers


class Actor:
    """A process that does what it is told, on both sides, with descriptors of its own."""

    def __init__(self, sides):
        self.sides = [Side(side.root) for side in sides]
        self.here, there = multiprocessing.Pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self.here.close()
            try:
                for number, name, arguments in iter(there.recv, None):
                    there.send(perform(self.sides[number], name, arguments))
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        there.close()
        self.open = set()
        self.root = sides[0].root

    def perform(self, number, name, arguments):
        self.here.send((number, name, arguments))
        return self.here.recv()

    def remember(self, name, arguments, answer):
        """Which keys are open, so that steps can be chosen for them."""
        if name == "open" and not isinstance(answer, str):
            self.open.add(arguments[0])
        elif name == "fd_close":
            self.open.discard(arguments[0])

    def end(self):
        self.here.send(None)
        self.here.close()
        assert os.waitpid(self.pid, 0)[1] == 0


class Together:
    """Several processes on one mount and one plain directory."""

    def __init__(self, base, seed, n_actors):
        self.mounted = Mounted(base)
        make_lower(self.mounted.lower, random.Random(seed))
        self.mounted.mount()
        plain_root = base / "plain"
        plain_root.mkdir()
        self.sides = [Side(plain_root), Side(self.mounted.root)]
        os.system(f"cp -a {self.mounted.root}/. {plain_root}/")
        self.actors = [Actor(self.sides) for _ in range(n_actors)]

    def step(self, who, name, arguments):
        """What is different after it, or None."""
        actor = self.actors[who]
        expected, got = (actor.perform(number, name, arguments) for number in (0, 1))
        actor.remember(name, arguments, expected)
        if got != expected:
            return f"plain {expected!r:.200}, mount {got!r:.200}"
        (left, left_links), (right, right_links) = map(picture, self.sides)
        if left != right:
            return describe(left, right)
        return None if left_links == right_links else f"links: {left_links} {right_links}"

    def close(self):
        for actor in self.actors:
            actor.end()
        self.mounted.close()


def replay(seed, steps, n_actors):
    """What is different after the last of them, or None."""
    base = support.new_root("random")
    together = Together(base, seed, n_actors)
    try:
        difference = None
        for step in steps:
            difference = together.step(*step)
            if difference:
                return difference
        return difference
    finally:
        together.close()
        support.remove_tree(base)


def shrink(seed, steps, n_actors, seconds=60):
    """The fewest steps, as far as time allows, after which something is still different."""
    deadline = time.monotonic() + seconds
    size = len(steps) // 2
    while size > 0:
        at = 0
        while at < len(steps) and time.monotonic() < deadline:
            fewer = steps[:at] + steps[at + size:]
            if fewer and replay(seed, fewer, n_actors):
                steps = fewer
            else:
                at += size
        size //= 2
    return steps


def describe(left, right):
    lines = []
    for path in sorted(left.keys() | right.keys()):
        if left.get(path) != right.get(path):
            lines.append(f"{path}: plain {left.get(path)!r:.300}\n    mount {right.get(path)!r:.300}")
    return "\n".join(lines)


def run(base, seed, steps, with_times):
    rng = random.Random(seed)
    mounted = Mounted(base)
    make_lower(mounted.lower, rng)
    mounted.mount()
    plain_root = base / "plain"
    plain_root.mkdir()
    plain, mount = Side(plain_root), Side(mounted.root)
    os.system(f"cp -a {mounted.root}/. {plain_root}/")
    history = []
    try:
        chooser = Chooser(rng)
        for number in range(steps):
            name, arguments = chooser.step(plain)
            history.append(f"{number}: {name}{shorten(arguments)}")
            if with_times:
                before = times(plain), times(mount)
                time.sleep(0.005)
            expected = perform(plain, name, arguments)
            got = perform(mount, name, arguments)
            assert got == expected, f"{name}: plain {expected!r:.200}, mount {got!r:.200}"
            if with_times:
                left, right = moved(before[0], times(plain)), moved(before[1], times(mount))
                assert same_moves(left, right), "times moved:\n" + describe(left, right)
            if with_times or number % 8 == 0 or number == steps - 1:
                (left, left_links), (right, right_links) = picture(plain), picture(mount)
                assert left == right, describe(left, right)
                assert left_links == right_links
            if number % 100 == 99:
                history.append("remount")
                plain.close(), mount.close()
                numbers = inode_numbers(mount)
                mounted.remount()
                assert inode_numbers(mount) == numbers
                assert not list(mounted.work.iterdir())
    except AssertionError as error:
        error.args = (f"seed {seed}, after {len(history)} steps\n" + "\n".join(history[-25:])
                      + f"\n{error}",)
        raise
    finally:
        plain.close(), mount.close()
        mounted.close()


@pytest.mark.parametrize("number", range(max(1, RUNS // 3)))
def test_several_processes(tmp_path, number):
    """One after the other, in an order that the seed tells, each with what it has open."""
    n_actors = 4
    seed = int(SEED) if SEED else random.randrange(10**6)
    rng = random.Random(seed + 1)
    chooser, steps = Chooser(rng), []
    together = Together(tmp_path, seed, n_actors)
    try:
        difference = None
        while len(steps) < STEPS // 2 and not difference:
            who = rng.randrange(n_actors)
            steps.append((who, *chooser.step(together.actors[who])))
            difference = together.step(*steps[-1])
    finally:
        together.close()
    if difference:
        steps = shrink(seed, steps, n_actors)
        lines = [f"process {who}: {name}{shorten(arguments)}" for who, name, arguments in steps]
        raise AssertionError(f"seed {seed}, as few steps as do it:\n" + "\n".join(lines) +
                             f"\n{replay(seed, steps, n_actors) or difference}")


def test_a_difference_is_found_and_shrunk(monkeypatch):
    """A step that lies about the mount is found among others, and alone it is what is shown."""
    def lie(self, side, path):
        return side.root.endswith("plain")
    monkeypatch.setattr(Steps, "lie", lie, raising=False)
    steps = [(0, "mkdir", ("x", 0o755)), (1, "lie", ("x",)), (0, "stat", ("x",))]
    assert replay(5, steps[:1], 2) is None
    assert shrink(5, steps[:2], 2) == [steps[1]]


@pytest.mark.parametrize("number", range(RUNS))
def test_like_a_plain_directory(tmp_path, number):
    run(tmp_path, int(SEED) if SEED else random.randrange(10**6), STEPS, with_times=False)


@pytest.mark.parametrize("number", range(max(1, RUNS // 3)))
def test_times_move_as_in_a_plain_directory(tmp_path, number):
    run(tmp_path, int(SEED) if SEED else random.randrange(10**6), STEPS // 2, with_times=True)
