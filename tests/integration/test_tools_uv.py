"""uv: its pip interface and its projects, in a mounted `.venv` as in an ordinary one."""

import re

import pytest

import projects
from paired import PIP_OWN, Pair, tool

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture
def uv():
    return tool("uv")


@pytest.mark.parametrize("mode", ["copy", "hardlink", "clone", "symlink"])
def test_pip_interface(tool_world, uv, mode):
    pair = Pair(tool_world)
    env = {**pair.activated, "UV_LINK_MODE": mode}

    def pip(*args, same="out", **options):
        return pair.run(uv, "pip", *args, env=env, same=same, **options)

    pip("install", "vf-app", "vf-lib==1.0", "vf-tool")
    pair.run("{venv}/bin/vf-app", same="out err")
    # In this mode the environment refers to uv's cache; what it refers to is the same.
    leave_out = PIP_OWN if mode != "symlink" else re.compile(r"lib/.*/vf_.*")
    pair.demand_tree(leave_out)
    pip("freeze")
    pip("check")
    pip("tree")
    pip("list", "--outdated")
    pip("show", "--files", "vf-tool")
    pip("install", "--upgrade", "vf-lib")
    pip("uninstall", "vf-tool", "vf-lib")
    pip("check", status=1)
    pip("install", "--reinstall", "vf-app")
    pair.write("requirements.txt", "vf-app==1.0\nvf-lib==1.0\n")
    pip("sync", "requirements.txt")
    pip("freeze")
    pair.run("{venv}/bin/vf-app", same="out err")
    pair.demand_tree(leave_out)


def test_link_mode_of_activation(tool_world, uv):
    """Nothing warns about links that cannot be made, since activation asks for copies."""
    pair = Pair(tool_world)
    script = f". .venv/bin/activate; '{uv}' pip install -q vf-app; '{uv}' pip uninstall -q vf-app"
    assert pair.run("bash", "-ec", script)[1].err == ""


def project(pair):
    pair.write("pyproject.toml", projects.pyproject("proj", "hatchling", ["vf-app"]))
    pair.write("proj/__init__.py", "def main():\n    print('proj runs')\n")


def test_project(tool_world, uv):
    pair = Pair(tool_world)
    project(pair)

    def run(*args, same="out", **options):
        return pair.run(uv, *args, same=same, **options)

    where = "import proj, sys; print(proj.__file__, sys.prefix)"
    run("sync")
    run("run", "python", "-c", where)
    pair.run("{venv}/bin/proj", same="out err")
    pair.demand_tree()
    run("add", "vf-tool", "vf-lib==1.0")
    run("run", "vf-tool")
    run("tree")
    run("lock", "--check")
    run("sync", "--check")
    run("remove", "vf-lib")
    run("lock", "--upgrade")
    run("sync", "--reinstall")
    run("run", "--with", "vf-lib==1.0", "python", "-c", "import vf_lib; print(vf_lib.__version__)")
    run("export", "--format", "pylock.toml", same="")
    run("sync", "--no-editable", "--inexact")
    run("run", "python", "-c", where)
    run("python", "find", same="out")
    pair.run("cmp", "../../plain/proj/pyproject.toml", "../../mount/proj/pyproject.toml")
    pair.demand_tree()
    # It never takes the environment for one that it made itself, which it would replace without asking.
    assert "\nuv =" not in (pair.mount.venv / "pyvenv.cfg").read_text()


def test_clear(tool_world, uv):
    pair = Pair(tool_world, "vf-app")
    project(pair)
    seeds = tool_world.index.seed_links()
    python = ["--python", pair.interpreter]
    pair.run(uv, "venv", *python, status=2)  # there is one already: it asks for --clear
    pair.run("{venv}/bin/vf-app", same="out err")
    pair.run(uv, "venv", "--clear", *python)
    pair.demand_tree(re.compile(r"bin/.*\.bat"))
    assert list(pair.mount.site_packages.iterdir()) == []
    pair.run(uv, "sync", same="out")
    pair.run("{venv}/bin/proj", same="out err")
    pair.demand_tree(None)
    # What uv made stays what it is when it is mounted elsewhere, but says the new place.
    tool_world.venvfs("umount", "--remove", pair.mount.venv)
    other = pair.mount.here / "other"
    tool_world.venvfs("mount", "-q", "proj", other)
    assert tool_world.run(other / "bin" / "proj").out == "proj runs\n"
    said = tool_world.run(other / "bin" / "python", "-c", "import sys; print(sys.prefix)").out
    assert said == f"{other}\n"
    assert str(pair.mount.venv) not in (other / "bin" / "activate").read_text()
    tool_world.venvfs("umount", "--remove", other)
    tool_world.venvfs("mount", "-q", "proj", pair.mount.venv)
    pair.run(uv, "venv", "--clear", "--seed", "--relocatable", *python, env=seeds)
    pair.run("{venv}/bin/pip", "list", same="out")
    pair.demand_tree(None)


def test_an_unmounted_environment_is_refused(tool_world, uv):
    pair = Pair(tool_world)
    project(pair)
    tool_world.venvfs("umount", pair.mount.venv)
    for command in (["sync"], ["run", "python", "-V"], ["pip", "install", "vf-app"]):
        done = tool_world.run(uv, *command, cwd=pair.mount.here, check=2)
        assert str(pair.mount.venv.name) in done.err, done.describe()
    tool_world.venvfs("mount", "-q", "proj", cwd=pair.mount.here)
    pair.run(uv, "sync", same="out")
    pair.demand_tree()
