"""Where an environment may be mounted, and what is said where it may not."""

import os
import shutil
import subprocess

import pytest

import machine
from mounted import SENTINEL, create, is_sealed, mount, refused

pytestmark = pytest.mark.usefixtures("mountable")


@pytest.fixture
def proj(world):
    create(world, "proj")
    return world


def refuse(world, where, message, name="proj", **options):
    refused(world.venvfs("mount", name, where, check=None, **options), message)
    assert world.mounts() == []


def test_not_empty(proj):
    proj.write("full/file", "x")
    refuse(proj, "full", f"{proj.project}/full: is not empty; move it away, or mount somewhere else")
    assert os.listdir(proj.project / "full") == ["file"]
    proj.write("venv/pyvenv.cfg", "home = /usr/bin\n")
    refuse(proj, "venv", f"{proj.project}/venv: holds an ordinary virtual environment; move it away, or mount "
                         "somewhere else")


def test_not_a_directory(proj):
    path = proj.write("file", "x")
    refuse(proj, "file", f"{path}: is not a directory; remove it, or mount somewhere else")
    refuse(proj, "file/.venv", "Not a directory")


def test_symlinks(proj):
    (proj.project / "real").mkdir()
    (proj.project / "link").symlink_to("real")
    refuse(proj, "link", f"{proj.project}/link: is a symbolic link, and a mount point is a directory; remove it, or "
                         "mount where it points to")
    assert mount(proj, "proj", "link/.venv") and proj.mounts() == [f"{proj.project}/real/.venv"]


def test_spellings(proj):
    (proj.project / "a").mkdir()
    for spelling in ("a/../.venv", ".//.venv/", f"{proj.project}/./.venv", f"{proj.project}/a/../.venv"):
        proj.venvfs("mount", "proj", spelling)
        assert proj.mounts() == [f"{proj.project}/.venv"]
        proj.venvfs("umount", spelling)


def test_colon_and_line_break(proj):
    refuse(proj, "a:b", f"{proj.project}/a:b: has a ':' in it, which PATH cannot hold; mount somewhere else")
    refused(proj.venvfs("mount", "proj", "a\nb", check=None),
            "a\\012b: has a line break in it, which pyvenv.cfg cannot hold; mount somewhere else")


def test_store(proj):
    store = proj.store.resolve()
    refuse(proj, proj.root, f"{proj.root}: a mount here would hide the store {store}; mount somewhere else")
    refuse(proj, proj.store, f"{store}: a mount here would hide the store {store}; mount somewhere else")
    refuse(proj, proj.store / "envs" / "x", f"{store}/envs/x: lies in the store {store}; mount outside of it")
    refuse(proj, proj.store / "envs" / "proj" / "upper",
           f"{store}/envs/proj/upper: lies in the store {store}; mount outside of it")


def test_interpreter(proj):
    python = os.path.realpath(proj.interpreters[-1].path)
    place = os.path.dirname(os.path.dirname(python))
    done = proj.venvfs("mount", "proj", place, check=1)
    assert done.err.startswith(f"venvfs: {place}: a mount here would hide the interpreter ")
    assert proj.mounts() == []


def test_mounted_already(proj):
    create(proj, "other")
    place = mount(proj, "proj")
    here = f"{place}: the environment 'proj' is mounted here; venvfs umount {place} unmounts it"
    refused(proj.venvfs("mount", "proj", check=None), here)
    refused(proj.venvfs("mount", "other", check=None), here)
    refused(proj.venvfs("mount", "proj", "elsewhere", check=None),
            f"proj: is mounted at {place} already, and has one place at a time; venvfs umount {place} unmounts it")
    assert not (proj.project / "elsewhere").exists()
    refused(proj.venvfs("mount", "other", ".venv/lib/x", check=None),
            f"{place}/lib/x: lies in {place}, where the environment 'proj' is mounted; mount outside of it")
    refused(proj.venvfs("mount", "other", ".venv/new", check=None),
            f"{place}/new: lies in {place}, where the environment 'proj' is mounted; mount outside of it")
    assert proj.mounts() == [str(place)]


@pytest.mark.root
def test_something_else_is_mounted(proj):
    place = proj.project / "tmpfs"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    try:
        refused(proj.venvfs("mount", "proj", "tmpfs", check=None),
                f"{place}: a file system (tmpfs) is mounted here; mount somewhere else")
        refused(proj.venvfs("umount", "tmpfs/", check=None),
                f"{place}: what is mounted here (tmpfs) is no environment; use umount(8)")
    finally:
        subprocess.run(["umount", place], check=True)


def test_somebody_elses(user_world):
    if user_world.uid == 0:
        machine.skip("root may mount anywhere")
    create(user_world, "proj")
    refuse(user_world, "/etc", "/etc: is not yours; mount at a directory of your own")
    refuse(user_world, "/etc/venvfs-test", "/etc/venvfs-test: cannot be made: Permission denied")


