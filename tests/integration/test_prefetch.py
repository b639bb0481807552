"""Prefetching: an import on a fresh mount finds in the page cache what it is about to read."""

import os
import subprocess
import sys
import time
from collections import Counter

import pytest

import processes
from local_wheels import write_wheel
from mounted import mount, status, wait_for
from variants import first_quick

N = 60
PROGRAM = ("import many, many.sub.a, many.sub.b, many.sub.c;"
           f"print(sum(getattr(many, f'm{{i}}').value for i in range({N})))")
pytestmark = pytest.mark.usefixtures("mountable")


@pytest.fixture
def imported(world):
    """An environment "proj" of a package of many modules and three others, and how to import the first."""
    files = {f"many/m{i}.py": f"value = {i}\n" + f"text = {str(i) * 3000!r}\n" for i in range(N)}
    files.update({f"many/sub/{name}.py": "" for name in ("__init__", "a", "b", "c")})
    files.update({f"{package}/{name}.py": "pass\n"
                  for package in ("second", "third", "fourth") for name in ("__init__", "a", "b")})
    files["second/__init__.py"] = "import third\ndef later():\n    import fourth\n"
    files["third/_fast.abi3.so"] = "no module, but pushed like one" * 300
    files["many/__init__.py"] = "".join(f"from many import m{i}\n" for i in range(N))
    write_wheel(world.wheelhouse, "many", "1", files)
    world.templates.fill_store(world, "proj with many", lambda: world.venvfs(
        "create", "proj", "--python", world.python.path, "--without-pip", "many"))

    def run(place, program=PROGRAM):
        done = world.run(place / "bin" / "python", "-I", "-c", program)
        return done.out.strip()

    return run


def requests(world):
    counts = status(world)["requests"]
    return {name: counts.get(name, 0) for name in ("LOOKUP", "READ", "READDIRPLUS")}


def profiles(world):
    return [path for path in (world.store / "cache").iterdir() if path.name.startswith("reads-")]


def cache_of(world, place, package="many"):
    """Without a look at any directory above it."""
    return place / "lib" / f"python{world.python.minor}" / "site-packages" / package / "__pycache__"


def learn(world, place):
    """Unmounts, and waits until all that was learnt is written, not only what was while it was quiet."""
    world.venvfs("umount", place)
    assert world.end_daemons() == []
    assert profiles(world)


def look(cache):
    """In vain, as an import does first."""
    assert not (cache.parent / "__init__.none.so").exists()


def settle(world):
    """Until nothing more is pushed."""
    last = None
    while is_at_work(world) or last != (last := requests(world)):
        time.sleep(0.3)


def trigger(world, cache):
    """A look where nothing was pushed yet, and what comes of it."""
    before = requests(world)["READDIRPLUS"]
    look(cache)
    wait_for(lambda: requests(world)["READDIRPLUS"] > before)
    settle(world)


def is_at_work(world):
    """Whether a thread of a daemon runs, or would if it had a processor or its disk."""
    threads = [processes.stat_of(f"{pid}/task/{thread}")
               for pid in world.daemons() for thread in os.listdir(f"/proc/{pid}/task")]
    return any(state not in "SZ" for _, state, _ in filter(None, threads))


@pytest.mark.slow
def test_each_fresh_mount_asks_less(world, imported):
    world.environment["VENVFS_PREFETCH"] = "0"
    place = mount(world, "proj")
    assert imported(place) == str(sum(range(N)))
    none = requests(world)
    world.venvfs("umount", place)
    assert world.end_daemons() == []
    del world.environment["VENVFS_PREFETCH"]

    place = mount(world, "proj")
    assert imported(place) == str(sum(range(N)))
    first = requests(world)
    world.venvfs("umount", place)
    wait_for(lambda: profiles(world))

    place = mount(world, "proj")
    assert imported(place) == str(sum(range(N)))
    # What the import was too fast for is there a moment later.
    wait_for(lambda: imported(place, "import many.m7; print(1)") == "1")
    second = requests(world)
    assert none["READ"] >= N
    assert first["READ"] < none["READ"], (none, first)
    assert second["READ"] < none["READ"], (none, second)
    # Nothing of it is seen, and nothing is pushed for who only looks around.
    assert sorted(os.listdir(place)) == sorted(name for name in os.listdir(place) if ".venvfs" not in name)


def test_a_hot_import_asks_for_terminals_only(world, imported):
    """Of the daemon: whether each file is one, as Python up to 3.13 does. Views are looked at anew by each
    start of Python. The kernel may have dropped a page in between, as from any page cache."""
    def asked(program):
        before = dict(status(world)["requests"])
        imported(place, program)
        return Counter(status(world)["requests"]) - Counter(before)

    def of_the_modules():
        nonlocal found
        found = asked("import many; print(1)") - asked("print(1)")
        return set(found) <= {"IOCTL"}

    place = mount(world, "proj")
    imported(place)
    found = Counter()
    wait_for(of_the_modules)
    assert found["IOCTL"] == (N + 1 if world.python.version < (3, 14) else 0)


