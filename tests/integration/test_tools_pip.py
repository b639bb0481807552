"""pip: every command does in a mounted environment what it does in an ordinary one."""

import json
import re

import pytest

import machine
import projects
from paired import Pair, tree

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.mark.parametrize("backend", ["setuptools", "hatchling", "flit", "meson"])
def test_editable(tool_world, backend):
    pair = Pair(tool_world, "vf-lib==1.0")
    for path, text in projects.sample(backend, requires=["vf-lib"]).items():
        pair.write(f"src/{path}", text)
    script = "{venv}/bin/" + f"sample-{backend}"
    if backend == "meson":
        # It is rebuilt when it is imported, by what is in the environment then.
        pair.pip("install", "-q", "meson-python")
        pair.pip("install", "-q", "--no-build-isolation", "-e", "src", env=pair.activated)
        pair.python("-c", "from sample_meson import native; print(native.answer())", same="out")
    else:
        pair.pip("install", "-q", "-e", "src")
    assert pair.run(script, same="out err")[1].out == "value 1\n"
    pair.write(f"src/sample_{backend}/__init__.py", "value = 2\n\n\ndef main():\n    print('value', value)\n")
    assert pair.run(script, same="out err")[1].out == "value 2\n"
    pair.demand_same()
    pair.pip("uninstall", "-q", "-y", f"sample-{backend}", same="out err")
    pair.demand_same()


def test_sources_that_are_compiled(tool_world):
    pair = Pair(tool_world)
    projects.c_sdist(tool_world.project)
    pair.pip("install", "-q", tool_world.project / "sample_c-1.0.tar.gz")
    assert pair.python("-c", "import sample_c; print(sample_c.answer())", same="out")[1].out == "42\n"
    pair.demand_same()
    pair.pip("install", "-q", "--force-reinstall", "--no-cache-dir", tool_world.project / "sample_c-1.0.tar.gz")
    pair.demand_same()


def test_version_control(tool_world):
    pair = Pair(tool_world)
    source = tool_world.project / "source"
    for path, text in projects.sample("hatchling").items():
        tool_world.write(source / path, text)
    projects.commit_all(tool_world, source)
    requirement = f"sample-hatchling @ git+file://{source}@main"
    pair.pip("install", "-q", requirement)
    pair.run("{venv}/bin/sample-hatchling", same="out err")
    pair.demand_same()
    pair.pip("install", "-q", "-e", f"git+file://{source}@main#egg=sample-hatchling")
    assert pair.run("git", "-C", ".venv/src/sample-hatchling", "status", "--porcelain", same="out")[1].out == ""
    pair.pip("freeze", same="out err")
    pair.run("git", "-C", ".venv/src/sample-hatchling", "fsck", "--strict")


def test_places_other_than_the_environment(tool_world):
    pair = Pair(tool_world)
    refused = pair.pip("install", "--user", "vf-tool", status=1, same="out err")[1]
    assert "User site-packages are not visible in this virtualenv" in refused.err
    pair.pip("install", "-q", "--target", "{here}/target", "vf-app", same="out err")
    pair.pip("install", "-q", "--target", "{venv}/target", "vf-app", same="out err")
    pair.pip("install", "-q", "--prefix", "{venv}/prefix", "vf-app", same="out err")
    pair.pip("install", "-q", "--root", "{venv}/root", "vf-tool", same="out err")
    pair.run("sh", "-c", "cd target; find . -type f | sort; PYTHONPATH=. python3 bin/vf-app", same="out err")
    pair.demand_same()


def test_what_pip_tells(tool_world):
    pair = Pair(tool_world, "vf-app", "vf-lib==1.0")
    pair.pip("install", "-q", "vf-tool")
    for command in (["list"], ["list", "--outdated"], ["list", "--not-required", "--format", "json"],
                    ["freeze", "--all"], ["check"], ["show", "-f", "vf-app", "vf-lib", "vf-tool"],
                    ["config", "list"], ["config", "debug"], ["cache", "dir"], ["cache", "list"],
                    ["index", "versions", "vf-lib"], ["hash", "{venv}/bin/vf-tool"], ["--version"],
                    ["debug"], ["install", "--dry-run", "--upgrade", "vf-lib"], ["help", "install"],
                    ["completion", "--bash"], ["uninstall", "-y", "vf-nosuch"]):
        same = "err" if command[0] in ("hash", "debug") else "out err"
        pair.pip(*command, same=same)
    plain, mounted = [json.loads(one.out) for one in pair.pip("inspect")]
    for report in (plain, mounted):
        for one in report["installed"]:
            one["installer"] = one["installer"].replace("venvfs", "pip")
            one["metadata_location"] = one["metadata_location"].rsplit("/", 1)[1]
    by_name = [sorted(report["installed"], key=lambda one: one["metadata"]["name"]) for report in (plain, mounted)]
    assert by_name[1] == by_name[0]
    assert mounted["environment"] == plain["environment"]
    configured = {"PIP_CONFIG_FILE": None}
    pair.pip("config", "--site", "set", "install.progress-bar", "off", env=configured)
    pair.pip("config", "--site", "get", "install.progress-bar", env=configured, same="out err")
    pair.demand_same()


