"""Any directories, mounted without an environment: venvfs mount --lower, and mount(8)."""

import os
import shlex
import shutil
import signal
import subprocess

import pytest

import machine
import support
from filesystem import libc
from mounted import create, refused
from stacked import lay_out, mount, names

pytestmark = pytest.mark.usefixtures("mountable")

MNT_DETACH = 2


@pytest.fixture
def stack(any_world):
    return lay_out(any_world)


def only(folder):
    (path,) = folder.iterdir()
    return path


def source_of(path):
    with open("/proc/self/mounts") as table:
        return [line.split()[0] for line in table if line.split()[1] == str(path)]


def test_stacked_trees(stack):
    world = stack
    assert mount(world, "--json").result["mounted"][0]["mount_point"] == str(world.project / "at")
    read = world.run("sh", "-c", "cd at && ls -A . dir opaque && cat dir/file dir/new link && ./run").out
    assert read.split() == [
        ".:", "dir", "link", "opaque", "run", "dir:", "file", "new", "sub", "opaque:",
        "low", "over", "low", "ran"]
    assert source_of(world.project / "at") == [str(world.project / "up")]
    # What is changed below does not show; what is changed above is kept, and goes to the upper.
    world.write("low/dir/file", "changed\n")
    world.write("low/dir/later", "later\n")
    world.run("sh", "-c", "echo mine > at/mine; rm at/dir/new; mv at/dir/sub at/moved; chmod 600 at/run")
    assert world.run("cat", "at/dir/file").out == "low\n"
    assert world.run("ls", "at/dir").out == "file\n"
    assert (world.project / "up" / "mine").read_text() == "mine\n"
    world.venvfs("umount", "at")
    assert names(world.project / "at") == []
    world.venvfs("gc")
    # The next mount takes the trees as they are then.
    mount(world)
    assert world.run("cat", "at/dir/file", "at/dir/later", "at/moved/deep", "at/mine").out == (
        "changed\nlater\ndeep\nmine\n")
    assert world.run("stat", "-c", "%a", "at/run").out == "600\n"
    assert world.run("cat", "at/run").out == "#!/bin/sh\necho ran\n"


def test_an_upper_is_mounted_once(stack):
    world = stack
    mount(world)
    refused(mount(world, where="low", lower="over", check=None), "up: is the upper of a mount, and can be of one at a time; unmount that first")
    world.run("mkdir", "at2", "up2", "work2")
    mount(world, where="at2", upper="up2", work="work2")
    world.run("umount" if world.uid == 0 else "fusermount3", *([] if world.uid == 0 else ["-u"]), "at")
    mount(world)


@pytest.mark.root
def test_an_upper_that_is_just_being_released_is_waited_for(stack):
    """The daemon gives it back a moment after the kernel says that the mount has gone."""
    world = stack
    if world.uid != 0:
        return
    mount(world)
    (daemon,) = world.daemons()
    os.kill(daemon, signal.SIGSTOP)
    try:
        # umount(8) would ask the daemon, and so may somebody who looks at every mount right now.
        assert libc.umount2(os.fsencode(world.project / "at"), MNT_DETACH) == 0
        flattening = world.popen(world.executable, "flatten", "up", stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            flattening.wait(timeout=0.2)
    finally:
        os.kill(daemon, signal.SIGCONT)
    out = flattening.communicate(timeout=60)[0]
    assert (flattening.returncode, out) == (0, "Flattened up: 0 files, 0 bytes written\n")


def test_what_cannot_be_mounted(stack):
    world = stack
    project = world.project
    refused(mount(world, lower="absent", check=None), "absent: cannot be used: No such file or directory")
    refused(mount(world, lower="low/run", check=None), "low/run: is not a directory")
    refused(mount(world, lower=".", check=None),
            f"{project}/up: lies in {project}; lower, upper and work directories have to be apart")
    refused(mount(world, work="up", check=None),
            f"{project}/up: lies in {project}/up; lower, upper and work directories have to be apart")
    refused(mount(world, where="nowhere", check=None), "nowhere: cannot be used: No such file or directory")
    for where, hidden in ((".", "up"), ("up", "up"), ("work", "work"), (world.root, "up")):
        refused(mount(world, where=where, check=None),
                f"{project / where}: a mount here would hide {project / hidden}; mount somewhere else")
    world.run("mkdir", "up/deep", "work/deep")
    for where in ("up", "work"):
        refused(mount(world, where=f"{where}/deep", check=None),
                f"{project / where}/deep: lies in {project / where}; mount outside of it")
    refused(mount(world, where=world.store, check=None),
            f"{world.store}: a mount here would hide {world.store}; mount somewhere else")
    assert world.mounts() == []
    assert "go together" in world.venvfs("mount", "--lower", "low", "at", check=2).err
    os.setxattr(project / "over" / "dir", "user.overlay.redirect", b"/other")
    assert "redirect_dir" in mount(world, check=1).err
    assert world.mounts() == []


@pytest.mark.root
def test_an_upper_on_the_kernels_overlayfs(stack):
    """As in a container without a volume: no whiteouts there."""
    world = stack
    if world.uid != 0:
        return
    disk = world.project / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                    "lowerdir=low,upperdir=up,workdir=work", disk], cwd=world.project, check=True)
    try:
        world.run("mkdir", "disk/u", "disk/w")
        refused(mount(world, upper="disk/u", work="disk/w", check=None),
                f"{disk}/u: upper: its file system allows no whiteouts (character devices 0:0), which an overlay "
                "needs and ext4, xfs and btrfs have: Operation not permitted")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_the_upper_outside_keeps_what_it_uses(stack):
    """What the upper stands for is in the store alone once the lower tree is gone."""
    world = stack
    mount(world)
    world.run("sh", "-c", "mv at/dir/file at/kept; mv at/dir/sub at/moved")
    world.venvfs("umount", "at")
    shutil.rmtree(world.project / "low")
    (world.project / "low").mkdir()
    world.give(world.project / "low")
    world.venvfs("gc")
    mount(world)
    assert world.run("cat", "at/kept", "at/moved/deep").out == "low\ndeep\n"
    world.venvfs("umount", "at")
    (world.project / "up").rename(world.project / "elsewhere")
    world.venvfs("gc")


