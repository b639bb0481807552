"""venvfs flatten: an upper that the kernel's overlayfs mounts, and mounts by both of the same one in turn."""

import fcntl
import os
import random
import signal
import stat
import subprocess

import pytest

import support
from mounted import create, refused, wait_for
from random_steps import Chooser, Side, perform
from stacked import lay_out, mount

pytestmark = pytest.mark.usefixtures("mountable")


@pytest.fixture
def stack(any_world):
    return lay_out(any_world)


def tree(root):
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            content = (open(path, "rb").read() if stat.S_ISREG(st.st_mode)
                       else os.readlink(path) if stat.S_ISLNK(st.st_mode) else None)
            links = st.st_nlink if stat.S_ISREG(st.st_mode) else 1
            found[os.path.relpath(path, root)] = (oct(st.st_mode), links, content)
    return found


@pytest.fixture
def overlayfs(stack):
    """Mounts what `stack` has with the kernel's overlayfs."""
    def run(action):
        project = stack.project
        (project / "kernel-work").mkdir(exist_ok=True)
        options = (f"lowerdir={project}/over:{project}/low,upperdir={project}/up,"
                   f"workdir={project}/kernel-work,userxattr")
        done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, project / "at"],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        try:
            return action(project / "at")
        finally:
            subprocess.run(["umount", project / "at"], check=True)
    return run


CHANGES = """
set -e
cd "$1"
echo edited > dir/file
chmod 4711 run
mv dir/sub dir/moved
mv opaque away
mkdir opaque
echo fresh > opaque/fresh
ln run dir/hard
ln -s nowhere dir/dangling
rm dir/new
mkdir dir/new
echo inside > dir/new/inside
mv link dir/renamed-link
mkdir -p born/deep
echo born > born/deep/file
mv dir/moved/deep born/deeper
"""


@pytest.mark.root
def test_the_kernel_shows_a_flattened_upper(stack, overlayfs):
    world = stack
    if world.uid != 0:
        return
    at = world.project / "at"
    mount(world)
    world.run("sh", "-c", CHANGES, "sh", at)
    expected = tree(at)
    refused(world.venvfs("flatten", "up", check=None), "up: is the upper of a mount, and can be of one at a time; unmount that first")
    world.venvfs("umount", at)
    result = world.venvfs("flatten", "up", "--json").result
    assert result["files"] > 0 and result["directories"] == 2
    assert overlayfs(tree) == expected
    mount(world)
    assert tree(at) == expected


@pytest.mark.root
def test_venvfs_shows_an_upper_of_the_kernel(stack, overlayfs):
    world = stack
    if world.uid != 0:
        return

    def change(at):
        world.run("sh", "-c", CHANGES, "sh", at)
        return tree(at)
    expected = overlayfs(change)
    mount(world)
    assert tree(world.project / "at") == expected
    world.venvfs("umount", "at")
    assert world.venvfs("flatten", "up", "--json").result["files"] == 0
    assert overlayfs(tree) == expected


@pytest.mark.root
def test_random_changes_through_both(stack, overlayfs):
    """The kernel shows, flattened, what was done through venvfs, and venvfs what was then done through the kernel."""
    world = stack
    if world.uid != 0:
        return
    seed = int(os.environ.get("VENVFS_RANDOM_SEED") or random.randrange(10**6))
    print(f"VENVFS_RANDOM_SEED={seed}")
    chooser = Chooser(random.Random(seed))

    def change(at):
        side = Side(at)
        for _ in range(60):
            perform(side, *chooser.step(side))
        side.close()
        return tree(at)
    for _ in range(3):
        mount(world)
        expected = change(world.project / "at")
        world.venvfs("umount", "at")
        world.venvfs("flatten", "up")
        assert overlayfs(tree) == expected
        expected = overlayfs(change)
        mount(world)
        assert tree(world.project / "at") == expected
        world.venvfs("umount", "at")


def test_flatten_an_environment(any_world):
    world = any_world
    create(world, "proj")
    world.venvfs("mount", "proj")
    world.run("mv", ".venv/bin", ".venv/tools")
    expected = tree(world.project / ".venv")
    refused(world.venvfs("flatten", "-n", "proj", check=None), "it is mounted, or another venvfs is working on it")
    world.venvfs("umount")
    assert world.venvfs("flatten", "-n", "proj", "--json").result["directories"] == 1
    world.venvfs("mount", "proj")
    assert tree(world.project / ".venv") == expected


def test_flatten_interrupted(world):
    """Ctrl-C while a file is being copied: no other is begun, all shows as before, and the next one goes on."""
    names = [f"file{i}" for i in range(3)]
    for folder in ("up", "work", "at"):
        (world.project / folder).mkdir()
    for name in names:
        world.write(f"low/{name}", name * 20000)
    mount(world, lower="low")
    world.run("chmod", "600", *(f"at/{name}" for name in names))
    expected = tree(world.project / "at")
    world.venvfs("umount", "at")
    gate = world.write("gate", "")
    with open(gate) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = world.popen(world.executable, "flatten", "up", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, env={"VENVFS_SLOW_COPIES": str(gate), "LD_PRELOAD": str(
                                  support.BUILD / "tests" / "recorder" / "slow-copies.so")})
        wait_for((world.project / "gate-0").exists)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (
        130, "", "venvfs: interrupted; it shows what it showed, and flattening it again goes on\n")
    assert not (world.project / "gate-1").exists()
    mount(world, lower="low")
    assert tree(world.project / "at") == expected
    world.venvfs("umount", "at")
    assert world.venvfs("flatten", "up", "--json").result["files"] == 2
    mount(world, lower="low")
    assert tree(world.project / "at") == expected
