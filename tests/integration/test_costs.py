"""What the commands that take milliseconds ask of the system, counted: times differ from machine to
machine, counts do not. docs/performance.md has the times."""

import re
from collections import Counter

import pytest

pytestmark = pytest.mark.usefixtures("mountable")


@pytest.fixture
def known(seeded_world):
    """The image is in the store, the daemon runs."""
    world = seeded_world
    world.venvfs("create", "first", "-q", "--python", world.python.path)
    world.venvfs("mount", "first", "first", "-q")
    return world


def calls(world, *args):
    """System calls of `venvfs ARGS`, threads and children included, by name."""
    log = world.root / "strace.log"
    world.run("strace", "-f", "-qq", "-o", log, world.executable, *args)
    return Counter(re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE))


def syncs(counted):
    return {name: counted[name] for name in ("fsync", "fdatasync", "syncfs", "sync") if counted[name]}


def test_creating_what_is_known_writes_two_files(known):
    counted = calls(known, "create", "proj", "-q", "--python", known.python.path)
    assert syncs(counted) == {"fsync": 4}  # the two and the directories that they are in
    assert counted["execve"] == 1
    assert counted["connect"] == 0


def test_mounting_deleting_and_unmounting_wait_for_no_disk(known):
    known.venvfs("create", "proj", "-q", "--python", known.python.path)
    assert syncs(calls(known, "mount", "proj", ".venv", "-q")) == {}
    assert syncs(calls(known, "umount", ".venv", "-q")) == {}
    assert syncs(calls(known, "delete", "proj", "-q")) == {}
