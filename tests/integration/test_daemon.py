"""The daemon: one per user, started when needed, gone when idle, small."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

import machine
import support
from mounted import create, mount, prefix, refused, resident, states, status, wait_for

pytestmark = pytest.mark.usefixtures("mountable")


def test_started_when_needed_and_gone_when_idle(any_world):
    world = any_world
    create(world, "proj")
    world.venvfs("list")
    assert world.daemons() == []
    mount(world, "proj")
    (pid,) = world.daemons()
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert os.getsid(pid) == pid
    folder = world.runtime / "venvfs"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    time.sleep(1)
    assert world.daemons() == [pid]  # as long as something is mounted
    world.venvfs("umount")
    wait_for(lambda: not (folder / "control").exists())
    assert world._wait(pid, support.DAEMON_EXIT_SECONDS)


def test_the_next_one_keeps_its_socket(world):
    """Where somebody empties the runtime directory, as a logout does, two daemons are there for a while."""
    create(world, "proj")
    mount(world, "proj", env={"VENVFS_LINGER": "3"})
    world.venvfs("umount")
    (first,) = world.daemons()
    shutil.rmtree(world.runtime / "venvfs")
    mount(world, "proj")
    assert len(world.daemons()) == 2
    assert world._wait(first, support.DAEMON_EXIT_SECONDS)
    assert status(world)["requests"]["INIT"] == 1


def test_one_daemon_serves_all(any_world):
    world = any_world
    for index in range(6):
        create(world, f"env{index}")
    several = [world.popen(world.executable, "mount", "-q", f"env{index}", f"m{index}") for index in range(6)]
    assert [process.wait(60) for process in several] == [0] * 6
    assert len(world.daemons()) == 1
    assert {state for state, _ in states(world).values()} == {"mounted"}
    assert [prefix(world, world.project / f"m{index}") for index in range(6)] == [
        f"{world.project}/m{index}" for index in range(6)]


def test_coming_while_it_leaves(world):
    """A client that comes at the moment at which the daemon leaves is served, by it or by the next."""
    create(world, "proj")
    for step in range(25):
        mount(world, "proj", env={"VENVFS_LINGER": "0.02"})
        world.venvfs("umount")
        time.sleep(0.001 * step)
    assert world.mounts() == []


@pytest.mark.slow
def test_same_environment_at_once(world):
    """Of several that mount the same, one does; the others say why not."""
    create(world, "proj")
    several = [world.popen(world.executable, "mount", "proj", f"m{index}", stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True) for index in range(5)]
    answers = [process.communicate(timeout=60) for process in several]
    assert sorted(process.returncode for process in several) == [0, 1, 1, 1, 1]
    assert all(err.startswith("venvfs: proj: ") for _, err in answers if err)
    assert len(world.mounts()) == 1


def test_different_environments_at_one_place(world):
    """Whoever comes first mounts; the others wait for that and name it."""
    for index in range(4):
        create(world, f"env{index}")
    several = [world.popen(world.executable, "mount", f"env{index}", stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True) for index in range(4)]
    answers = [process.communicate(timeout=60) for process in several]
    assert sorted(process.returncode for process in several) == [0, 1, 1, 1], answers
    place = world.project / ".venv"
    assert world.mounts() == [str(place)]
    winner = [process.returncode for process in several].index(0)
    refusal = f"venvfs: {place}: the environment 'env{winner}' is mounted here; venvfs umount {place} unmounts it\n"
    assert [err for _, err in answers if err] == [refusal] * 3


@pytest.mark.serial
def test_memory(world):
    """RssAnon of at most 4 MB with 10 mounts, and walking all of them does not change that."""
    for index in range(10):
        create(world, f"env{index}")
        mount(world, f"env{index}", f"m{index}")
    (pid,) = world.daemons()
    assert resident(pid) <= 4 << 20
    for index in range(10):
        world.run("sh", "-c", f"find m{index} -type f -exec cat {{}} + > /dev/null; ls -lR m{index} > /dev/null")
    assert resident(pid) <= 4 << 20


def test_a_mount_costs_no_thread(world):
    for index in range(5):
        create(world, f"env{index}")
    mount(world, "env0", "m0")
    (pid,) = world.daemons()

    def n_threads():
        return len(os.listdir(f"/proc/{pid}/task"))

    seen = [0]
    while len(seen) < 5 or len(set(seen[-5:])) > 1:  # those that it starts with come one after the other
        time.sleep(0.1)
        seen.append(n_threads())
    for index in range(1, 5):
        mount(world, f"env{index}", f"m{index}")
    wait_for(lambda: n_threads() <= seen[-1] + 2)  # those that answer calls come and go


def test_peers_of_other_users_are_turned_away(world):
    if world.uid != 0:
        machine.skip("needs root")
    create(world, "proj")
    mount(world, "proj")
    folder = world.runtime / "venvfs"
    folder.chmod(0o755)
    world.runtime.chmod(0o755)
    (folder / "control").chmod(0o777)
    code = ("import socket; s = socket.socket(socket.AF_UNIX); s.connect('%s'); s.sendall(b'\\0AUTH EXTERNAL\\r\\n');"
            "s.recv(100); s.sendall(b'DATA\\r\\n'); print(s.recv(100))" % (folder / "control"))
    done = subprocess.run(["/usr/bin/env", "python3", "-c", code], capture_output=True, text=True,
                          **machine.user_options(machine.ordinary_user()))
    folder.chmod(0o700)
    assert "OK" not in done.stdout
    assert status(world)["state"] == "mounted"


def test_rubbish_on_the_socket(world):
    create(world, "proj")
    # GLib warns of a message that is none, if it is read before the client is gone.
    mount(world, "proj", env={"G_DEBUG": None})
    for rubbish in (b"", b"\0", b"\0AUTH FOO\r\n", b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n" + b"\xff" * 5000, os.urandom(4096)):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(world.runtime / "venvfs" / "control"))
        client.sendall(rubbish)
        client.close()
    assert status(world)["state"] == "mounted"


def test_another_version(world):
    """A daemon of another build says so; what is mounted can be unmounted all the same."""
    create(world, "proj")
    create(world, "other")
    mount(world, "proj")
    changed = world.root / "changed" / "tools"
    changed.mkdir(parents=True)
    data = world.executable.read_bytes()
    version = subprocess.run([world.executable, "--version"], capture_output=True, text=True).stdout.split()[1]
    assert data.count(b"\0" + version.encode() + b"\0") >= 1
    other = version[:-1] + ("8" if version[-1] != "8" else "7")
    client = changed / "venvfs"
    client.write_bytes(data.replace(b"\0" + version.encode() + b"\0", b"\0" + other.encode() + b"\0"))
    client.chmod(0o755)
    done = world.run(client, "mount", "other", "other", check=None, env={"VENVFS_DAEMON": world.build / "fs/venvfsd"})
    refused(done, f"daemon: the one that serves your mounts is venvfs {version}, this is venvfs {other}; unmount what "
                  "is mounted, and the next mount starts the new one")
    assert not (world.project / "other").exists()
    world.run(client, "umount", ".venv", env={"VENVFS_DAEMON": world.build / "fs/venvfsd"})
    assert world.mounts() == []


def test_ended_by_a_signal(world):
    create(world, "proj")
    place = mount(world, "proj")
    (pid,) = world.daemons()
    os.kill(pid, signal.SIGTERM)
    assert world._wait(pid, support.DAEMON_EXIT_SECONDS)
    assert status(world)["repaired"] is True
    assert prefix(world, place) == str(place)


def test_a_stopped_daemon_holds_up_nobody_else(world):
    """The tools look at the mount table and at the socket, and come back."""
    create(world, "proj")
    mount(world, "proj")
    (pid,) = world.daemons()
    os.kill(pid, signal.SIGSTOP)
    try:
        done = []
        thread = threading.Thread(target=lambda: done.append(world.venvfs("list", check=None, timeout=60)))
        thread.start()
        time.sleep(0.3)
        assert not done
    finally:
        os.kill(pid, signal.SIGCONT)
    thread.join(60)
    assert done[0].status == 0


def test_a_stale_socket(world):
    create(world, "proj")
    mount(world, "proj")
    world.kill_daemon()
    assert (world.runtime / "venvfs" / "control").exists()
    assert status(world)["repaired"] is True
    assert len(world.daemons()) == 1


def test_what_is_no_socket(world):
    """What cannot be removed is said with its whole path."""
    create(world, "proj")
    door = world.runtime / "venvfs" / "control"
    door.parent.mkdir(mode=0o700, exist_ok=True)
    door.mkdir()
    refused(world.venvfs("mount", "proj", check=None), f"{door}: cannot remove what is left: Is a directory")
    door.rmdir()


def test_an_upper_that_cannot_be_one(world):
    """The daemon finds out, and the message says whose it is."""
    create(world, "proj")
    upper = world.store / "envs" / "proj" / "upper"
    upper.rmdir()
    upper.touch()
    refused(world.venvfs("mount", "proj", check=None),
            "proj: upper: cannot open the directory: Not a directory")
    upper.unlink()
    upper.mkdir()


def test_runtime_directory_of_others(world):
    create(world, "proj")
    folder = world.runtime / "venvfs"
    folder.mkdir(mode=0o755, exist_ok=True)
    folder.chmod(0o755)
    refused(world.venvfs("mount", "proj", check=None),
            f"{folder}: must belong to you and be closed to others (mode 0700); remove it, or set XDG_RUNTIME_DIR to a "
            "directory of your own")
    folder.chmod(0o700)
    mount(world, "proj")


def test_long_runtime_path(world):
    """A socket's address has 108 bytes, a path more."""
    create(world, "proj")
    deep = world.root / ("d" * 120)
    deep.mkdir(mode=0o700)
    world.environment["XDG_RUNTIME_DIR"] = str(deep)
    place = mount(world, "proj")
    assert prefix(world, place) == str(place)
    world.venvfs("umount")


def test_starting_is_quick(world):
    create(world, "proj")
    place = mount(world, "proj")
    world.venvfs("umount")
    seconds = []
    while not seconds or seconds[-1] >= 1 and len(seconds) < 10:  # the machine may have others to serve
        assert world.end_daemons() == []
        seconds.append(world.venvfs("mount", "proj").seconds)
        assert prefix(world, place) == str(place)
        world.venvfs("umount")
    assert seconds[-1] < 1, seconds


def test_doctor(any_world):
    world = any_world
    done = world.venvfs("doctor", "--json")
    checks = {check["subject"]: check["verdict"] for check in done.json["result"]["checks"]}
    assert checks["kernel"] == "ok" and checks["/dev/fuse"] == "ok" and checks["daemon"] == "ok"
    assert checks["attributes"] == "ok" and checks["whiteouts"] == "ok"
    lines = world.venvfs("doctor").out.splitlines()
    assert all(line.split()[0] in ("ok", "warning") for line in lines)
    done = world.venvfs("doctor", check=1, env={"VENVFS_DAEMON": "/nonexistent"})
    assert "VENVFS_DAEMON names no program" in done.out
    assert done.err == "venvfs: 1 problem found; each line above says what to do\n"
