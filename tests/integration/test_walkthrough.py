"""A working day, line by line as the README tells it, in every shell that has an activate script.

The lines are those that a person types; what differs from shell to shell is how activate is read
and how a prompt is shown. Then the machine restarts, and `venvfs mount --all` brings all back."""

import json
import os
import shutil
import subprocess

import pytest

import machine
from local_wheels import newer_pip, write_wheel
from mounted import states

pytestmark = [pytest.mark.usefixtures("mountable"), pytest.mark.slow]

# how to read activate, how to see the prompt; what to do first
SHELLS = {
    "bash": (". {place}/bin/activate", 'echo "$PS1"', "set -e; PS1='> '"),
    "zsh": (". {place}/bin/activate", 'echo "$PS1"', "set -e; PS1='> '"),
    "dash": (". {place}/bin/activate", 'echo "$PS1"', "set -e; PS1='> '"),
    "fish": ("source {place}/bin/activate.fish", "fish_prompt; echo", "function fish_prompt; echo -n '> '; end"),
    "csh": ("source {place}/bin/activate.csh", 'echo "$prompt"', "set prompt = '> '"),
}
START = {"bash": ["bash", "--norc"], "zsh": ["zsh", "-f"], "dash": ["dash"], "fish": ["fish", "--no-config"],
         "csh": ["csh", "-f"]}
# For shells without a `set -e` that activate, also Python's own, would survive.
OR_EXIT = {"fish": "; or exit 1", "csh": " || exit 1"}

PROBE = """\
import json, sys
import app, colorama
print(json.dumps({"colorama": colorama.__version__, "path": sys.path[1:], "prefix": sys.prefix,
                  "base_prefix": sys.base_prefix, "arguments": sys.argv[1:]}))
"""


def wheelhouse(world, python):
    write_wheel(world.wheelhouse, "app", "1.0", scripts={"app": "app:main"}, requires=["colorama"])
    for version in ("0.4.5", "0.4.6"):
        write_wheel(world.wheelhouse, "colorama", version)
    write_wheel(world.wheelhouse, "devtool", "3.1", scripts={"devtool": "devtool:main"})
    newer = world.root / "newer"
    newer.mkdir()
    newer_pip(newer, python, "99.1")


def day(shell, python):
    """The lines of a day; what they print is in parts, each after a line '## NAME'."""
    activate, show_prompt, first = SHELLS[shell]
    return [
        first,
        "echo '## create'",
        f"venvfs create proj --python {python} -r requirements.txt",
        "echo '## mount'",
        "venvfs mount proj .venv",
        activate.format(place=".venv"),
        "echo '## prompt'",
        show_prompt,
        "echo '## inside'",
        "python probe.py; which python; echo $VIRTUAL_ENV",
        "echo '## pip'",
        "pip install -q devtool; pip freeze > requirements.txt; cat requirements.txt",
        "pip install -q -r requirements-dev.txt",
        *(["rehash"] if shell == "csh" else []),
        "devtool",
        "pip install -q --upgrade --find-links ../newer pip; pip --version",
        "pip uninstall -q -y app",
        "echo '## deactivated'",
        "deactivate",
        show_prompt,
        'sh -c \'echo "${VIRTUAL_ENV-none}"\'',
        "echo '## elsewhere'",
        "venvfs umount .venv",
        "venvfs mount proj ../elsewhere/.venv",
        activate.format(place="../elsewhere/.venv"),
        "which python devtool pip; devtool; pip --version; echo $VIRTUAL_ENV; head -n 1 ../elsewhere/.venv/bin/devtool",
        "deactivate",
        "echo '## run'",
        "venvfs run -n proj devtool",
        "venvfs umount proj",
        "venvfs run -n proj devtool",
        "venvfs mount proj ../elsewhere/.venv",
        "echo '## other'",
        f"venvfs create other --python {python} --prompt 'my prompt' app colorama==0.4.5",
        "venvfs mount other",
        activate.format(place=".venv"),
        show_prompt,
        "python probe.py",
        "deactivate",
        "echo '## told'",
        "venvfs list",
        "venvfs status",
    ]


def run_lines(world, shell, lines):
    """Runs @lines as a script of @shell that ends where a line fails; returns the parts of what it prints."""
    lines = [line + OR_EXIT.get(shell, "") if line.startswith("venvfs ") else line for line in lines]
    script = world.write("day", "\n".join([*lines, "echo '## end'"]) + "\n")
    out = world.run(*START[shell], script, timeout=600).out
    parts = {}
    for line in out.splitlines():
        if line.startswith("## "):
            part = parts.setdefault(line[3:], [])
        else:
            part.append(line)
    assert "end" in parts, out
    return parts