def test_who_only_looks_pushes_nothing(world, imported):
    """As pip does before it removes a distribution: every path of it, compiled modules included."""
    place = mount(world, "proj")
    cache = cache_of(world, place)
    names = sorted(os.listdir(cache))
    world.venvfs("umount", place)
    place = mount(world, "proj")
    for name in names:
        os.lstat(cache / name)
    # As type checkers do: what they look for in vain is no module.
    assert not (cache.parent / "__init__.pyi").exists()
    time.sleep(0.5)
    assert requests(world)["READDIRPLUS"] == 0
    trigger(world, cache)
    assert requests(world)["READDIRPLUS"] > 0


def test_an_import_teaches_what_to_push(world, imported):
    """What is imported alone later finds everything pushed by what another import read."""
    place = mount(world, "proj")
    imported(place)
    world.venvfs("umount", place)
    wait_for(lambda: profiles(world))
    [profile] = profiles(world)
    assert profile.read_bytes().startswith(b"venvfs reads 2\n\0")
    assert (profile.stat().st_size - 16) // 16 >= N

    place = mount(world, "proj")
    cache = cache_of(world, place)
    trigger(world, cache)
    names = sorted(name for name in os.listdir(cache) if name.startswith("m"))
    before = requests(world)["READ"]
    contents = [(cache / name).read_bytes() for name in names]
    assert len(contents) == N and all(contents)
    assert requests(world)["READ"] == before


def asked(world, place, package):
    """What it takes to read all modules of a package."""
    cache = cache_of(world, place, package)
    before = requests(world)
    paths = [cache / f"{name}.{world.python.tag}.pyc" for name in ("__init__", "a", "b")]
    for path in paths + [cache.parent / "_fast.abi3.so"] * (package == "third"):
        assert path.read_bytes()
    return Counter(requests(world)) - Counter(before)


def test_what_is_imported_next_is_there_ahead(world, imported):
    """Where the order of packages is known, the next one is pushed before an import comes to it, no more."""
    place = mount(world, "proj")
    imported(place, "import many, second, second.a, second.b, fourth, fourth.a, fourth.b; print()")
    learn(world, place)

    place = mount(world, "proj")
    trigger(world, cache_of(world, place, "many"))
    assert asked(world, place, "second") == {}
    assert asked(world, place, "fourth") != {}
    world.venvfs("umount", place)

    # The import says by its first look that it has come there; the others are answered already.
    place = mount(world, "proj")
    for package in ("many", "second", "third"):
        trigger(world, cache_of(world, place, package))
    assert asked(world, place, "fourth") == {}


def test_what_a_package_imports_is_there_ahead(world, imported):
    """Where nothing is known, its modules tell; what functions import when they are called is left out."""
    place = mount(world, "proj")
    trigger(world, cache_of(world, place, "second"))
    assert asked(world, place, "third") == {}
    assert asked(world, place, "fourth") != {}
    look(cache_of(world, place, "third"))
    settle(world)
    learn(world, place)

    # And what was there ahead is known from then on, without having been read through the mount.
    place = mount(world, "proj")
    trigger(world, cache_of(world, place, "third"))
    extension = cache_of(world, place, "third").parent / "_fast.abi3.so"
    before = requests(world)["READ"]
    assert extension.read_bytes()
    assert requests(world)["READ"] == before


def test_who_opens_files_silently_teaches_too(world, imported):
    """Python from 3.14 on does not ask whether a file is a terminal, and reads no page that was pushed. Where
    its import comes to, all that was pushed is taken for needed; what was only foretold is not."""
    place = mount(world, "proj")
    trigger(world, cache_of(world, place, "second"))
    learn(world, place)
    [profile] = profiles(world)
    assert (profile.stat().st_size - 16) // 16 == 3


@pytest.mark.parametrize("learnt", [False, True], ids=["unknown", "known"])
def test_names_are_known_beforehand(world, imported, learnt):
    """Those of the package that an import has begun with; and of all that it will import, where that
    is known, also those by which there is nothing."""
    place = mount(world, "proj")
    cache = cache_of(world, place)
    names = sorted(os.listdir(cache))
    if learnt:
        imported(place)
    world.venvfs("umount", place)
    if learnt:
        wait_for(lambda: profiles(world))

    place = mount(world, "proj")
    trigger(world, cache)
    before = requests(world)["LOOKUP"]
    for name in names:
        os.lstat(cache / name)
    assert requests(world)["LOOKUP"] == before
    (cache.parent / "sub").lstat()
    before = requests(world)["LOOKUP"]
    assert not (cache.parent / "sub" / "__init__.none.so").exists()
    assert (requests(world)["LOOKUP"] == before) == learnt


