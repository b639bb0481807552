"""CPython's own tests of what touches files, with their files in a mount: the results must be those
that the same tests have on the file system below.

The current and the temporary directory of the test run are in the mount. A result that differs is tried once more on
both sides, since some of the tests are a matter of time.
"""

import json
import os
import subprocess
import time
import xml.etree.ElementTree as ElementTree

import pytest

import machine
import support
from filesystem import Mounted

QUICK = "test_shutil test_tempfile test_glob test_fileio test_mmap test_fcntl".split()
ALL = QUICK + ("test_os test_pathlib test_sqlite3 test_compileall test_import test_importlib "
               "test_posix test_zipfile test_largefile test_mailbox test_dbm test_site "
               "test_zipimport test_subprocess").split()


def with_tests(pythons):
    """Those that have their own tests with them."""
    for interpreter in pythons:
        found = subprocess.run([interpreter.path, "-c", "import test.test_shutil, test.libregrtest"],
                               capture_output=True)
        if found.returncode == 0:
            yield interpreter


def run_tests(interpreter, directory, names):
    """{test: passed | skipped | failed}"""
    report = directory.parent / f"{directory.name}.xml"
    environment = {key: value for key, value in os.environ.items()
                   if not key.startswith(("PYTHON", "PIP_", "VENVFS_"))}
    environment.update(HOME=str(directory), LC_ALL="C.UTF-8")
    done = subprocess.run(
        [interpreter.path, "-m", "test", "--tempdir", directory, "--junit-xml", report, "-u",
         "largefile", "--timeout", "900", *names],
        cwd=directory, env=environment, capture_output=True, text=True)
    if not report.exists():
        pytest.fail(f"no report: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    results = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        result = ("failed" if kinds & {"failure", "error"} else
                  "skipped" if case.get("result") == "skipped" or "skipped" in kinds else "passed")
        results[case.get("name")] = result
    report.unlink()
    assert results, done.stdout[-2000:]
    return results


def differences(plain, mount):
    return {name: (plain.get(name), mount.get(name)) for name in plain.keys() | mount.keys()
            if plain.get(name) != mount.get(name)}


def compare(interpreter, names):
    base = support.new_root("cpython")
    mounted = Mounted(base)
    plain = base / "plain"
    plain.mkdir()
    try:
        mounted.mount()
        for name in names:
            sides = [run_tests(interpreter, root, [name]) for root in (plain, mounted.root)]
            if differences(*sides):
                sides = [run_tests(interpreter, root, [name]) for root in (plain, mounted.root)]
            assert not differences(*sides), json.dumps(differences(*sides), indent=1)
            assert "passed" in sides[0].values(), name
        unmount_when_free(mounted)
    finally:
        mounted.close()
        support.remove_tree(base)


def unmount_when_free(mounted):
    """test_subprocess leaves children behind that end by themselves."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return mounted.unmount()
        except subprocess.CalledProcessError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def an_interpreter():
    for interpreter in with_tests(reversed(machine.find_interpreters())):
        return interpreter
    machine.skip("no Python here has its own tests")


@pytest.mark.slow
def test_a_few():
    compare(an_interpreter(), QUICK[:3])


@pytest.mark.long
@pytest.mark.parametrize("name", ALL)
def test_all(name):
    compare(an_interpreter(), [name])
