"""venv and virtualenv, asked to make an environment where one is mounted."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from paired import Pair, tool

pytestmark = [pytest.mark.network, pytest.mark.slow]


def check_works(pair, packages):
    pair.python("-c", "import sys; print(sys.prefix, sys.base_prefix)", same="out err")
    assert {one.out for one in pair.pip("freeze")} == {packages}
    pair.run("bash", "-ec", ". .venv/bin/activate; echo $VIRTUAL_ENV; command -v python", same="out err")
    pair.demand_tree()


def check_elsewhere(world, pair):
    """What was made on the mount says the new place when that changes."""
    world.venvfs("umount", "--remove", pair.mount.venv)
    other = pair.mount.here / "other"
    world.venvfs("mount", "-q", "proj", other)
    said = world.run("bash", "-ec", ". other/bin/activate; echo $VIRTUAL_ENV; pip --version; "
                     "python -c 'import sys; print(sys.prefix)'", cwd=pair.mount.here).out.splitlines()
    assert said[0] == said[2] == str(other) and f" from {other}/" in said[1]


def upgrade(world, python):
    pair = Pair(world, "vf-app", python=python)
    pair.run(python, "-m", "venv", "--upgrade", ".venv", same="out err")
    check_works(pair, "vf-app==1.0\nvf-lib==2.0\n")


def test_made_again(tool_world):
    """Without --clear: what was there stays."""
    pair = Pair(tool_world, "vf-app")
    pair.run(pair.interpreter, "-m", "venv", "--without-pip", "--prompt", "other", ".venv", same="out err")
    check_works(pair, "vf-app==1.0\nvf-lib==2.0\n")
    assert "prompt = 'other'" in (pair.mount.venv / "pyvenv.cfg").read_text()
    check_elsewhere(tool_world, pair)


def clear(world, python):
    pair = Pair(world, "vf-app", python=python)
    pair.run(python, "-m", "venv", "--clear", ".venv", same="out err")
    check_works(pair, "")
    pair.pip("install", "-q", "vf-tool")
    check_works(pair, "vf-tool==0.1\n")
    check_elsewhere(world, pair)


def test_upgrade(tool_world):
    upgrade(tool_world, tool_world.python.path)


def test_clear(tool_world):
    clear(tool_world, tool_world.python.path)


@pytest.mark.long
def test_upgrade_by_each(tool_world, each_python):
    upgrade(tool_world, each_python.path)


@pytest.mark.long
def test_clear_by_each(tool_world, each_python):
    clear(tool_world, each_python.path)


def test_removed_and_made_again(tool_world):
    pair = Pair(tool_world, "vf-app")
    tool_world.run("rm", "-rf", pair.plain.venv)
    done = tool_world.run("rm", "-rf", pair.mount.venv, check=1)
    assert done.err == f"rm: cannot remove '{pair.mount.venv}': Device or resource busy\n"
    assert list(pair.mount.venv.iterdir()) == []
    pair.run(pair.interpreter, "-m", "venv", ".venv", same="out err")
    check_works(pair, "")
    check_elsewhere(tool_world, pair)


def virtualenv(pair, *options, **more):
    return pair.run(tool("virtualenv"), "-q", "--no-download", "--python", pair.interpreter, *options, ".venv", **more)


def test_virtualenv(tool_world):
    pair = Pair(tool_world, "vf-app")
    virtualenv(pair, same="out err")
    check_works(pair, "vf-app==1.0\nvf-lib==2.0\n")
    pair.pip("install", "-q", "vf-tool")
    pair.run("{venv}/bin/vf-tool", same="out err")
    pair.demand_tree()
    check_elsewhere(tool_world, pair)


def test_virtualenv_clear(tool_world):
    """It removes the directory itself, which no mount point lets be done: it ends there, with all that was
    in it gone, and makes the environment when it is asked once more."""
    pair = Pair(tool_world, "vf-app")
    plain, mounted = virtualenv(pair, "--clear", status=None)
    assert (plain.status, mounted.status) == (0, 1)
    assert f"[Errno 16] Device or resource busy: '{pair.mount.venv}'" in mounted.out
    assert list(pair.mount.venv.iterdir()) == []
    virtualenv(pair, same="out err")
    check_works(pair, "")
    check_elsewhere(tool_world, pair)


def test_second_environment_from_the_first(tool_world):
    """A mounted environment as the Python that others are made with: its base is what they are made of."""
    pair = Pair(tool_world, "vf-app")
    pair.python("-m", "venv", "--without-pip", "second", same="out err")
    pair.run(tool("virtualenv"), "-q", "--no-seed", "--python", "{venv}/bin/python", "third", same="out err")
    pair.run(tool("uv"), "-q", "venv", "--python", "{venv}/bin/python", "fourth", same="out err")
    for name in ("second", "third", "fourth"):
        pair.run(f"{{here}}/{name}/bin/python", "-c",
                 "import sys; print(sys.prefix, sys.base_prefix, sys.path)", same="out err")
        pair.run(f"{{here}}/{name}/bin/python", "-c", "import vf_app", status=1)


def conda_prefix(python, prefix):
    """A Python laid out as conda lays it out: a prefix of its own that holds binary, library and headers,
    conda-meta, and names in bin that lead to one binary. (conda itself comes from no index of Python
    packages.)"""
    said = subprocess.run([python, "-c", "import sys, sysconfig; print(sys.base_prefix, sysconfig.get_config_var("
                           "'py_version_short'))"], capture_output=True, text=True, check=True).stdout
    base, minor = said.split()
    (prefix / "bin").mkdir(parents=True)
    (prefix / "conda-meta").mkdir()
    (prefix / "conda-meta" / "history").write_text("==> 2024-01-01 00:00:00 <==\n")
    shutil.copy2(os.path.realpath(f"{base}/bin/python{minor}"), prefix / "bin" / f"python{minor}")
    for name in ("python", "python3"):
        os.symlink(f"python{minor}", prefix / "bin" / name)
    os.symlink(f"python{minor}", prefix / "bin" / "python3.1")
    (prefix / "lib").mkdir()
    for library in Path(base).glob("lib/libpython*.so*"):
        shutil.copy2(library, prefix / "lib" / library.name)
    shutil.copytree(f"{base}/lib/python{minor}", prefix / "lib" / f"python{minor}", symlinks=True,
                    ignore=shutil.ignore_patterns("test", "tests", "__pycache__", "site-packages", "*.a", "idlelib"))
    (prefix / "lib" / f"python{minor}" / "site-packages").mkdir()
    return prefix


def test_condas_python(tool_world):
    """Taken from PATH, as an activated conda environment puts it there; what conda installs does not show."""
    prefix = conda_prefix(tool_world.python.path, tool_world.root / "conda")
    tool_world.write(prefix / "lib" / f"python{tool_world.python.minor}" / "site-packages" / "from_conda.py", "")
    active = {"CONDA_PREFIX": str(prefix), "CONDA_DEFAULT_ENV": "base", "CONDA_SHLVL": "1",
              "PATH": f"{prefix}/bin:{tool_world.environment['PATH']}"}
    tool_world.environment.update(active)
    pair = Pair(tool_world, "vf-app", python=str(prefix / "bin" / "python"))
    tool_world.venvfs("create", "from-path", "-q")
    pair.python("-c", "import sys, sysconfig; print(sys.prefix, sys.base_prefix, sys.path,"
                "sysconfig.get_path('include'))", same="out err")
    pair.python("-c", "import from_conda", status=1)
    pair.run("bash", "-ec", ". .venv/bin/activate; python -m pip install -q vf-tool; vf-tool", same="out err")
    pair.run("bash", "-ec", f". .venv/bin/activate; {tool('uv')} pip uninstall vf-tool", same="out")
    pair.demand_same()
    # conda replaces its python when it updates it; the environment goes on with the new one.
    binary = prefix / "bin" / f"python{tool_world.python.minor}"
    shutil.copy2(binary, f"{binary}.new")
    os.replace(f"{binary}.new", binary)
    pair.run("{venv}/bin/vf-app", same="out err")
    tool_world.venvfs("create", "after", "-q", "--python", prefix / "bin" / "python")
    for name in ("from-path", "after"):
        base = tool_world.venvfs("run", "-n", name, "python", "-c", "import sys; print(sys.base_prefix)").out
        assert base == f"{prefix}\n"
