"""Interpreters that are unlike the others: Debian's, its debug build, PyPy, one of a virtual environment, one that
was removed or replaced since."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import machine
from local_wheels import write_wheel
from mounted import prefix, refused, status
from paired import Pair

SAYS = ("import json, os, sys, sysconfig; print(json.dumps([sys.prefix, sys.exec_prefix, sys.base_prefix, sys.path, sys.executable,"
        " os.path.realpath(sys.executable), sysconfig.get_paths(), sys.implementation.cache_tag,"
        " sysconfig.get_config_var('EXT_SUFFIX')], sort_keys=True))")


def debian(name):
    """One of Debian's interpreters, which has its packages in dist-packages."""
    path = f"/usr/bin/{name}"
    done = os.path.exists(path) and subprocess.run([path, "-c", "import venv, ensurepip"], capture_output=True)
    if not done or done.returncode != 0:
        machine.skip(f"{path} with its venv is not installed")
    return path


def same_environment(world, python, *options):
    write_wheel(world.wheelhouse, "lib", "1.0", scripts={"lib": "lib:main"})
    pair = Pair(world, python=python, pip=False, options=options)
    pair.same(f".venv/bin/python -c \"{SAYS}\"")
    pair.same(f".venv/bin/python -I -c \"{SAYS}\"")
    # The names in bin/ start the same interpreter.
    for name in sorted(os.listdir(pair.plain.venv / "bin")):
        if not name.lower().startswith("activate"):
            pair.same(f".venv/bin/{name} -c \"{SAYS}\"")
    return pair


@pytest.mark.parametrize("options", [(), ("--system-site-packages",)], ids=["", "system-site-packages"])
def test_debian(world, options):
    """Conformance item 4: dist-packages are the base's, site-packages the environment's."""
    pair = same_environment(world, debian("python3"), *options)
    told = pair.same(f".venv/bin/python -c \"{SAYS}\"")
    assert ("/usr/lib/python3/dist-packages" in json.loads(told)[3]) == bool(options)


@pytest.mark.slow
def test_debian_with_pip(world):
    """Its pip and venv are packages of their own, its wheels elsewhere; what pip installs goes where venv's goes."""
    python = debian("python3")
    write_wheel(world.wheelhouse, "lib", "1.0", scripts={"lib": "lib:main"})
    pair = Pair(world, python=python, options=["--system-site-packages"])
    pair.same(".venv/bin/pip install -q lib; .venv/bin/lib; .venv/bin/pip show -f lib | grep -v Location")
    pair.same(".venv/bin/python -c 'import pip, lib, os; print(os.path.dirname(pip.__file__), lib.__file__)'")


def test_debian_debug_build(world):
    same_environment(world, debian("python3-dbg"))


@pytest.mark.slow
def test_pypy(world):
    """Conformance item 4: lib/pypy3.X, bin/pypy3."""
    pair = same_environment(world, debian("pypy3"))
    version = json.loads(pair.shell_in(pair.mount, f".venv/bin/python -c \"{SAYS}\""))
    assert "/lib/pypy3." in version[6]["purelib"]
    world.venvfs("create", "other", "-q", "--without-pip", "--python", "/usr/bin/pypy3", "lib")
    world.venvfs("mount", "-q", "other", "other")
    assert world.run("other/bin/lib").out == "lib 1.0\n"
    assert next((world.project / "other").glob("lib/pypy3.*/site-packages/lib/__pycache__/__init__.pypy*.pyc"))


