"""Mounts whose daemon was killed: found, told apart, mounted again and unmounted."""

import pytest

from mounted import create, is_sealed, mount, prefix, refused, states, status, wait_for

pytestmark = pytest.mark.usefixtures("mountable")


def test_dead_mount_is_found_and_repaired(any_world):
    world = any_world
    for name in ("one", "two", "three"):
        create(world, name)
        mount(world, name, name)
    # The kernel has their roots' attributes by heart: that does not make them alive.
    world.run("stat", "one", "two", "three")
    world.kill_daemon()
    wait_for(lambda: {state for state, _ in states(world).values()} == {"dead"})
    assert "(dead: venvfs doctor mounts it again)" in world.venvfs("list").out
    one = mount(world, "one", "one")
    assert prefix(world, one) == str(one)
    result = status(world, "-n", "two")
    assert result["repaired"] is True and result["state"] == "mounted"
    assert "three: its mount was dead; mounted again" in world.venvfs("doctor").out
    assert {state for state, _ in states(world).values()} == {"mounted"}


def test_dead_mount_can_be_unmounted(any_world):
    world = any_world
    create(world, "proj")
    place = mount(world, "proj")
    world.kill_daemon()
    wait_for(lambda: states(world)["proj"][0] == "dead")
    world.venvfs("umount")
    assert is_sealed(place)
    # And elsewhere while dead: the old place is cleared.
    mount(world, "proj")
    world.kill_daemon()
    wait_for(lambda: states(world)["proj"][0] == "dead")
    mount(world, "proj", "elsewhere")
    assert world.mounts() == [str(world.project / "elsewhere")]


def test_dead_mount_of_another_store(any_world):
    """An environment of the same name in another store is another one."""
    world = any_world
    create(world, "proj")
    create(world, "proj", "--store", world.root / "other")
    world.venvfs("mount", "proj", "theirs", "--store", world.root / "other")
    world.kill_daemon()
    assert states(world)["proj"] == ("unmounted", None)
    world.venvfs("umount", "proj", check=1)
    place = world.project / "theirs"
    assert (f"{place}: is dead, and of no environment in this store; venvfs umount {place} unmounts it"
            in world.venvfs("doctor").out)
    assert world.mounts() == [str(place)]
    assert states(world, "--store", world.root / "other")["proj"][0] == "dead"
    world.venvfs("umount", "proj", "--store", world.root / "other")
    assert world.mounts() == []


def test_a_dead_mount_of_another_store_is_taken_for_no_own_one(any_world):
    world = any_world
    create(world, "proj")
    place = mount(world, "proj")
    world.venvfs("umount", "proj")
    create(world, "proj", "--store", world.root / "other")
    theirs = world.project / "theirs" / ".venv"
    world.venvfs("mount", "proj", theirs, "--store", world.root / "other")
    world.kill_daemon()
    wait_for(lambda: states(world, "--store", world.root / "other")["proj"][0] == "dead")
    refused(world.venvfs("run", "true", check=None, cwd=theirs.parent),
            f"{theirs}: is dead, and of no environment in this store; venvfs umount {theirs} unmounts it")
    world.venvfs("umount", theirs)
    assert status(world, "-n", "proj")["recorded_mount_point"] == str(place)


def test_moved_and_then_dead(any_world):
    world = any_world
    create(world, "proj")
    mount(world, "proj")
    moved = world.project.with_name("moved")
    world.project.rename(moved)
    try:
        world.kill_daemon()
        wait_for(lambda: states(world, cwd=world.root)["proj"] == ("dead", str(moved / ".venv")))
        world.venvfs("umount", "proj", cwd=world.root)
        assert world.mounts() == [] and is_sealed(moved / ".venv")
    finally:
        moved.rename(world.project)