@pytest.mark.root
def test_gc_while_the_disk_of_an_upper_is_away(stack):
    """What is seen at its mount point then is no sign that the upper is gone."""
    world = stack
    disk, hidden = world.project / "disk", world.project / "hidden"
    disk.mkdir()
    hidden.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", hidden], capture_output=True).returncode != 0:
        machine.skip("tmpfs cannot be mounted here")
    try:
        subprocess.run(["mount", "--bind", hidden, disk], check=True)
        for folder in ("up", "work"):
            (disk / folder).mkdir()
            world.give(disk / folder)
        mount(world, upper="disk/up", work="disk/work")
        world.run("chmod", "600", "at/dir/file")
        world.venvfs("umount", "at")
        subprocess.run(["umount", "-l", disk], check=True)
        shutil.rmtree(world.project / "low" / "dir")
        refused(world.venvfs("gc", check=None), f"{disk}/up: cannot be reached, and what this upper uses is not known, "
                f"so nothing is removed; mount its disk, or remove {only(world.store / 'uppers')} if it is gone for good")
        subprocess.run(["mount", "--bind", hidden, disk], check=True)
        world.venvfs("gc")
        mount(world, upper="disk/up", work="disk/work")
        assert world.run("cat", "at/dir/file").out == "low\n"
        world.venvfs("umount", "at")
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
        subprocess.run(["umount", "-l", hidden], check=True)
    only(world.store / "uppers").unlink()
    world.venvfs("gc")


# mount(8)


def helper(world, *args, **options):
    return world.run(world.build / "tools" / "mount.fuse.venvfs", *args, **options)


def directories(world):
    return "lowerdir={0}/over:{0}/low,upperdir={0}/up,workdir={0}/work".format(world.project)


def flags_of(path):
    with open("/proc/self/mountinfo") as table:
        (flags,) = [line.split()[5] for line in table if line.split()[4] == str(path)]
    return set(flags.split(",")) - {"relatime"}


def test_the_helper(stack):
    world = stack
    at = world.project / "at"
    options = f"{directories(world)},noexec,noatime,x-systemd.automount,user,_netdev,default_permissions"
    helper(world, "some thing,odd", at, "-o", options, "-n", "-v")
    assert source_of(at) == ["some\\040thing,odd"]
    assert flags_of(at) == {"rw", "nosuid", "nodev", "noexec", "noatime"}
    assert world.run("cat", "at/dir/file").out == "low\n"
    failed = helper(world, "other", world.project / "low", "-o", directories(world), check=32)
    assert "unmount that" in failed.err and failed.err.count("\n") == 1
    world.venvfs("umount", at)
    helper(world, "other", at, "-o", f"ro,{directories(world)}")
    assert flags_of(at) == {"ro", "nosuid", "nodev"}
    assert world.run("sh", "-c", "echo x > at/x", check=None).status != 0


def test_the_helper_is_installed_where_mount_looks():
    assert "/usr/sbin/mount.fuse.venvfs" in support.installed_paths()


