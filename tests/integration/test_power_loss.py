"""After a power loss at any moment the store is in the old state or in the new one.

A command runs with its system calls recorded. Of what the disk may hold after each prefix of these, a
random part is made and checked by `venvfs fsck --deep`; on some of it the command runs again, which must
succeed. VENVFS_RANDOM_SEED chooses the part; a failure prints it."""

import os
import random

import pytest

import machine
import power_loss
import support
from local_wheels import write_wheel

pytestmark = pytest.mark.long

SEED = os.environ.get("VENVFS_RANDOM_SEED")
RECORDER = support.BUILD / "tests" / "recorder" / "recorder.so"


@pytest.fixture
def house(world):
    """A store with one environment in it, and wheels for another."""
    if not RECORDER.exists():
        machine.skip("the recorder of system calls is built with glibc only")
    world.python_args = ["--without-pip", "--no-compile", "--python", world.python.path]
    write_wheel(world.wheelhouse, "small", "1.0")
    write_wheel(world.wheelhouse, "large", "1.0", scripts={"large": "large:main"},
                files={"large/__init__.py": "def main():\n    print('large')\n",
                       **{f"large/part_{i}.py": f"value = {i}\n" for i in range(12)}})
    write_wheel(world.wheelhouse, "other", "1.0", requires=["small"])
    world.wheels = {name: world.wheelhouse / f"{name}-1.0-py3-none-any.whl" for name in ("small", "large", "other")}
    world.venvfs("create", "old", "-q", *world.python_args, world.wheels["small"])
    return world


def record(house, *args):
    """Runs a verb with its calls recorded."""
    recorded = start_record(house)
    house.venvfs(*args, env=recorded.environment)
    return finish_record(house, recorded)


def start_record(house):
    log = house.root / "record"
    log.mkdir()
    recorded = power_loss.Record(house.store, log)
    recorded.environment = {"LD_PRELOAD": RECORDER, "VENVFS_RECORD_ROOT": house.store, "VENVFS_RECORD_LOG": log}
    return recorded


def finish_record(house, recorded):
    calls = recorded.calls()
    assert "rename" in {call[0] for call in calls}
    # The model and the disk agree on what there is in the end.
    *_, (_, disk) = recorded.disks()
    _, _, model = disk.state("all")
    assert names(model) == sorted(str(path.relative_to(house.store)) for path in house.store.rglob("*"))
    return recorded


def names(tree, above=""):
    found = []
    for name, (kind, _, content) in tree.items():
        found.append(above + name)
        if kind == power_loss.DIRECTORY:
            found += names(content, f"{above}{name}/")
    return sorted(found)


def replay(house, recorded, after, kinds=power_loss.KINDS, n_states=40, n_again=2):
    """Checks @n_states random ones of the different states. @after: looks at a store and runs the command
    again, for @n_again of them, the last one included."""
    seed = int(SEED) if SEED else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    states = sample(recorded, kinds, n_states, dice)
    print(f"{len(states)} states of {len(recorded.calls())} calls")
    assert len(states) > 1
    house.environment.update({"LD_PRELOAD": str(RECORDER), "VENVFS_RECORD_NO_SYNC": "1"})
    chosen = {len(states) - 1, *dice.sample(range(len(states) - 1), n_again - 1)}
    store, there = house.root / "replayed", None
    for index, (number, kind, tree) in enumerate(states):
        power_loss.write(store, tree, there)
        there = tree
        try:
            check(house, store)
            if index in chosen:
                after(store)
                check(house, store)
            # Who opens half a store makes it whole.
            if index in chosen or "format" not in tree[2]:
                support.remove_tree(store)
                there = None
        except AssertionError as failure:
            calls = [" ".join(call) for call in recorded.calls()[:number]]
            raise AssertionError(f"{failure}\n{kind} after {number} calls, the last of them\n"
                                 + "\n".join(calls[-12:])) from failure


def sample(recorded, kinds, n_states, dice):
    """Different states in the order of their moments, the durable one at the end among them."""
    last = len(recorded.calls())
    moments = [(number, kind) for number in range(last + 1) for kind in kinds]
    # Calls often leave a state as it was: more than are wanted.
    wanted = {*dice.sample(moments, min(4 * n_states, len(moments))), (last, "durable")}
    seen, states = set(), []
    for number, disk in recorded.disks():
        for kind in kinds:
            if (number, kind) in wanted:
                tree = disk.state(kind, dice)
                if (key := power_loss.digest(tree)) not in seen:
                    seen.add(key)
                    states.append((number, kind, tree))
    dropped = set(dice.sample(range(len(states) - 1), max(len(states) - n_states, 0)))
    return [state for index, state in enumerate(states) if index not in dropped]


