"""Mounting as systemd does: units made of /etc/fstab, and the command lines that are run for them.

There is no systemd to run them here. What it does is known: for a mount unit it runs
"mount WHAT WHERE -t TYPE -o OPTIONS", to end it "umount WHERE -c", as a session leader with an almost empty environment,
in /, without a terminal."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import machine
import support
from mounted import create

GENERATOR = Path("/usr/lib/systemd/system-generators/systemd-fstab-generator")
# What systemd sees to itself.
OWN_OPTIONS = {"nofail", "noauto", "auto"}


@dataclass
class Unit:
    file: Path
    what: str
    where: str
    type: str
    options: str

    def start(self):
        options = [option for option in self.options.split(",") if option not in OWN_OPTIONS]
        return ["mount", self.what, self.where, "-t", self.type, *(["-o", ",".join(options)] if options else [])]

    def stop(self):
        return ["umount", self.where, "-c"]


def units_of(fstab, folder):
    """What systemd makes of @fstab, by mount point."""
    if not GENERATOR.exists():
        machine.skip("there is no systemd-fstab-generator here")
    places = [folder / name for name in ("normal", "early", "late")]
    for place in places:
        place.mkdir(parents=True)
    subprocess.run([GENERATOR, *places], check=True, env={"SYSTEMD_FSTAB": str(fstab), "PATH": os.environ["PATH"]})
    found = {}
    for file in places[0].glob("*.mount"):
        unit = configparser.RawConfigParser(strict=False, delimiters="=", comment_prefixes="#")
        unit.optionxform = str
        unit.read(file)
        mount = unit["Mount"]
        found[mount["Where"]] = Unit(file, mount["What"], mount["Where"], mount["Type"], mount.get("Options", ""))
    return found


class System:
    """What a test runs as on a machine of its own: a mount namespace in which venvfs is installed, and
    root's store and runtime directory are the world's."""

    def __init__(self, world):
        self.world = world
        root = world.root / "system"
        for folder in ("sbin", "libexec/venvfs", "lib/venvfs"):
            (root / folder).mkdir(parents=True)
        shutil.copy2(world.build / "tools" / "mount.fuse.venvfs", root / "sbin")
        shutil.copy2(world.build / "fs" / "venvfsd", root / "libexec" / "venvfs")
        self.prelude = f"""
            mount -t overlay overlay -o lowerdir={root}/sbin:/usr/sbin /usr/sbin
            mount -t overlay overlay -o lowerdir={root}/libexec:/usr/libexec /usr/libexec
            mount -t tmpfs -o mode=755 none /run
            mount --bind {root}/lib /var/lib
            mount --bind {world.store} /var/lib/venvfs
            cd /
            # What systemd leaves of the environment; and, for the harness, whose daemon it is.
            as_systemd () {{
                env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \\
                    VENVFS_LINGER=0.3 VENVFS_TEST_WORLD={world.root} setsid -w "$@" </dev/null
            }}
        """

    def run(self, script, **options):
        """What @script, of a shell, says there."""
        return self.world.run("unshare", "-m", "sh", "-ec", self.prelude + script, **options)


@pytest.fixture
def system(world, mountable):
    create(world, "app")
    return System(world)


def fstab_of(world):
    """Lines for an environment and for directories, with what systemd knows; and the mount points."""
    for folder in ("low", "up", "work", "some place"):
        (world.project / folder).mkdir()
    world.write("low/file", "low\n")
    at, place = world.project / "at", world.project / "some place"
    directories = "lowerdir={0}/low,upperdir={0}/up,workdir={0}/work".format(world.project)
    systemd = f"x-systemd.automount,x-systemd.requires-mounts-for={world.project},x-systemd.idle-timeout=60"
    lines = (f"app {at} fuse.venvfs allow_other,nofail,x-systemd.before=basic.target 0 0\n"
             f"tree {str(place).replace(' ', chr(92) + '040')} fuse.venvfs {directories},noauto,user,_netdev,{systemd} 0 0\n")
    return world.write("fstab", lines), str(at), str(place)


def commands(unit):
    return f"as_systemd {shlex.join(unit.start())}\n", f"as_systemd {shlex.join(unit.stop())}\n"


@pytest.mark.root
@pytest.mark.serial
def test_units_are_started_and_stopped(world, system):
    fstab, at, place = fstab_of(world)
    units = units_of(fstab, world.root / "units")
    assert sorted(units) == [at, place] and {unit.type for unit in units.values()} == {"fuse.venvfs"}
    (start_app, stop_app), (start_tree, stop_tree) = commands(units[at]), commands(units[place])
    show = f"awk '/{world.root.name}.*fuse.venvfs/ {{print $1}} END {{print \"these\"}}' /proc/mounts\n"
    out = system.run(f"""
        {start_app} {start_tree} {show}
        {at}/bin/python -c 'import sys; print(sys.prefix == "{at}")'
        cat '{place}/file'
        echo kept >{at}/kept
        echo written >'{place}/file'
        {stop_app} {show} {stop_tree} {show}
        {start_app} {start_tree}
        cat {at}/kept '{place}/file'
        {stop_tree} {stop_app}
    """).out
    assert out.splitlines() == ["app", "tree", "these", "True", "low", "tree", "these", "these", "kept", "written"]


@pytest.mark.root
@pytest.mark.serial
def test_a_mount_outlives_who_made_it(world, system):
    """The session, whose processes are all told to hang up; the terminal; and the mount namespace that it
    was not made in."""
    fstab, at, place = fstab_of(world)
    units = units_of(fstab, world.root / "units")
    (start_app, stop_app), (start_tree, stop_tree) = (
        (shlex.join(unit.start()), shlex.join(unit.stop())) for unit in (units[at], units[place]))
    out = system.run(f"""
        as_systemd sh -c {shlex.quote(start_app + " && kill -HUP 0")} || echo $?
        {at}/bin/python -c 'print("there")'
        as_systemd script -qec {shlex.quote(start_tree)} /dev/null
        cat '{place}/file'
        {stop_tree}
        unshare -m sh -ec {shlex.quote(f"{start_tree}; cat '{place}/file'; {stop_tree}; {at}/bin/python -c 'print(1)'")}
        ls '{place}'
        {stop_app}
    """).out
    assert out.splitlines() == [str(128 + 1), "there", "low", "low", "1"]


@pytest.mark.root
@pytest.mark.serial
def test_who_may_mount_and_unmount(world, system):
    """With `user` in fstab an ordinary user, for whom mount(8) runs the helper as that user."""
    user = machine.ordinary_user()
    fstab, at, place = fstab_of(world)
    runtime = world.project / "runtime"
    runtime.mkdir(mode=0o700)
    fstab.write_text(fstab.read_text().replace(",user,", f",user,store={world.project}/its-store,"))
    for path in (world.project, *world.project.iterdir()):
        os.chown(path, user.pw_uid, user.pw_gid)
    out = system.run(f"""
        mount --bind {fstab} /etc/fstab
        as_user () {{
            setpriv --reuid {user.pw_uid} --regid {user.pw_gid} --clear-groups env -i PATH=/usr/bin:/bin \\
                XDG_RUNTIME_DIR={runtime} VENVFS_LINGER=0.3 VENVFS_TEST_WORLD={world.root} "$@" </dev/null
        }}
        as_user mount '{place}'
        awk '/{world.root.name}.*fuse.venvfs/ {{print $1, $4}}' /proc/mounts
        as_user cat '{place}/file'
        as_user umount '{place}'
        as_user mount {at} 2>/dev/null || echo refused
        as_user ls '{place}'
    """).out
    assert out == (f"tree rw,nosuid,nodev,noexec,relatime,user_id={user.pw_uid},group_id={user.pw_gid},default_permissions\n"
                   "low\nrefused\n")


@pytest.mark.root
@pytest.mark.serial
def test_a_directory_of_the_same_name(world, system):
    """In the current directory, where mount(8) takes it for the source."""
    at = world.project / "at"
    unit = Unit(None, "app", str(at), "fuse.venvfs", "")
    start, stop = commands(unit)
    out = system.run(f"""
        cd /run
        mkdir app
        {start}
        grep '{at} fuse.venvfs' /proc/mounts | cut -d' ' -f1
        {stop}
        mv app other
        ln -s other app
        {start}
        {at}/bin/python -c 'import os; print(os.environ.get("HOME"))'
        {stop}
    """, env={"HOME": None}).out
    assert out == "app\nNone\n"
    refused = system.run(f"cd /run\nmkdir app other\nmount other {at} -t fuse.venvfs", check=32)
    assert refused.err.startswith("mount.fuse.venvfs: /run/other: not a name for an environment")


def test_systemd_takes_what_the_manual_shows(tmp_path):
    page = (support.TREE / "docs" / "venvfs.1").read_text()
    lines = re.search(r"# /etc/fstab\n((?: +\S.*\n)+)\.fi", page)[1].replace("\\-", "-")
    (tmp_path / "fstab").write_text(lines)
    units = units_of(tmp_path / "fstab", tmp_path / "units")
    assert len(units) == lines.count("\n") and {unit.type for unit in units.values()} == {"fuse.venvfs"}
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        machine.skip("there is no systemd-analyze here")
    files = [unit.file for unit in units.values()]
    done = subprocess.run([analyze, "verify", "--man=no", *files], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
