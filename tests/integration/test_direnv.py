"""direnv: its own `layout python`, and the `layout venvfs` that `venvfs direnv` prints."""

import shutil

import pytest

import machine
from local_wheels import write_wheel
from mounted import create, mount, states


@pytest.fixture
def house(any_world):
    world = any_world
    if not shutil.which("direnv"):
        machine.skip("direnv is not installed")
    folder = world.home / ".config" / "direnv" / "lib"
    world.run("mkdir", "-p", folder)
    (folder / "venvfs.sh").write_text(world.venvfs("direnv").out)
    return world


def enter(world, script, folder=None, check=True):
    """Runs @script as a shell would that came into the directory; status 1 when .envrc failed."""
    folder = folder or world.project
    world.run("direnv", "allow", folder / ".envrc")
    return world.run("direnv", "exec", folder, "sh", "-c", script, cwd="/", check=check)


def test_layout_venvfs(house):
    world = house
    create(world, "proj", "--prompt", "it's mine")
    world.write(".envrc", "set -eu\nPYTHONHOME=/nowhere\nlayout venvfs proj\n")
    place = world.project / ".venv"
    told = enter(world, 'echo "$VIRTUAL_ENV|$VIRTUAL_ENV_PROMPT|$UV_LINK_MODE|${PYTHONHOME-unset}|${PATH%%:*}";'
                        'python -c "import sys; print(sys.prefix)"')
    assert told.out == f"{place}|it's mine|copy|unset|{place}/bin\n{place}\n"
    # Again with what is mounted, and after it was unmounted.
    assert enter(world, "command -v python").out == f"{place}/bin/python\n"
    world.venvfs("umount", "proj")
    assert enter(world, "command -v python").out == f"{place}/bin/python\n"
    assert states(world) == {"proj": ("mounted", str(place))}


def test_layout_venvfs_makes_what_is_absent(house):
    world = house
    write_wheel(world.wheelhouse, "lib", "1.0")
    folder = world.project / "some folder"
    folder.mkdir()
    world.give(folder)
    world.write(folder / "requirements.txt", "lib\n")
    world.write(folder / ".envrc",
                f"layout venvfs proj -r requirements.txt --python {world.python.path} --without-pip\n")
    assert enter(world, "python -c 'import lib; print(lib.__version__)'", folder).out == "1.0\n"
    named = world.project / "by-its-directory"
    named.mkdir()
    world.give(named)
    create(world, "by-its-directory")
    world.write(named / ".envrc", "layout venvfs\n")
    assert enter(world, "echo $VIRTUAL_ENV", named).out == f"{named}/.venv\n"


def test_layout_venvfs_says_what_is_wrong(house):
    world = house
    create(world, "proj")
    world.write(".venv/something", "in the way\n")
    world.write(".envrc", "layout venvfs proj\n")
    told = enter(world, "echo ${VIRTUAL_ENV-unset}", check=None)
    assert f"venvfs: {world.project}/.venv: " in told.err
    assert told.out in ("", "unset\n")
    assert states(world) == {"proj": ("unmounted", None)}


@pytest.mark.slow
def test_layout_python_takes_what_is_mounted(house):
    """Conformance item 38."""
    world = house
    world.venvfs("create", "proj", "-q", "--python", world.python.path)
    place = mount(world, "proj")
    world.write(".envrc", f"export VIRTUAL_ENV=.venv\nlayout python {world.python.path}\n")
    told = enter(world, "echo $VIRTUAL_ENV; python -c 'import sys; print(sys.prefix)'")
    assert told.out == f"{place}\n{place}\n"
    # An ordinary one in its place says the same.
    world.venvfs("umount", "--remove", ".venv")
    world.run(world.python.path, "-m", "venv", "--without-pip", place)
    assert enter(world, "echo $VIRTUAL_ENV; python -c 'import sys; print(sys.prefix)'").out == told.out


def test_layout_python_makes_nothing_of_an_unmounted_one(house):
    """Conformance item 38: it looks for a directory, and takes the sentinel's for an environment."""
    world = house
    create(world, "proj")
    mount(world, "proj")
    world.venvfs("umount", "proj")
    world.write(".envrc", f"export VIRTUAL_ENV=.venv\nlayout python {world.python.path}\n")
    told = enter(world, "cat $VIRTUAL_ENV/NOT-MOUNTED.txt; ls $VIRTUAL_ENV")
    assert told.out.startswith('The Python environment "proj" belongs here, but it is not mounted.\n')
    assert told.out.splitlines()[-1] == "NOT-MOUNTED.txt"