def test_wheels_and_downloads(tool_world):
    pair = Pair(tool_world)
    for path, text in projects.sample("flit").items():
        pair.write(f"src/{path}", text)
    pair.pip("download", "-q", "-d", "wheels", "vf-app", same="out err")
    pair.pip("wheel", "-q", "-w", "{venv}/wheels", "./src", same="out err")
    pair.run("sh", "-c", "ls wheels .venv/wheels", same="out err")
    pair.pip("install", "-q", "--no-index", "--find-links", "{venv}/wheels", "sample-flit", same="out err")
    pair.pip("cache", "purge")
    pair.run("{venv}/bin/sample-flit", same="out err")
    pair.demand_same(leave_out=None)


def test_pip_replaces_itself(tool_world):
    """By the newest, then back to the one that it was seeded with."""
    pair = Pair(tool_world)
    newest = tool_world.index.pip_wheel("newest")
    version = newest.name.split("-")[1]
    (seeded,) = {one.out.split()[1] for one in pair.pip("--version")}
    assert seeded != version
    pair.pip("install", "-q", "--upgrade", "--no-compile", newest, same="out err")
    pair.demand_same(leave_out=None)
    for script in ("pip", "pip3"):
        assert pair.run(f"{{venv}}/bin/{script}", "--version", same="out err")[1].out.split()[1] == version
    pair.pip("install", "-q", "vf-app", same="out err")
    pair.pip("freeze", same="out err")
    pair.run("{venv}/bin/vf-app", same="out err")
    pair.pip("uninstall", "-q", "-y", "pip", "vf-app")
    pair.python("-m", "pip", status=1, same="out err")
    pair.demand_same(leave_out=None)
    pair.python("-m", "ensurepip", same="out err")
    assert {one.out.split()[1] for one in pair.pip("--version")} == {seeded}
    pair.demand_same(leave_out=None)


def test_the_oldest_pip(tool_world):
    """Which knows nothing that was invented since 2018: how it removes and replaces is its own."""
    oldest = [one for one in tool_world.interpreters if one.minor == "3.8"]
    if not oldest:
        machine.skip("Python 3.8 is not here")
    pair = Pair(tool_world, "vf-lib==1.0", python=oldest[0].path)
    pair.pip("install", "-q", tool_world.index.pip_wheel("oldest"))
    assert pair.pip("--version", same="out err")[1].out.split()[1] == "9.0.3"
    index = ["--disable-pip-version-check", "--trusted-host", "127.0.0.1"]
    pair.pip("install", "-q", *index, "vf-app")
    pair.demand_same(leave_out=None)
    pair.pip("install", "-q", *index, "--upgrade", "vf-lib")
    pair.demand_same(leave_out=None)
    pair.pip("uninstall", "-q", "-y", "vf-app", "vf-lib")
    pair.demand_same(leave_out=None)
    pair.pip("install", "-q", *index, "vf-lib==1.0")
    pair.pip("show", "-f", "vf-lib")
    pair.demand_same(leave_out=None)


def test_two_pips_at_once(tool_world):
    """Each installs and removes packages of its own; both end well, and nothing is lost."""
    pair = Pair(tool_world, "vf-lib==1.0")
    script = """\
set -e
"$1/bin/python" -m pip install -q vf-app hatchling & first=$!
"$1/bin/python" -m pip install -q vf-tool wheel & second=$!
wait $first; wait $second
"$1/bin/python" -m pip uninstall -q -y vf-app & first=$!
"$1/bin/python" -m pip uninstall -q -y wheel & second=$!
wait $first; wait $second
"""
    # One may say that it sees what the other is about to rename.
    pair.run("sh", "-c", script, "sh", "{venv}", same="out")
    pair.demand_same()
    leftovers = [path for path in tree(pair.mount) if re.search(r"(^|/)~", path)]
    assert leftovers == []


def test_packages_of_the_store_come_and_go(tool_world):
    """What the environment was made of is hidden when it is uninstalled, and comes again."""
    pair = Pair(tool_world, "vf-app", "vf-lib==1.0")
    pair.pip("uninstall", "-q", "-y", "vf-lib", same="out err")
    pair.pip("check", status=1, same="out err")
    pair.python("-c", "import vf_lib", status=1)
    assert pair.differ() == []
    for version in ("1.0", "2.0", "1.0"):
        pair.pip("install", "-q", f"vf-lib=={version}", same="out err")
        said = pair.python("-c", "import vf_lib; print(vf_lib.__version__)", same="out err")
        assert said[1].out == f"{version}\n"
        pair.demand_same()
    pair.pip("install", "-q", "--force-reinstall", "vf-app", same="out err")
    pair.demand_same()
    tool_world.venvfs("umount", pair.mount.venv)
    tool_world.venvfs("mount", "-q", "proj", pair.mount.venv)
    pair.demand_same()