def test_an_abandoned_mount_point_can_be_taken_over(proj):
    create(proj, "other")
    place = mount(proj, "proj")
    proj.venvfs("umount")
    mount(proj, "other")
    proj.venvfs("umount")
    assert '"other"' in (place / SENTINEL).read_text()
    proj.venvfs("umount", "--remove", "./.venv")
    assert not place.exists()


def test_no_tool_takes_the_sentinel_for_an_environment(any_world):
    """Items 38 to 42: an unmounted mount point is refused rather than filled."""
    world = any_world
    create(world, "proj")
    place = mount(world, "proj")
    world.venvfs("umount")
    assert is_sealed(place)
    if world.uid != 0:
        assert world.run("sh", "-c", "echo > .venv/x", check=None).status != 0
        assert world.run(world.interpreters[-1].path, "-m", "venv", "--without-pip", ".venv", check=None).status != 0
        assert is_sealed(place)
    uv = shutil.which("uv")
    if uv and world.user is None:
        world.write("pyproject.toml", "[project]\nname='x'\nversion='1'\nrequires-python='>=3.8'\n")
        done = world.run(uv, "sync", "--offline", "--python", world.interpreters[-1].path, check=None,
                         env={"UV_CACHE_DIR": world.home / "uv"})
        assert done.status != 0 and os.listdir(place) == [SENTINEL], done.describe()


def test_clearing_the_mounted_root(any_world):
    """Item 40: rm -rf empties it and ends with EBUSY; it stays empty."""
    world = any_world
    create(world, "proj")
    place = mount(world, "proj")
    done = world.run("rm", "-rf", place, env={"LC_ALL": "C"}, check=1)
    assert "Device or resource busy" in done.err
    assert world.run("ls", "-A", place).out == ""
    world.venvfs("umount")
    mount(world, "proj")
    assert world.run("ls", "-A", place).out == ""
    world.run(world.interpreters[-1].path, "-m", "venv", "--without-pip", place)
    assert world.run(place / "bin" / "python", "-c", "print(1)").out == "1\n"


# What the machine lacks


def test_no_fusermount(user_world):
    if user_world.uid == 0:
        machine.skip("root does without it")
    create(user_world, "proj")
    refused(user_world.venvfs("mount", "proj", check=None, env={"VENVFS_FUSERMOUNT": "/nonexistent"}),
            "fusermount3: is not installed, and without it only root can mount; install the package fuse3")
    assert not (user_world.project / ".venv").exists()


@pytest.mark.root
@pytest.mark.serial
def test_no_device(world):
    create(world, "proj")
    script = ("set -e; mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3;"
              f"exec {world.executable} mount proj")
    refused(world.run("unshare", "-m", "bash", "-c", script, check=None),
            "/dev/fuse: is not there; load the module (modprobe fuse), or give the container the device "
            "(--device /dev/fuse)")
    assert world.mounts() == [] and not (world.project / ".venv").exists()


@pytest.mark.root
@pytest.mark.serial
def test_mount_max(world):
    create(world, "proj")
    limit = "/proc/sys/fs/mount-max"
    former = open(limit).read()
    try:
        with open(limit, "w") as file:
            file.write("1")
        refused(world.venvfs("mount", "proj", check=None),
                f"{world.project}/.venv: there are as many mounts as fs.mount-max allows; unmount some, or raise it "
                "with sysctl")
    finally:
        with open(limit, "w") as file:
            file.write(former)
    assert world.mounts() == [] and not (world.project / ".venv").exists()
    mount(world, "proj")


@pytest.mark.root
@pytest.mark.serial
def test_mount_max_of_fusermount(user_world):
    """An ordinary user meets the limit of /etc/fuse.conf first: another one, in a mount namespace of its own."""
    world = user_world
    create(world, "proj")
    limit = world.write("fuse.conf", "mount_max = 0\n")
    os.chown(limit, 0, 0)
    script = (f"mount --bind {limit} /etc/fuse.conf && exec setpriv --reuid {world.uid} --regid {world.user.pw_gid} "
              f"--clear-groups {world.executable} mount proj")
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=world.project, env=world.environment,
                          capture_output=True, text=True)
    place = world.project / ".venv"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (f"venvfs: {place}: there are as many FUSE mounts as /etc/fuse.conf allows; unmount some, or "
                           "root has to raise mount_max there\n")
    assert world.mounts() == [] and not place.exists()
    mount(world, "proj")


def test_no_daemon(world):
    create(world, "proj")
    refused(world.venvfs("mount", "proj", check=None, env={"VENVFS_DAEMON": "/nonexistent/venvfsd"}),
            "/nonexistent/venvfsd: cannot be started: No such file or directory")
    done = world.venvfs("mount", "proj", check=1, env={"VENVFS_DAEMON": "/bin/false"})
    assert done.err.endswith("/daemon.log: the daemon ends as soon as it starts, and does not say why\n")
    assert done.err.count("\n") == 1
    assert world.mounts() == [] and not (world.project / ".venv").exists()
