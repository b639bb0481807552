"""Completions, typed into real shells: what a line became is seen by what it did."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

import machine
import support
from mounted import create, states
from terminal import Terminal

FOLDER = support.TREE / "tools" / "shell"
# As they are installed, where each shell finds them by itself; bash without bash-completion has to be told.
PLACES = {
    "bash-completion": ("bash", "data/bash-completion/completions/venvfs", "source /usr/share/bash-completion/bash_completion"),
    "bash": ("bash", "data/venvfs.bash", "source {root}/data/venvfs.bash"),
    "zsh": ("zsh", "data/zsh/_venvfs", "fpath=({root}/data/zsh $fpath); autoload -U compinit; compinit -u -d {root}/data/dump"),
    "fish": ("fish", "data/fish/venvfs.fish", "set -p fish_complete_path {root}/data/fish"),
}


@pytest.fixture(params=PLACES)
def terminal(request, world):
    shell, place, loading = PLACES[request.param]
    if not shutil.which(shell):
        machine.skip(f"{shell} is not installed")
    if request.param == "bash-completion" and not Path("/usr/share/bash-completion/bash_completion").exists():
        machine.skip("bash-completion is not installed")
    (world.root / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(FOLDER / f"completion.{shell}", world.root / place)
    with closing(Terminal(world, shell)) as terminal:
        terminal.type(loading.format(root=world.root))
        yield terminal
        print(terminal.text)  # pytest shows it where the test fails


def result(world, name="out"):
    text = (world.project / name).read_text()
    return json.loads(text)["result"]


def test_a_line_typed_with_tabs(world, terminal):
    for name in ("alpha", "beta"):
        create(world, name)
    terminal.type("venvfs mou\tbe\t")
    assert states(world) == {"alpha": ("unmounted", None), "beta": ("mounted", str(world.project / ".venv"))}
    # An option, an option's value, a file.
    (world.project / "file-to-write").touch()
    terminal.type("venvfs stat\t--js\t--name al\t > file\t")
    assert result(world, "file-to-write")["name"] == "alpha"
    terminal.type("venvfs status --json --name=al\t > out")
    assert result(world)["name"] == "alpha"
    # A directory.
    (world.project / "some directory").mkdir()
    terminal.type("venvfs mount alpha some\t")
    assert states(world)["alpha"] == ("mounted", str(world.project / "some directory"))
    # Choices of the usage line; a command of its own.
    terminal.type("venvfs store si\t--json > out")
    assert set(result(world)) >= {"all", "objects"}
    (world.project / "argument").touch()
    terminal.type("venvfs run -n beta cp argu\t copied 2> out")
    assert (world.project / "copied").exists()


def test_another_store_and_none(world):
    create(world, "alpha")
    ask = [world.executable, "complete", "--"]
    assert world.run(*ask, "mount", "").out == "alpha\n"
    assert world.run(*ask, "--store", world.store, "mount", "a", env={"VENVFS_STORE": "/nowhere"}).out == "alpha\n"
    absent = world.root / "absent"
    assert world.run(*ask, "--store", absent, "mount", "").out == ""
    assert not absent.exists()
    assert world.venvfs("complete", "--json", "--", "mount", "").json["result"] == {"lines": ["alpha"]}


def test_they_are_installed_where_shells_look():
    places = {path.rsplit("/share/", 1)[1] for path in support.installed_paths() if "/share/" in path}
    assert {"bash-completion/completions/venvfs", "zsh/site-functions/_venvfs",
            "fish/vendor_completions.d/venvfs.fish"} <= places
