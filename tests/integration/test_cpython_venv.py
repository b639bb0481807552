"""CPython's own tests of venv, run inside a mount: as on a plain directory, test by test."""

import re
import subprocess

import pytest

import machine
from mounted import create, mount

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("mountable")]


def results(world, python, folder):
    """test → result of CPython's test_venv with its temporary files in @folder."""
    folder.mkdir()
    done = world.run(python.path, "-m", "test", "-u", "all", "-v", "test_venv", env={"TMPDIR": folder},
                     check=None, timeout=900)
    # A test with a docstring has its result on the line behind it.
    found = dict(re.findall(r"^(test_\w+ \([\w.]+\))(?:\n.*?)? \.\.\. (ok|skipped|FAIL|ERROR|expected failure)\b",
                            done.out + done.err, re.MULTILINE))
    assert len(found) > 15, done.describe()
    return done.status, found


def has_tests(python):
    return "True" in subprocess.run(
        [python.path, "-c", "import importlib.util as u; print(bool(u.find_spec('test.test_venv')))"],
        capture_output=True, text=True).stdout


def judge(world, python):
    if not has_tests(python):
        machine.skip(f"{python.path} has no test.test_venv")
    create(world, "proj")
    mounted = results(world, python, mount(world, "proj") / "tmp")
    assert mounted == results(world, python, world.project / "plain")
    return mounted


def test_it_says_the_same_as_on_a_plain_directory(world):
    status, found = judge(world, world.python)
    assert status == 0 and set(found.values()) <= {"ok", "skipped"}


@pytest.mark.long
def test_of_every_python(world, each_python):
    judge(world, each_python)
