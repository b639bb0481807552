"""venvfs run: as if activated, mounted for that time where need be."""

import contextlib
import os
import signal
import subprocess

import pytest

from mounted import create, is_sealed, mount, refused, states, wait_for

pytestmark = pytest.mark.usefixtures("mountable")

SHOW = ("import os, sys; print(sys.prefix); print(os.environ['VIRTUAL_ENV']); print(os.environ['PATH'].split(':')[0]);"
        "print(os.environ['VIRTUAL_ENV_PROMPT']); print('PYTHONHOME' in os.environ); print(os.environ['UV_LINK_MODE'])")


def test_as_if_activated(any_world):
    world = any_world
    create(world, "proj", "--prompt", "my prompt")
    place = mount(world, "proj")
    shown = world.venvfs("run", "python", "-c", SHOW).out.splitlines()
    assert shown == [str(place), str(place), f"{place}/bin", "my prompt", "False", "copy"]
    shown = world.venvfs("run", "-n", "proj", "python", "-c", SHOW, cwd="/", env={"UV_LINK_MODE": "symlink"}).out
    assert shown.splitlines()[-1] == "symlink"
    assert world.mounts() == [str(place)]
    home = world.venvfs("run", "sh", "-c", "echo ${PYTHONHOME-unset}", env={"PYTHONHOME": "/x"}).out
    assert home == "unset\n"


def test_privately(any_world):
    world = any_world
    create(world, "proj")
    place = world.venvfs("run", "-n", "proj", "python", "-c", "import sys; print(sys.prefix)").out.strip()
    assert place.startswith(f"{world.runtime}/venvfs/run/proj-")
    assert not os.path.exists(place) and world.mounts() == []
    assert states(world)["proj"] == ("unmounted", None)
    # What is written is kept, and what says the private place is rewritten.
    world.venvfs("run", "-n", "proj", "sh", "-c",
                 "printf '#!%s/bin/python\\nprint(1)\\n' $VIRTUAL_ENV > $VIRTUAL_ENV/bin/tool;"
                 "chmod +x $VIRTUAL_ENV/bin/tool")
    mount(world, "proj")
    assert world.run(world.project / ".venv" / "bin" / "tool").out == "1\n"


def test_where_it_was_last(any_world):
    world = any_world
    create(world, "proj")
    place = mount(world, "proj")
    world.venvfs("umount")
    assert world.venvfs("run", "sh", "-c", "echo $VIRTUAL_ENV").out == f"{place}\n"
    assert world.mounts() == [] and is_sealed(place)
    # Given up: privately again.
    world.venvfs("umount", "--remove", "proj")
    shown = world.venvfs("run", "-n", "proj", "sh", "-c", "echo $VIRTUAL_ENV").out
    assert shown.startswith(f"{world.runtime}/venvfs/run/proj-")
    assert not place.exists()


