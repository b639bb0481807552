"""The fixtures themselves: a harness that finds nothing wrong proves nothing until it can find something."""

import os
import subprocess
import time

import pytest

import machine
import processes
import support
from filesystem import as_user


@pytest.fixture
def bare(tmp_path):
    """A world without built programs."""
    root = support.new_root("self")
    world = support.World(root, tmp_path / "build", None, machine.find_interpreters())
    yield world
    support.remove_tree(root)


def test_environment_of_a_world_is_its_own(bare, monkeypatch):
    out = bare.run("env").out
    values = dict(line.split("=", 1) for line in out.splitlines())
    assert values["HOME"] == str(bare.home)
    assert values["XDG_RUNTIME_DIR"] == str(bare.runtime)
    assert values["PIP_CONFIG_FILE"] == "/dev/null"
    assert values["G_DEBUG"] == "fatal-warnings"
    assert "PYTHONDONTWRITEBYTECODE" not in values
    assert len(f"{bare.runtime}/venvfs/control") < 100


def test_exit_status_is_demanded(bare):
    assert bare.run("false", check=1).status == 1
    assert bare.run("false", check=None).status == 1
    with pytest.raises(support.Unexpected, match="exit status 1"):
        bare.run("false")
    with pytest.raises(support.Unexpected, match="exit status 0"):
        bare.run("true", check=1)


def test_leftover_processes_are_found(bare):
    process = bare.popen("sleep", "60")
    deadline = time.monotonic() + 60
    while process.pid not in bare.processes() and time.monotonic() < deadline:
        time.sleep(0.01)
    problems = bare.close()
    assert any(f"process {process.pid} still runs: sleep 60" in problem for problem in problems)
    assert process.wait(timeout=60) == -9


def test_a_process_is_seen_while_it_starts_a_program(bare):
    process = bare.popen(bare.write("again", '#!/bin/sh\nexec "$0"\n', 0o755))
    try:
        mark = f"VENVFS_TEST_WORLD={bare.root}".encode()
        assert all(mark in processes.environment_of(process.pid) for _ in range(2000))
    finally:
        process.kill()
        process.wait()


def test_a_daemon_that_fails_is_found(bare, tmp_path):
    daemon = tmp_path / "venvfsd"
    daemon.symlink_to("/bin/sh")
    # The shell in between ends at once, so that this process inherits the daemon.
    bare.run("sh", "-c", f"{daemon} -c 'sleep 0.2; exit 3' >/dev/null 2>&1 &")
    problems = bare.close()
    assert len(problems) == 1 and "ended with status 3" in problems[0]


def test_a_daemon_that_ends_well_is_not_held_against_a_test(bare, tmp_path):
    daemon = tmp_path / "venvfsd"
    daemon.symlink_to("/bin/sh")
    bare.run("sh", "-c", f"{daemon} -c 'sleep 0.2; exit 0' >/dev/null 2>&1 &")
    assert bare.close() == []
    assert not bare.root.exists()


@pytest.mark.root
def test_leftover_mounts_are_found(bare):
    place = bare.root / "a place"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    assert bare.mounts() == [str(place)]
    bare.executable.parent.mkdir(parents=True)
    bare.executable.write_text("#!/bin/sh\nexit 1\n")
    bare.executable.chmod(0o755)
    problems = bare.close()
    assert len(problems) == 1 and "still mounted after venvfs umount" in problems[0]
    assert bare.mounts() == []


def test_ordinary_user_owns_its_world():
    user = machine.ordinary_user() if os.getuid() == 0 else None
    root = support.new_root("self")
    try:
        world = support.World(root, root / "build", user, [])
        assert world.run("id", "-u").out.strip() == str(world.uid)
        if os.getuid() == 0:
            assert world.uid != 0
        world.run("sh", "-c", "echo hello >file; mkdir -p $HOME/x $XDG_RUNTIME_DIR/y $TMPDIR/z")
        assert (world.project / "file").stat().st_uid == world.uid
    finally:
        support.remove_tree(root)


def test_a_tree_is_removed_however_deep_and_closed():
    """By its owner, whom a mode without permissions keeps out."""
    def make_and_remove():
        fds = [os.open(root, os.O_RDONLY)]
        for _ in range(25):
            os.mkdir("d" * 200, dir_fd=fds[-1])
            fds.append(os.open("d" * 200, os.O_RDONLY, dir_fd=fds[-1]))
        os.mkdir("inside", dir_fd=fds[-1])
        os.fchmod(fds[-1], 0)
        os.fchmod(fds[1], 0)
        for fd in fds:
            os.close(fd)
        support.remove_tree(root / ("d" * 200))
        return os.listdir(root)

    user = machine.ordinary_user() if os.getuid() == 0 else None
    root = support.new_root("self")
    try:
        if user:
            os.chown(root, user.pw_uid, user.pw_gid)
        assert as_user(user, make_and_remove) == ("saw", [])
    finally:
        support.remove_tree(root)


def test_interpreters_are_of_this_machine():
    found = machine.find_interpreters()
    assert [one.version for one in found] == sorted(one.version for one in found)
    for one in found:
        out = subprocess.run([one.path, "-c", "import sys; print(*sys.version_info[:3])"],
                             capture_output=True, text=True).stdout
        assert tuple(map(int, out.split())) == one.version