def check(house, store):
    checked = house.venvfs("fsck", "--deep", "--store", store, check=None)
    assert checked.status == 0, checked.describe()


def environments(house, store):
    rows = house.venvfs("list", "--json", "--store", store).result["environments"]
    return [row["name"] for row in rows]


def again(house, *wheels):
    """The old environment is whole; the new one is not there, or whole; and can be made."""
    def after(store):
        there = environments(house, store)
        assert there in (["old"], ["new", "old"])
        if "new" in there:
            house.venvfs("delete", "new", "--store", store)
        house.venvfs("create", "new", "-q", "--store", store, *house.python_args, *wheels)
        assert environments(house, store) == ["new", "old"]
    return after


@pytest.mark.parametrize("wheels", [["other", "small"], ["large", "other", "small"]], ids=["few", "many"])
def test_create(house, wheels):
    """Few files are synced one by one, many by one syncfs."""
    wheels = [house.wheels[name] for name in wheels]
    recorded = record(house, "create", "new", "-q", *house.python_args, *wheels)
    replay(house, recorded, again(house, *wheels))


def test_delete(house):
    wheel = house.wheels["large"]
    house.venvfs("create", "new", "-q", *house.python_args, wheel)
    # It relies on that a journal keeps the order of renames and unlinks: no mixtures.
    replay(house, record(house, "delete", "new"), again(house, wheel), kinds=("all", "durable", "names"))


def test_gc(house):
    # An environment has pip, so that gc leaves alone what resolves.
    house.venvfs("delete", "old")
    house.venvfs("create", "old", "-q", "--no-compile", "--python", house.python.path, house.wheels["small"])
    house.venvfs("gc")
    wheel = house.wheels["large"]
    house.venvfs("create", "new", "-q", *house.python_args, wheel)
    house.venvfs("delete", "new")
    replay(house, record(house, "gc"), again(house, wheel))


@pytest.mark.parametrize("place", ["objects/", "packages"])
def test_what_a_killed_process_put_into_place(house, place):
    """It has not synced that. Who finds it does so, before what refers to it is durable."""
    recorded = start_record(house)
    create = ["create", "new", "-q", *house.python_args, house.wheels["other"], house.wheels["small"]]
    house.venvfs(*create, env={**recorded.environment, "VENVFS_RECORD_KILL": place}, check=-9)
    house.venvfs(*create, env=recorded.environment)
    house.venvfs("gc", env=recorded.environment)
    replay(house, finish_record(house, recorded), again(house, house.wheels["other"], house.wheels["small"]))


def test_gc_after_create(house):
    """create leaves it to the file system when it becomes durable, in its order; gc syncs."""
    recorded = start_record(house)
    house.venvfs("create", "new", "-q", *house.python_args, env=recorded.environment)
    house.venvfs("gc", env=recorded.environment)
    replay(house, finish_record(house, recorded), again(house))


def test_new_store(house):
    """The first command of all makes the store."""
    support.remove_tree(house.store)
    house.store.mkdir()
    recorded = record(house, "create", "old", "-q", *house.python_args)

    def after(store):
        there = environments(house, store)
        assert there in ([], ["old"])
        if not there:
            house.venvfs("create", "old", "-q", "--store", store, *house.python_args)

    replay(house, recorded, after)


def test_create_with_bytecode_and_pip(house):
    house.python_args = ["--python", house.python.path]
    wheels = list(house.wheels.values())
    recorded = record(house, "create", "new", "-q", *house.python_args, *wheels)
    replay(house, recorded, again(house, *wheels))


def test_pip_is_whole_where_it_has_its_name(house):
    """Whoever finds it runs it, without looking at its files."""
    support.remove_tree(house.store)
    house.store.mkdir()
    recorded = record(house, "create", "new", "-q", *house.python_args, house.wheels["small"])
    *_, (_, disk) = recorded.disks()
    whole = unpacked_pip(disk.state("all"))
    assert len([name for name, content in whole.items() if name.startswith("pip/_internal/") and content]) > 50
    torn = [(number, kind) for number, disk in recorded.disks() for kind in ("names", "durable")
            if unpacked_pip(disk.state(kind)) not in (None, whole)]
    assert torn == []


def unpacked_pip(tree):
    """Its files by name, without the bytecode, which Python writes while it runs."""
    cache = tree[2].get("cache", (None, None, {}))[2]
    found = [content for name, (_, _, content) in cache.items() if name.startswith("pip-")]
    return {name: content for name, content in files(found[0]) if "__pycache__" not in name} if found else None


def files(tree, above=""):
    for name, (kind, _, content) in tree.items():
        if kind == power_loss.DIRECTORY:
            yield from files(content, f"{above}{name}/")
        else:
            yield above + name, content
