"""Random operations on a mount and on a plain directory, which must not differ.

Every step is done on both; results, errnos and afterwards the trees (types, contents, modes, links,
attributes, which times moved) must be equal. A failing run prints its seed and the steps:

    VENVFS_RANDOM_SEED=17 VENVFS_RANDOM_STEPS=400 pytest tests/integration/test_filesystem_random.py

repeats it.
"""

import multiprocessing
import os
import random
import stat
import time
import traceback

import pytest

import support
from filesystem import Mounted, brief
from random_steps import Chooser, Side, Steps, make_lower, perform, shorten
from variants import first_quick

SEED = os.environ.get("VENVFS_RANDOM_SEED")
STEPS = int(os.environ.get("VENVFS_RANDOM_STEPS", "400"))
RUNS = int(os.environ.get("VENVFS_RANDOM_RUNS", "6"))
SKIPPED_XATTRS = ("security.selinux",)
CLOCK_REALTIME_COARSE = 5
TICK = time.clock_getres(CLOCK_REALTIME_COARSE)  # times of files move by no less


def picture(side):
    """Everything that can be seen, by relative path."""
    seen, inodes = {}, {}
    for directory, names, files in os.walk(side.root):
        for name in [*names, *files] + ([""] if directory == side.root else []):
            path = os.path.join(directory, name)
            relative = os.path.relpath(path, side.root)
            st = os.lstat(path)
            inodes.setdefault(st.st_ino, []).append(relative)
            what = list(brief(st)) if relative != "." else [st.st_nlink]
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
                time.sleep(1.5 * TICK)
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
                assert os.listdir(mounted.work) == ["whiteout"]
    except AssertionError as error:
        error.args = (f"seed {seed}, after {len(history)} steps\n" + "\n".join(history[-25:])
                      + f"\n{error}",)
        raise
    finally:
        plain.close(), mount.close()
        mounted.close()


@pytest.mark.threads
@pytest.mark.parametrize("number", first_quick(range(max(1, RUNS // 3))))
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


@pytest.mark.parametrize("number", first_quick(range(RUNS)))
def test_like_a_plain_directory(tmp_path, number):
    run(tmp_path, int(SEED) if SEED else random.randrange(10**6), STEPS, with_times=False)


@pytest.mark.parametrize("number", first_quick(range(max(1, RUNS // 3))))
@pytest.mark.slow
def test_times_move_as_in_a_plain_directory(tmp_path, number):
    run(tmp_path, int(SEED) if SEED else random.randrange(10**6), STEPS // 2, with_times=True)
