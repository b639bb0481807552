"""Editors' tools and servers in a mounted environment and in one of venv: the same steps, the same answers.

steps/ has what is more than a line; each runs by the environment's python in the project's directory."""

import json
import shutil

import pytest

import support
import tool_cache
from paired import Pair

pytestmark = [pytest.mark.network, pytest.mark.slow]
STEPS = support.TREE / "tests" / "integration" / "steps"


@pytest.fixture(scope="module")
def pair(module_world):
    """One for all tests of this file: the tools are a hundred packages."""
    python = module_world.python.path
    module_world.environment["PIP_FIND_LINKS"] = str(tool_cache.wheels("services", python))
    return Pair(module_world, "-r", tool_cache.PINS / "services.txt", python=python, pip=False)


@pytest.fixture(autouse=True)
def fresh_project(pair):
    """Each test begins with an empty project, but for the environment."""
    for project in pair.projects:
        for entry in project.iterdir():
            if entry.name != ".venv":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    yield


def write(pair, name, text):
    for project in pair.projects:
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)


PROGRAM = """import sys

import sqlparse


def double(n: int) -> int:
    if n < 0:
        return 0
    return n * 2


def shout(text: str) -> str:
    return sqlparse.format(text, keyword_case="upper")


if __name__ == "__main__":
    print(sys.prefix, double(21), shout("select 1"))
"""
TESTS = """import sys

import program
import pytest


@pytest.mark.parametrize("n", range(8))
def test_double(n: int) -> None:
    assert program.double(n) == 2 * n and sys.prefix.endswith(".venv")
"""
NOTEBOOK = {
    "cells": [{"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [],
               "source": ["import sys, sqlparse\n", "print(sys.prefix, sqlparse.format('select 1', keyword_case='upper'))"]}],
    "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    "nbformat": 4, "nbformat_minor": 5,
}


def test_pytest_xdist_and_coverage(pair):
    write(pair, "program.py", PROGRAM)
    write(pair, "test_program.py", TESTS)
    pytest_ = "-m pytest -q -p no:cacheprovider test_program.py"
    without_time = "sed 's/ in [0-9.]*s//'"
    told = pair.same(f".venv/bin/python {pytest_} -n 2 | {without_time}; .venv/bin/pytest --version; "
                     f".venv/bin/python -m coverage run {pytest_} | {without_time}; .venv/bin/coverage report -m; .venv/bin/coverage json -q;"
                     ".venv/bin/python -c 'import json; print(sorted(json.load(open(\"coverage.json\"))[\"files\"]))'")
    assert "8 passed" in told and "program.py" in told


def test_mypy_and_ruff(pair):
    write(pair, "program.py", PROGRAM + "\n\nwrong: str = double(1)\n")
    told = pair.same("set +e; .venv/bin/mypy program.py; .venv/bin/mypy --strict --python-executable .venv/bin/python program.py;"
                     ".venv/bin/ruff check --select ALL --output-format concise program.py; .venv/bin/ruff format --diff program.py 2>&1 || true")
    assert "Incompatible types in assignment" in told and "T201 `print` found" in told


def test_pyright(pair):
    """It asks the environment that is at .venv, as an editor does."""
    pyright = tool_cache.npm_tools() / ".bin" / "pyright"
    write(pair, "program.py", PROGRAM + "\n\nreveal_type(sqlparse.format)\nwrong: str = double(1)\n")
    write(pair, "pyrightconfig.json", '{"venvPath": ".", "venv": ".venv"}')
    told = pair.same(f"{pyright} program.py | sed 's/in .*sec//' || true; {pyright} --pythonpath .venv/bin/python program.py || true")
    assert "reportMissingImports" not in told and told.count("error: Type \"int\"") == 2


def test_notebooks(pair):
    """A kernel of the environment, found and started by nbconvert."""
    write(pair, "n.ipynb", json.dumps(NOTEBOOK))
    told = pair.same("PATH=$PWD/.venv/bin:$PATH; jupyter kernelspec list | tr -s ' '; cat .venv/share/jupyter/kernels/python3/kernel.json;"
                     "jupyter nbconvert --to notebook --execute n.ipynb --stdout 2>messages.log |"
                     "python -c 'import json, sys; print(json.load(sys.stdin)[\"cells\"][0][\"outputs\"][0][\"text\"])';"
                     "jupyter nbconvert --to script n.ipynb --stdout 2>>messages.log")
    assert "['PROJECT/.venv SELECT 1\\n']" in told


@pytest.mark.parametrize("step", sorted(path.stem for path in STEPS.glob("*.py") if path.stem != "serve"))
def test_step(pair, step):
    """Conformance item 52, among them."""
    told = pair.same(f"PYDEVD_DISABLE_FILE_VALIDATION=1 .venv/bin/python {STEPS}/{step}.py", timeout=600)
    assert told.strip()


def test_nothing_was_written_behind_the_mount(pair):
    """After all this both environments hold the same files, those that tools wrote included."""
    script = "cd .venv; find . -type f -not -name '*.pyc' -not -path './share/*' | sort"
    plain, mounted = (set(pair.shell_in(side, script).splitlines()) for side in pair)
    assert {name for name in mounted ^ plain if "/site-packages/" in name and ".dist-info/" not in name} == set()
