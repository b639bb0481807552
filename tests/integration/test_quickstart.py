"""./quickstart, the first thing that anybody does, and once more, which must do no harm."""

import re

import pytest

import support
from paired import tool

pytestmark = [pytest.mark.usefixtures("mountable"), pytest.mark.network, pytest.mark.slow, pytest.mark.serial]


def quickstart(world):
    # It builds in the tree and installs nothing, since ./check has done that.
    said = world.run(support.TREE / "quickstart", world.python.path, timeout=900).out
    steps = dict(re.findall(r"(?m)^\d+\. (.*)\n((?:   .*\n)+)", said))
    assert all(re.search(r"   \d+(\.\d)? (ms|s|min \d+ s)\n$", text) for text in steps.values()), said
    cost = re.search(r"The second environment cost: (\d+) (bytes|KB) and (\d+) inodes", said)
    assert cost, said
    assert int(cost[1]) * (1000 if cost[2] == "KB" else 1) <= 64_000 and int(cost[3]) <= 25
    return steps


def test_quickstart(world):
    world.online()
    steps = quickstart(world)
    assert "Delete what a former run left" not in steps
    assert "numpy" in steps["Run a program in it"]
    assert world.mounts() == []
    steps = quickstart(world)
    assert steps["Delete what a former run left"].startswith("   Deleted quickstart-one")
    world.venvfs("delete", "quickstart-one", "quickstart-two")


def test_every_python_that_it_offers_has_wheels(world):
    """Of the versions and hashes that are pinned, without having those Pythons."""
    world.online()
    requirements = support.TREE / "examples" / "requirements.txt"
    said = (support.TREE / "quickstart").read_text() + requirements.read_text()
    ((oldest, newest),) = set(re.findall(r"3\.(\d+) to 3\.(\d+)", said))
    minors = [str(minor) for minor in range(int(oldest), int(newest) + 1)]
    assert re.findall(r"3\.\{([\d,]+)\}", said) == [",".join(minors[::-1])] * 2
    assert f"(3, {oldest}) <= sys.version_info < (3, {int(newest) + 1})" in said
    for minor in minors:
        world.run(tool("uv"), "pip", "install", "--dry-run", "--python", world.python.path,
                  "--python-version", f"3.{minor}", "--python-platform", "x86_64-manylinux_2_28", "--target",
                  world.project / "none", "--only-binary", ":all:", "--require-hashes", "-r", requirements)
