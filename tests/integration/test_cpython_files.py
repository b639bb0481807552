"""CPython's own tests of files, modules and processes, run with their temporary files in a mount, and with ordinary ones: the same pass."""

import re

import pytest

import machine
from mounted import create, mount, wait_for

FILES = ("test_shutil test_os test_pathlib test_mmap test_fcntl test_sqlite3 test_compileall test_py_compile test_import"
         " test_importlib test_tempfile test_posix test_zipfile test_glob test_largefile test_mailbox test_dbm test_site"
         " test_zipimport test_fileio test_subprocess").split()


def suite(world, python, folder, *names):
    """What the tests @names found: those that failed, and how many were run."""
    folder.mkdir()
    world.give(folder)
    done = world.run(python, "-m", "test", "-u", "all,-largefile,-network,-urlfetch", "-j2", "--tempdir", folder, *names,
                     env={"TMPDIR": folder}, check=None, timeout=1500)
    found = re.search(r"(?m)^Total tests: run=([\d,]+)", done.out)
    if not found and "No module named" in done.out + done.err:
        machine.skip(f"{python} has no test package")
    failed = set(re.findall(r"(?m)^(?:FAIL|ERROR): (\S+ \(\S+\))", done.out + done.err))
    if not found:
        # Older ones tell no number.
        return failed, len(re.findall(r"(?m)\bpassed\b", done.out))
    return failed, int(found[1].replace(",", ""))


def in_a_mount(world):
    create(world, "proj")
    return mount(world, "proj") / "tmp"


@pytest.mark.long
def test_files(world):
    """Conformance item 54."""
    failed, count = suite(world, world.python.path, in_a_mount(world), *FILES)
    assert count > 1000 or world.python.version < (3, 12)
    ordinary, ordinary_count = suite(world, world.python.path, world.project / "tmp", *FILES)
    assert failed <= ordinary and count >= ordinary_count * 0.98
    # CPython leaves programs behind that end by themselves.
    wait_for(lambda: not world.processes("sleep"))