def restart(world):
    """As after a reboot: no daemon, no mount, an empty runtime directory."""
    world.kill_daemon()
    for path in world.mounts():
        command = ["umount", "-l"] if os.getuid() == 0 else ["fusermount3", "-uz"]
        subprocess.run([*command, path], check=True)
    shutil.rmtree(world.runtime / "venvfs")
    assert world.mounts() == []


def check_day(world, python, parts):
    place, elsewhere = world.project / ".venv", world.root / "elsewhere" / ".venv"
    version = "%d.%d.%d" % python.version
    packages = 3 if python.version >= (3, 12) else 4
    assert parts["create"][-1].startswith(f"Created proj (Python {version}, {packages} packages) in ")
    assert parts["mount"][0].startswith(f"Mounted proj at {place} in ")
    assert parts["prompt"][-1] == "(proj) > "
    inside = json.loads(parts["inside"][0])
    site_packages = place / "lib" / f"python{python.minor}" / "site-packages"
    assert inside["prefix"] == str(place) and inside["base_prefix"] != str(place)
    assert inside["path"][-1] == str(site_packages) and inside["colorama"] == "0.4.6"
    assert parts["inside"][1:] == [f"{place}/bin/python", str(place)]
    frozen = ["app==1.0", "colorama==0.4.6", "devtool==3.1"]
    assert parts["pip"][:4] == [*frozen, "devtool 3.1"]
    assert parts["pip"][4].startswith(f"pip 99.1 from {site_packages}/pip ")
    assert parts["deactivated"] == ["> ", "none"]
    said, *rest = parts["elsewhere"]
    assert said == f"Unmounted proj from {place}"
    assert rest[0].startswith(f"Mounted proj at {elsewhere} in ")
    assert rest[1:5] == [*(f"{elsewhere}/bin/{name}" for name in ("python", "devtool", "pip")), "devtool 3.1"]
    assert rest[5].startswith(f"pip 99.1 from {elsewhere}/")
    assert rest[6:] == [str(elsewhere), f"#!{elsewhere}/bin/python"]
    assert parts["run"][0] == "devtool 3.1" and parts["run"][2] == "devtool 3.1" and len(parts["run"]) == 4
    assert parts["other"][-2] == "(my prompt) > "
    assert json.loads(parts["other"][-1])["colorama"] == "0.4.5"
    assert [line.split() for line in parts["told"][:3]] == [
        ["NAME", "PYTHON", "PACKAGES", "MOUNT", "POINT"],
        ["other", version, str(packages), str(place)],
        ["proj", version, str(packages), str(elsewhere)]]
    assert parts["told"][3] == "other"
    assert parts["told"][4].split() == ["mounted", "at", str(place)]


def walk(world, shell, python):
    if not shutil.which(shell):
        machine.skip(f"{shell} is not here")
    wheelhouse(world, python.path)
    world.write("requirements.txt", "app\n")
    world.write("requirements-dev.txt", "-r requirements.txt\ndevtool\n")
    world.write("probe.py", PROBE)
    check_day(world, python, run_lines(world, shell, day(shell, python.path)))

    restart(world)
    before = states(world)
    assert {state for state, _ in before.values()} == {"unmounted"}
    said = world.venvfs("mount", "--all").out.splitlines()
    assert [line.split(" in ")[0] for line in said] == [
        f"Mounted {name} at {path}" for name, (_, path) in sorted(before.items())]
    elsewhere = world.root / "elsewhere" / ".venv"
    assert world.run(elsewhere / "bin" / "devtool").out == "devtool 3.1\n"
    world.run(elsewhere / "bin" / "python", "-c", "import app", check=1)

    assert world.venvfs("delete", "proj").out.startswith("Deleted proj")
    assert not elsewhere.exists()
    assert world.venvfs("delete", "other").out.startswith("Deleted other")
    assert world.venvfs("gc").out.startswith("Freed ")
    assert world.venvfs("fsck").out == f"{world.store}: nothing is wrong\n"
    world.venvfs("doctor")
    assert not (world.project / ".venv").exists()


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_a_day(any_world, shell):
    """Each shell with another Python, since a day takes a while."""
    pythons = [one for one in any_world.interpreters if one.ensurepip]
    if not pythons:
        machine.skip("no Python with ensurepip is here")
    walk(any_world, shell, pythons[-1 - sorted(SHELLS).index(shell) % len(pythons)])