@pytest.mark.parametrize("script, status", [
    ("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137),
])
def test_exit_status(world, script, status):
    create(world, "proj")
    world.venvfs("run", "-n", "proj", "sh", "-c", script, check=status)
    assert world.mounts() == []


def test_no_such_command(world):
    create(world, "proj")
    done = world.venvfs("run", "-n", "proj", "nosuch", check=127)
    assert done.err == "venvfs: nosuch: no such program\n"
    done = world.venvfs("run", "-n", "proj", "-q", "nosuch", check=127)
    assert done.err == "venvfs: nosuch: no such program\n"
    done = world.venvfs("run", "-n", "proj", "--json", "nosuch", check=127)
    assert (done.json["ok"], done.json["error"]["code"], done.result) == (False, "not-found", {"status": 127})
    done = world.venvfs("run", "-n", "proj", "proj", "true", check=127)
    assert done.err == "venvfs: proj: no such program, but an environment; name it with --name\n"
    plain = world.write("plain", "x")
    done = world.venvfs("run", "-n", "proj", plain, check=126)
    assert done.err == f"venvfs: {plain}: cannot be run: Permission denied\n"
    assert world.mounts() == []
    refused(world.venvfs("run", "-n", "nosuch", "true", check=None),
            "nosuch: no such environment; 'venvfs list' shows those there are")
    assert world.venvfs("run", check=2).err.startswith("venvfs: run: an argument is missing; usage: venvfs run ")


def test_options_of_the_command_are_its_own(world):
    create(world, "proj")
    assert world.venvfs("run", "-n", "proj", "echo", "-n", "--json", "--", "x").out == "-n --json -- x\n".replace(
        "-n ", "", 1).rstrip("\n")
    assert world.venvfs("run", "-n", "proj", "--", "echo", "x").out == "x\n"


def test_standard_streams(world):
    create(world, "proj")
    done = world.venvfs("run", "-n", "proj", "sh", "-c", "cat; echo bad >&2", stdin="in\n")
    assert done.out == "in\n" and done.err == "bad\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_passed_on(any_world, number):
    world = any_world
    create(world, "proj")
    ready = world.project / "ready"
    code = ("import signal, sys, time\n"
            f"signal.signal({int(number)}, lambda *_: sys.exit(40))\n"
            "open('ready', 'w').close()\n"
            "time.sleep(60)")
    process = world.popen(world.executable, "run", "-n", "proj", "python", "-c", code)
    wait_for(ready.exists)
    assert len(world.mounts()) == 1
    process.send_signal(number)
    assert process.wait(60) == 40
    assert world.mounts() == []


def test_a_key_of_the_terminal_arrives_once(world):
    """Ctrl-C signals the whole foreground process group: `run` must not send it on a second time."""
    create(world, "proj")
    code = ("import signal, time\n"
            "n = 0\n"
            "def count(*_):\n    global n\n    n += 1\n"
            "signal.signal(signal.SIGINT, count)\n"
            "open('ready', 'w').close()\n"
            "end = time.time() + 60\n"
            "while n == 0 and time.time() < end: time.sleep(0.01)\n"
            "end = time.time() + 1\n"
            "while time.time() < end: time.sleep(0.05)\n"
            "print('count', n)")
    world.write("code.py", code)
    master, slave = os.openpty()
    process = subprocess.Popen([world.executable, "run", "-n", "proj", "python", "code.py"], cwd=world.project,
                               env=world.environment, stdin=slave, stdout=slave, stderr=slave,
                               preexec_fn=lambda: (os.setsid(), __import__("fcntl").ioctl(0, 0x540E, 0)))
    os.close(slave)
    wait_for((world.project / "ready").exists)
    os.write(master, b"\x03")
    text = b""
    while b"count" not in text:
        text += os.read(master, 1000)
    assert process.wait(60) == 0
    os.close(master)
    assert b"count 1" in text


def test_many_share_one_mount(any_world):
    world = any_world
    create(world, "proj")
    code = "import sys, time; time.sleep(float(sys.argv[1])); open(sys.prefix + '/pyvenv.cfg').read()"
    several = [world.popen(world.executable, "run", "-n", "proj", "python", "-c", code, str(0.1 * step))
               for step in range(6)]
    assert [process.wait(60) for process in several] == [0] * 6
    assert world.mounts() == []


def others(world):
    """Its processes but for the daemon."""
    return set(world.processes()) - set(world.daemons())


def test_a_mount_that_a_person_made_stays(world):
    create(world, "proj")
    first = world.popen(world.executable, "run", "-n", "proj", "sleep", "60")
    wait_for(lambda: len(world.mounts()) == 1)
    os.kill(first.pid, signal.SIGKILL)  # leaves its mount, and a note that it was its own
    first.wait()

    def nothing_runs():
        for pid in others(world):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not others(world)
    wait_for(nothing_runs)
    world.venvfs("umount", "proj")
    place = mount(world, "proj")
    world.venvfs("run", "true")
    assert world.mounts() == [str(place)]


@pytest.mark.slow
def test_what_it_leaves_running(world):
    """A background process keeps what it has open; the mount itself does not stay."""
    create(world, "proj")
    end = world.project / "end"
    os.mkfifo(end)
    world.venvfs("run", "-n", "proj", "sh", "-c", f"cd $VIRTUAL_ENV; cat {end} >/dev/null 2>&1 & exit 5", check=5)
    assert world.mounts() == []
    assert len(others(world)) == 1
    end.open("w").close()
    wait_for(lambda: not others(world))