def test_flags_that_take_nothing_away(stack):
    """What only root may give, and what lets others in."""
    world = stack
    at = world.project / "at"
    others = machine.user_options(machine.ordinary_user()) if world.uid == 0 else {}
    options = "rw,exec,suid,dev" + (",allow_other" if others else "")
    helper(world, "tree", at, "-o", f"{directories(world)},{options}")
    assert flags_of(at) == ({"rw"} if others else {"rw", "nosuid", "nodev"})
    if others:
        assert subprocess.run([at / "run"], capture_output=True, text=True, **others).stdout == "ran\n"
        helper(world, "tree", at, "-o", "remount,nosuid,noexec,nodev")
        assert flags_of(at) == {"rw", "nosuid", "noexec", "nodev"}
        assert subprocess.run(["cat", at / "dir" / "file"], capture_output=True, text=True, **others).stdout == "low\n"


def test_the_helper_mounts_environments(any_world):
    world = any_world
    create(world, "proj")
    at = world.project / ".venv"
    helper(world, "proj", at, "-o", "rw,noatime")
    assert source_of(at) == ["proj"]
    assert world.run(at / "bin" / "python", "-c", "import sys; print(sys.prefix)").out == f"{at}\n"
    assert "is mounted at" in helper(world, "proj", world.project / "other", check=32).err
    world.venvfs("umount", at)
    other = world.root / "other store"
    assert "no such environment" in helper(world, "proj", at, "-o", f"store={other}", check=32).err


@pytest.mark.parametrize("args, status", [
    ((), 1), (("x",), 1), (("x", "at", "-o", "lowerdir=/x"), 1), (("x", "at", "-o", "sync"), 1),
    (("x", "at", "-Z"), 1), (("x", "at"), 32), (("x", "at", "-f"), 0), (("x", "at", "-s", "-o", "sync"), 32)])
def test_calls_of_the_helper(world, args, status):
    result = helper(world, *args, check=status)
    assert result.err.count("\n") == (status != 0)
    assert status == 0 or result.err.startswith("mount.fuse.venvfs: ")


@pytest.fixture
def sbin(stack):
    """A directory that, merged over /usr/sbin in a mount namespace, has the helper in it."""
    world = stack
    folder = world.root / "sbin"
    folder.mkdir()
    shutil.copy2(world.build / "tools" / "mount.fuse.venvfs", folder)
    world.environment["VENVFS_DAEMON"] = str(world.build / "fs" / "venvfsd")
    prelude = f"mount -t overlay overlay -o lowerdir={folder}:/usr/sbin /usr/sbin\n"
    works = subprocess.run(["unshare", "-m", "sh", "-ec", prelude], capture_output=True, text=True)
    assert works.returncode == 0, works.stderr
    return prelude


def in_namespace(world, sbin, script):
    return world.run("unshare", "-m", "sh", "-ec", sbin + script).out


@pytest.mark.root
@pytest.mark.serial
def test_mount_and_fstab(stack, sbin):
    """mount(8) and umount(8) by type, by fstab, again with other flags, in another mount namespace than
    the daemon's."""
    world = stack
    if world.uid != 0:
        return
    project = world.project
    create(world, "proj")
    world.venvfs("mount", "proj")  # so the daemon is there, outside
    fstab = world.write("fstab", f"tree {project}/at fuse.venvfs {directories(world)},noauto,x-systemd.automount 0 0\n")
    out = in_namespace(world, sbin, f"""
        mount --bind {fstab} /etc/fstab
        mount {project}/at
        cat {project}/at/dir/file
        grep '^tree ' /proc/mounts | cut -d' ' -f3
        echo x > {project}/at/x
        mount -o remount,ro {project}/at
        echo y > {project}/at/y || echo read-only
        mount -o remount,rw {project}/at
        echo y > {project}/at/y
        umount {project}/at
        ls {project}/at
        mount -t fuse.venvfs tree {project}/at -o {shlex.quote(directories(world))}
        cat {project}/at/x {project}/at/y
        umount /etc/fstab  # what mount(8) passes is from /proc/mounts then
        exec 5>>{project}/at/y
        mount -o remount,ro {project}/at 2>&1 || echo $?
        exec 5>&-
        mount -o remount,ro,nosymfollow {project}/at
        grep '^tree ' /proc/mounts | cut -d' ' -f4 | cut -d, -f1-5
        cat {project}/at/link 2>/dev/null || echo not followed
        mount -o remount,rw,symfollow {project}/at
        cat {project}/at/link
        umount {project}/at
    """)
    assert out == ("low\nfuse.venvfs\nread-only\nx\ny\n"
                   f"mount.fuse.venvfs: {project}/at: a file in it is open for writing; close it, and make it "
                   "read-only then\n32\nro,nosuid,nodev,relatime,nosymfollow\nnot followed\nlow\n")
    assert source_of(project / "at") == []
    assert names(project / "up") == ["x", "y"]