@pytest.mark.parametrize("learnt", [False, True], ids=["unknown", "known"])
def test_what_was_changed_is_never_overwritten(world, imported, learnt):
    place = mount(world, "proj")
    if learnt:
        imported(place)
    names = sorted(path.name for path in cache_of(world, place).iterdir() if path.name.startswith("m"))
    changed = {name: f"changed {name} ".encode() * 400 for name in names[::3]}
    for name, content in changed.items():
        (cache_of(world, place) / name).write_bytes(content)
    renamed = (cache_of(world, place) / names[1]).read_bytes()
    os.rename(cache_of(world, place) / names[1], cache_of(world, place) / "other.pyc")
    world.venvfs("umount", place)
    if learnt:
        wait_for(lambda: profiles(world))

    place = mount(world, "proj")
    cache = cache_of(world, place)
    trigger(world, cache)
    for name, content in changed.items():
        assert os.stat(cache / name).st_size == len(content)
        assert (cache / name).read_bytes() == content
    assert (cache / "other.pyc").read_bytes() == renamed
    assert not (cache / names[1]).exists()


@pytest.mark.slow
def test_what_is_in_use_keeps_its_pages(world, imported):
    """Only who never showed a file may drop what was pushed of it: its pages may be being read."""
    place = mount(world, "proj")
    cache = cache_of(world, place)
    trigger(world, cache)
    [name] = [name for name in os.listdir(cache) if name.startswith("m7.")]
    before = requests(world)["READ"]
    with open(cache / name, "rb") as file:
        content = file.read()
        assert requests(world)["READ"] == before
        os.chmod(cache / name, 0o600)
        os.link(cache / name, cache / "other.pyc")
        file.seek(0)
        assert file.read() == content
    assert requests(world)["READ"] == before


@pytest.mark.slow
def test_writers_race_with_it(world, imported):
    """Each file is opened, read and written while it may be pushed at that moment."""
    program = """
import os, sys
folder, *names = sys.argv[1:]
os.path.exists(os.path.join(os.path.dirname(folder), '__init__.none.so'))
for name in names:
    path = os.path.join(folder, name)
    before = open(path, 'rb').read()
    with open(path, 'r+b') as file:
        file.write(b'X' * 100)
    after = open(path, 'rb').read()
    assert after == b'X' * 100 + before[100:], (name, len(before), len(after))
"""
    for _ in range(8):
        place = mount(world, "proj")
        cache = cache_of(world, place)
        racer = world.popen(sys.executable, "-c", program, cache,
                            *(f"m{i}.{world.python.tag}.pyc" for i in reversed(range(N))))
        assert racer.wait(60) == 0
        wait_for(lambda: requests(world)["READDIRPLUS"] > 0)
        world.venvfs("umount", place)
        world.venvfs("delete", "proj")
        world.venvfs("create", "proj", "--python", world.python.path, "--without-pip", "many")


@pytest.mark.parametrize("damage", first_quick(["garbage", "empty", "other image", "other groups", "cut"]))
@pytest.mark.slow
def test_a_damaged_profile_does_no_harm(world, imported, damage):
    place = mount(world, "proj")
    imported(place)
    world.venvfs("umount", place)
    wait_for(lambda: profiles(world))
    [profile] = profiles(world)
    content = profile.read_bytes()
    far = b"".join(number.to_bytes(4, "little") for number in (1, 2**31, 2**32 - 1, 2**32 - 1))
    beyond = b"".join((2**31 + i).to_bytes(4, "little") + b"\xff" * 12 for i in range(50))
    profile.write_bytes({"empty": b"", "garbage": os.urandom(len(content)), "cut": content[:-5],
                         "other image": content[:16] + far * 50,
                         "other groups": content + beyond}[damage])
    place = mount(world, "proj")
    assert imported(place) == str(sum(range(N)))


@pytest.mark.slow
def test_killed_at_any_moment(world, imported):
    """kill -9 of the daemon while it pushes and lists leaves no process that waits for ever."""
    world.daemon_may_fail = True
    for moment in range(12):
        place = mount(world, "proj")
        reader = world.popen(place / "bin" / "python", "-I", "-c", "import many",
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.02 + 0.004 * moment)
        world.kill_daemon()
        assert world.daemons() == [], "the daemon does not end"
        reader.wait(60)
        place = mount(world, "proj")
        assert imported(place) == str(sum(range(N)))
        world.venvfs("umount", place)


def test_a_walk_is_no_import(world, imported):
    place = mount(world, "proj")
    for folder, _, names in os.walk(place):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                file.read()
    world.venvfs("umount", place)
    assert world.end_daemons() == []
    assert profiles(world) == []


@pytest.mark.slow
def test_unmounted_at_once(world, imported):
    for _ in range(10):
        place = mount(world, "proj")
        imported(place, "import many.m1; print(1)")
        world.venvfs("umount", place)
