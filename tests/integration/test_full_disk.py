"""A disk that is full below a mounted environment."""

import errno
import subprocess

import pytest

import machine
import support
from disks import attach, fill_up, make_btrfs, set_quota, sync_disk
from mounted import create, mount, prefix, refused

pytestmark = [pytest.mark.usefixtures("mountable"), pytest.mark.root]


@pytest.fixture
def disk(world):
    """The world's store lies on a small file system of its own."""
    place = world.root / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", place], capture_output=True).returncode != 0:
        machine.skip("tmpfs cannot be mounted here")
    world.environment["VENVFS_STORE"] = str(place / "store")
    yield place
    world.venvfs("umount", "proj", check=None)
    assert world.venvfs("fsck", "--deep").status == 0
    for pid in world.daemons():
        assert world._wait(pid, support.DAEMON_EXIT_SECONDS)
    subprocess.run(["umount", place], check=True)


def test_writing(world, disk):
    """A write says ENOSPC and what was there stays; with room again all goes on."""
    create(world, "proj")
    place = mount(world, "proj")
    kept = (place / "pyvenv.cfg").read_text()
    with pytest.raises(OSError) as caught:
        with open(place / "large", "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 65536)
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(OSError) as caught:
        with open(place / "pyvenv.cfg", "a", encoding="utf-8") as file:
            file.write("y" * 65536)
    assert caught.value.errno == errno.ENOSPC
    assert (place / "pyvenv.cfg").read_text().startswith(kept)
    assert prefix(world, place) == str(place)
    # Unmounting needs no room.
    world.venvfs("umount", "proj")
    (disk / "store" / "envs" / "proj" / "upper" / "large").unlink()
    mount(world, "proj")
    (place / "small").write_text("x")
    assert (place / "small").read_text() == "x"


def test_mounting(world, disk):
    """One line that names the reason, and nothing mounted."""
    create(world, "proj")
    with open(disk / "filler", "wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(b"x" * 4096)
    done = world.venvfs("mount", "proj", check=1)
    assert done.err.startswith(f"venvfs: {disk}/store/") and done.err.endswith(": No space left on device\n")
    assert done.err.count("\n") == 1
    assert world.mounts() == [str(disk)]
    assert not (world.project / ".venv").exists()
    done = world.venvfs("create", "other", "--without-pip", "--python", world.interpreters[-1].path, check=1)
    assert done.err.endswith(": No space left on device\n") and done.err.count("\n") == 1
    (disk / "filler").unlink()
    mount(world, "proj")


@pytest.fixture
def quota(user_world):
    """An ordinary user's store lies on a disk of which that user may have a part."""
    world = user_world
    place = world.root / "disk"
    place.mkdir()
    make_btrfs(world.root / "image")
    attach(world.root / "image", place)
    set_quota(place, 16 << 20)
    world.give(place)
    world.environment["VENVFS_STORE"] = str(place / "store")
    yield place
    world.venvfs("umount", "--all", check=None)
    for pid in world.daemons():
        assert world._wait(pid, support.DAEMON_EXIT_SECONDS)
    subprocess.run(["umount", place], check=True)


def test_over_quota(user_world, quota):
    """What is mounted works and can be unmounted, what takes room says so in one line, and nothing is lost."""
    world = user_world
    create(world, "proj")
    create(world, "other")
    create(world, "large")
    mount(world, "large", "large")
    world.run("sh", "-c", "head -c 4M /dev/urandom > large/data")
    world.venvfs("umount", "--remove", "large")
    place = mount(world, "proj")
    assert fill_up(quota / "filler", quota) == errno.EDQUOT
    assert prefix(world, place) == str(place)
    done = world.venvfs("umount", "proj")
    assert done.out == f"Unmounted proj from {place}\n" and not world.project.joinpath(".venv", "bin").exists()
    assert done.err.startswith("venvfs: warning: proj: is unmounted, but that is not noted: ") and done.err.count("\n") == 1
    for verb in (["mount", "proj"], ["mount", "other", "there"], ["create", "third", "--without-pip"], ["delete", "other"]):
        refused(world.venvfs(*verb, check=None), ": Disk quota exceeded")
    assert world.mounts() == [str(quota)] and not (world.project / "there").exists()
    assert world.venvfs("fsck", "--deep").status == 0
    # What is deleted makes room for its own end.
    world.venvfs("delete", "large")
    (quota / "filler").unlink()
    sync_disk(quota)
    assert prefix(world, mount(world, "proj")) == str(place)
    assert world.venvfs("umount", "proj").err == ""
    world.venvfs("delete", "other")