def test_base_of_a_virtual_environment(world):
    """The real base is used: the environment outlives the one it was made with."""
    python = world.python
    for between in ("-m venv --without-pip", "-m venv --without-pip --copies"):
        world.run(python.path, *between.split(), "first")
        world.run("first/bin/python", "-m", "venv", "--without-pip", "second")
        for given in ("first", "first/bin/python3", "second/bin/python", "second"):
            world.venvfs("create", "proj", "-q", "--without-pip", "--no-compile", "--python", world.project / given)
            base = status(world, "-n", "proj")["python"]
            assert os.path.samefile(base, os.path.realpath(python.path)), (between, given)
            world.venvfs("delete", "proj")
        shutil.rmtree(world.project / "first")
        shutil.rmtree(world.project / "second")
    # One of ours as the base of another.
    world.venvfs("create", "proj", "-q", "--without-pip", "--no-compile", "--python", python.path)
    world.venvfs("mount", "-q", "proj")
    world.venvfs("create", "other", "-q", "--without-pip", "--no-compile", "--python", ".venv")
    world.venvfs("delete", "--force", "proj")
    world.venvfs("mount", "-q", "other", "other")
    assert prefix(world, world.project / "other") == str(world.project / "other")


def test_base_of_an_activated_environment(world):
    """python3 on PATH is the environment's then; its base is meant."""
    python = world.python
    world.run(python.path, "-m", "venv", "--without-pip", "first")
    world.shell(". first/bin/activate; venvfs create proj -q --without-pip --no-compile")
    assert os.path.samefile(status(world, "-n", "proj")["python"], os.path.realpath(python.path))


@pytest.fixture
def own_python(world):
    """An installation that a test may change: another prefix with the same library."""
    base = Path(world.python.path).resolve()
    if base.parents[1] == Path("/usr"):
        machine.skip("no Python is here but the system's")
    folder = world.root / "own"
    world.run("cp", "-a", base.parents[1], folder, timeout=600)
    return folder


@pytest.mark.slow
def test_interpreter_that_is_gone(world, own_python):
    """Everything but python still works, and says what is wrong."""
    python = own_python / "bin" / f"python{world.python.minor}"
    write_wheel(world.wheelhouse, "lib", "1.0", scripts={"lib": "lib:main"})
    world.venvfs("create", "proj", "-q", "--without-pip", "--python", python, "lib")
    world.venvfs("mount", "-q", "proj")
    assert world.run(".venv/bin/lib").out == "lib 1.0\n"
    own_python.rename(world.root / "moved")
    assert status(world)["python_state"] == "gone"
    assert "gone" in world.venvfs("status").out
    assert world.run("cat", *(world.project / ".venv").glob("lib/*/site-packages/lib/__init__.py")).out
    assert world.venvfs("list").out and world.venvfs("fsck").out
    world.venvfs("umount")
    told = world.venvfs("mount", "proj")
    assert told.err == (f"venvfs: warning: proj: its interpreter {python} is gone; python will not start in it\n")
    told = world.venvfs("run", "python", "-c", "0", check=None)
    assert told.status in (126, 127) and "python" in told.err
    world.venvfs("export", "proj", "out")
    assert os.path.islink(world.project / "out/bin/python")
    refused(world.venvfs("create", "other", "--python", python, check=None),
            f"{python}: no Python here; give an executable or a directory with bin/python")
    # It comes back, as another build: the environment uses it.
    (world.root / "moved").rename(own_python)
    assert world.run(".venv/bin/lib").out == "lib 1.0\n"
    assert status(world)["python_state"] == "ok"
    world.venvfs("delete", "proj")


@pytest.mark.slow
def test_interpreter_that_was_replaced(world, own_python):
    """By another version at the same path: said wherever somebody looks, and nothing else breaks."""
    others = [one for one in world.interpreters if one.minor != world.python.minor]
    if not others:
        machine.skip("one version of Python only is here")
    python = own_python / "bin" / "python3"
    world.venvfs("create", "proj", "-q", "--without-pip", "--no-compile", "--python", python)
    executable = status(world, "-n", "proj")["python"]
    world.venvfs("mount", "-q", "proj")
    assert status(world)["python_state"] == "ok"
    os.unlink(executable)
    os.symlink(others[0].path, executable)
    version = "%d.%d.%d" % others[0].version
    assert status(world)["python_state"] == f"replaced by {version}"
    assert f"replaced by {version}" in world.venvfs("status").out
    world.venvfs("umount")
    told = world.venvfs("mount", "proj")
    assert told.err == (f"venvfs: warning: proj: its interpreter {executable} is replaced by {version}; what was "
                        "compiled for it may not run\n")
