"""kill -9 and Ctrl-C at random moments, and many commands at once: the store is whole afterwards, nothing
stays that `venvfs gc` does not take, and the next command works. Every test prints its seed."""

import random
import signal
import subprocess
import time

import pytest

import support
from local_wheels import write_wheel
from mounted import create, mount, wait_for

REPETITIONS = pytest.param(5, id="short")
MANY = pytest.param(100, id="long", marks=pytest.mark.long)


@pytest.fixture
def house(world):
    world.options = ["-q", "--without-pip", "--no-compile", "--python", world.interpreters[-1].path]
    for index in range(3):
        files = {f"pkg{index}/part_{i}.py": f"value = {i} * {index + 2}\n" * 40 for i in range(60)}
        write_wheel(world.wheelhouse, f"pkg{index}", "1.0", files=files)
    world.wheels = sorted(world.wheelhouse.iterdir())
    world.venvfs("create", "old", *world.options, world.wheels[0])
    return world


@pytest.fixture
def dice():
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)


def names(house):
    return [row["name"] for row in house.venvfs("list", "--json").result["environments"]]


def whole(house):
    """What a crash may leave is gone after one gc, and the store is whole before and after."""
    house.venvfs("fsck", "--deep")
    house.venvfs("gc", "-q")
    assert list((house.store / "tmp").iterdir()) == []
    assert list((house.store / "leases").iterdir()) == []
    assert [path for path in (house.store / "trash").iterdir() if path.name != "quarantine"] == []
    house.venvfs("fsck", "--deep")


def end_somewhere(house, dice, number, seconds, *args):
    """Starts a verb, sends it @number within @seconds unless it is done by then; its exit status and stderr."""
    process = house.popen(house.executable, *args, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        process.wait(dice.uniform(0, seconds))
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    _, err = process.communicate(timeout=60)
    # Children of one that was killed end by themselves.
    wait_for(lambda: set(house.processes()) <= set(house.daemons()))
    return process.returncode, err


def how_long(house, *args):
    return house.venvfs(*args).seconds


@pytest.mark.slow
@pytest.mark.parametrize("repetitions", [REPETITIONS, MANY])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill", "interrupt"])
def test_create(house, dice, number, repetitions):
    command = ["create", "new", *house.options, *house.wheels]
    seconds = how_long(house, *command)
    for _ in range(repetitions):
        if "new" in names(house):
            house.venvfs("delete", "new")
        house.venvfs("gc", "-q")
        status, err = end_somewhere(house, dice, number, seconds, *command)
        assert_ended(status, err, number)
        assert names(house) == (["new", "old"] if status == 0 else ["old"]) or number == signal.SIGKILL
        whole(house)
    if "new" not in names(house):
        house.venvfs(*command)
    assert names(house) == ["new", "old"]


def assert_ended(status, err, number):
    """Done before the signal came, or ended by it: Ctrl-C says so in one line."""
    if status == 0:
        assert err == ""
    elif number == signal.SIGKILL:
        assert status == -signal.SIGKILL
    elif status == -signal.SIGINT:
        # So early that nothing had been begun.
        assert err == "" or err.startswith("venvfs: ") and err.count("\n") == 1
    else:
        assert status in (1, 130)
        assert err.startswith("venvfs: ") and "interrupted" in err and err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("repetitions", [REPETITIONS, MANY])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill", "interrupt"])
def test_delete_and_gc(house, dice, number, repetitions):
    command = ["create", "new", *house.options, *house.wheels]
    for _ in range(repetitions):
        if "new" not in names(house):
            house.venvfs(*command)
        status, err = end_somewhere(house, dice, number, 0.02, "delete", "new")
        assert_ended(status, err, number)
        house.venvfs("fsck", "--deep")
        status, err = end_somewhere(house, dice, number, 0.03, "gc")
        assert_ended(status, err, number)
        house.venvfs("fsck", "--deep")
        assert set(names(house)) in ({"old"}, {"new", "old"})
    whole(house)
    if "new" not in names(house):
        house.venvfs(*command)


@pytest.mark.slow
@pytest.mark.parametrize("verb", [["export", "old", "plain"], ["fsck", "--deep"], ["list"], ["status", "-n", "old"],
                                  ["doctor"], ["store"], ["run", "-n", "old", "python", "-c", "pass"]], ids=lambda v: v[0])
def test_interrupted_verbs(house, dice, verb):
    """Ctrl-C in the other verbs; mount's and umount's moments are test_mount.py's."""
    seconds = how_long(house, *verb)
    for _ in range(4):
        subprocess.run(["rm", "-rf", house.project / "plain"], check=True)
        status, err = end_somewhere(house, dice, signal.SIGINT, seconds, *verb)
        if verb[0] != "run":
            assert_ended(status, err, signal.SIGINT)
        if verb[0] == "export" and status != 0:
            assert list(house.project.iterdir()) == []
    wait_for(lambda: house.mounts() == [])
    whole(house)
    assert names(house) == ["old"]


@pytest.mark.slow
def test_one_wheel_by_many(house):
    """Several bring the same wheel at the same time: each has it, and it is there once."""
    before = len(list((house.store / "packages").iterdir()))
    several = [house.popen(house.executable, "create", f"new{i}", *house.options, house.wheels[1 + i % 2])
               for i in range(6)]
    assert [process.wait(120) for process in several] == [0] * 6
    assert names(house) == [f"new{i}" for i in range(6)] + ["old"]
    assert len(list((house.store / "packages").iterdir())) == before + 2
    whole(house)


@pytest.mark.slow
def test_gc_beside_create(house):
    """What is being made is not taken away, nor what it is made of."""
    house.venvfs("create", "new", *house.options, *house.wheels)
    house.venvfs("delete", "new")
    sweeper = house.popen("sh", "-c", f"while :; do {house.executable} gc -q || exit 1; done")
    try:
        for _ in range(8):
            house.venvfs("create", "new", *house.options, *house.wheels)
            house.venvfs("fsck", "--deep")
            house.venvfs("delete", "new")
        assert sweeper.poll() is None
    finally:
        sweeper.kill()
        sweeper.wait()
    wait_for(lambda: set(house.processes()) <= set(house.daemons()))
    whole(house)


@pytest.mark.slow
@pytest.mark.usefixtures("mountable")
def test_daemon_killed_in_the_middle(world, dice):
    """Each verb that talks to the daemon ends, with success or one line, and the next one repairs."""
    create(world, "proj")
    world.daemon_may_fail = True
    for _ in range(6):
        mount(world, "proj")
        for verb in (["status", "-n", "proj"], ["umount", "proj"], ["mount", "proj"], ["list"], ["delete", "proj"]):
            process = world.popen(world.executable, *verb, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            time.sleep(dice.uniform(0, 0.02))
            world.kill_daemon()
            _, err = process.communicate(timeout=60)
            assert process.returncode in (0, 1)
            assert (err == "") == (process.returncode == 0) or "warning" in err, err
            assert err.count("\n") <= 1, err
        world.venvfs("doctor", check=None)
        if names(world) == []:
            create(world, "proj")
        world.venvfs("umount", "proj", check=None)
        support.remove_tree(world.project)
        world.project.mkdir(exist_ok=True)
