"""The stress tests of others on a mount: stress-ng's file system stressors, fio and dbench.

Each verifies what it reads. They need the programs of the same names (apt-get install stress-ng fio
dbench); how they fare on the file system below is what counts: a stressor that fails there, or that
cannot run there, proves nothing.
"""

import os
import re
import shutil
import subprocess

import pytest

import machine
import support
from filesystem import Mounted

pytestmark = [pytest.mark.long, pytest.mark.serial]

# Those of stress-ng's class "filesystem" and beyond that version 0.15 has and that run on ext4.
STRESSORS = """access aio aiol chattr chdir chmod chown copy-file dentry dir dirdeep dirmany dup
dynlib fallocate fanotify fcntl fiemap file-ioctl filename flock fsize getdent handle hdd inode-flags
inotify io iomix lease link locka lockf lockofd mknod mmap msync open readahead rename revio seal
seek sendfile splice symlink sync-file touch utime verity vm-splice xattr""".split()


def needs(program):
    if shutil.which(program) is None:
        machine.skip(f"{program} is not installed")


@pytest.fixture
def sides():
    """(a directory on the file system below, one in a mount)"""
    base = support.new_root("stress")
    mounted = Mounted(base)
    plain = base / "plain"
    plain.mkdir()
    try:
        mounted.mount()
        yield plain, mounted.root
        mounted.unmount()
        assert list(mounted.work.iterdir()) == []
    finally:
        mounted.close()
        support.remove_tree(base)


def stress(directory, stressor):
    return subprocess.run(
        ["stress-ng", "--temp-path", directory, f"--{stressor}", "4", "--timeout", "5", "--verify",
         "--hdd-bytes", "32M", "--iomix-bytes", "32M", "--aggressive"],
        capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("stressor", STRESSORS)
def test_stress_ng(sides, stressor):
    needs("stress-ng")
    plain, mount = sides
    expected = stress(plain, stressor)
    if expected.returncode != 0:
        machine.skip(f"does not run on the file system below: {expected.stderr[-200:]}")
    got = stress(mount, stressor)
    assert got.returncode == 0, got.stdout + got.stderr
    assert list(mount.iterdir()) == []


@pytest.mark.parametrize("engine", ["psync", "mmap", "libaio", "io_uring", "splice"])
def test_fio(sides, engine):
    needs("fio")
    command = ["fio", "--name=verify", f"--ioengine={engine}", "--rw=randrw", "--bs=512-64k",
               "--size=24m", "--numjobs=3", "--verify=crc32c", "--verify_fatal=1", "--iodepth=8",
               "--fsync=64", "--do_verify=1", "--bsrange=4k-64k", "--group_reporting"]
    below, got = (subprocess.run([*command, f"--directory={root}"], cwd=root, capture_output=True,
                                 text=True) for root in sides)
    if below.returncode != 0:
        machine.skip(f"does not run on the file system below: {below.stderr[-200:]}")
    assert got.returncode == 0 and "verify:" not in got.stderr, got.stdout + got.stderr


def test_dbench(sides):
    needs("dbench")
    plain, mount = sides
    got = subprocess.run(["dbench", "-t", "20", "-D", mount, "6"], capture_output=True, text=True)
    assert got.returncode == 0 and "Throughput" in got.stdout, got.stdout + got.stderr
    assert not re.search(r"^\[\d+\] .* failed", got.stdout, re.MULTILINE), got.stdout[:2000]


def test_git_clones_and_checks_a_repository(sides):
    plain, mount = sides
    source = support.BUILD.parent
    environment = dict(os.environ, GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory",
                       GIT_CONFIG_VALUE_0="*")
    for root in (plain, mount):
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", source, root / "clone"], check=True,
                       env=environment)
    answers = []
    for root in (plain, mount):
        def git(*arguments):
            return subprocess.run(["git", "-C", root / "clone", *arguments], check=True,
                                  capture_output=True, text=True, env=environment).stdout
        git("fsck", "--strict")
        git("repack", "-adq")
        git("checkout", "-q", "HEAD~3")
        git("checkout", "-q", "-")
        answers.append((git("status", "--porcelain"), git("ls-tree", "-r", "HEAD")))
    assert answers[0] == answers[1]
