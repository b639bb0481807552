"""Entering and leaving a mounted environment in every shell that can be had, whatever its path holds.

What the activation scripts do with variables, line by line, tests/unit/templates.c tests."""

import os
import shutil

import pytest

import machine
import tool_cache
from mounted import create
from paired import Pair

NAMES = [".venv", "a space", "$(touch PWNED)", "`touch PWNED`", "it's \"quoted\"", "back\\slash", "bang!",
         "café; touch PWNED #", "percent%d", "{braces}", "*?[a]", "ünïcödé-✓", "-dash"]

POSIX = """
set -eu
. "$ACTIVATE"
printf '%s\\n' "$VIRTUAL_ENV" "$VIRTUAL_ENV_PROMPT" "$UV_LINK_MODE"
python -c 'import sys; print(sys.prefix)'
deactivate
printf '%s\\n' "${VIRTUAL_ENV-none}" "$PATH"
"""
FISH = """
source $ACTIVATE
printf '%s\\n' $VIRTUAL_ENV $VIRTUAL_ENV_PROMPT $UV_LINK_MODE
python -c 'import sys; print(sys.prefix)'
deactivate
set -q VIRTUAL_ENV; and echo $VIRTUAL_ENV; or echo none
string join : $PATH
"""
CSH = """
source "$ACTIVATE:q"
printf '%s\\n' "$VIRTUAL_ENV:q" "$VIRTUAL_ENV_PROMPT:q" "$UV_LINK_MODE"
python -c 'import sys; print(sys.prefix)'
deactivate
if ($?VIRTUAL_ENV) echo set
if (! $?VIRTUAL_ENV) echo none
printf '%s\\n' "$PATH:q"
"""
XONSH = """
source @(__import__("os").environ["ACTIVATE"])
print($VIRTUAL_ENV, $VIRTUAL_ENV_PROMPT, $UV_LINK_MODE, sep="\\n", flush=True)
python -c "import sys; print(sys.prefix)"
deactivate
print(${...}.get("VIRTUAL_ENV", "none"), ":".join($PATH), sep="\\n")
"""
# Nushell wants the path of an overlay before it runs anything: it stands in the script.
NU = """
overlay use r##'ACTIVATE'##
print $env.VIRTUAL_ENV $env.VIRTUAL_ENV_PROMPT $env.UV_LINK_MODE
^python -c "import sys; print(sys.prefix)"
deactivate
print ($env.VIRTUAL_ENV? | default none) ($env.PATH | str join ":")
"""


def installed(name, *options):
    program = shutil.which(name)
    if not program:
        machine.skip(f"{name} is not installed")
    return [program, *options]


SHELLS = {
    "sh": ("activate", POSIX, lambda: installed("sh")),
    "bash": ("activate", POSIX, lambda: installed("bash", "--norc")),
    "bash-posix": ("activate", POSIX, lambda: installed("bash", "--norc", "--posix")),
    "dash": ("activate", POSIX, lambda: installed("dash")),
    "zsh": ("activate", POSIX, lambda: installed("zsh", "-f")),
    "fish": ("activate.fish", FISH, lambda: installed("fish", "--no-config")),
    "csh": ("activate.csh", CSH, lambda: installed("csh", "-f")),
    "tcsh": ("activate.csh", CSH, lambda: installed("tcsh", "-f")),
    "xonsh": ("activate.xsh", XONSH, lambda: [tool_cache.python_tools("shells") / "xonsh", "--no-rc"]),
    "nu": ("activate.nu", NU, lambda: [tool_cache.npm_tools() / "@nushell/linux-x64/bin/nu", "--no-config-file"]),
}
FETCHED = ("xonsh", "nu")


@pytest.mark.parametrize("shell", [pytest.param(name, marks=[pytest.mark.network, pytest.mark.slow])
                                   if name in FETCHED else name for name in SHELLS])
def test_entering_and_leaving(world, shell):
    """Conformance items 36, 37."""
    activate, script, start = SHELLS[shell]
    command = start()
    create(world, "proj", "--prompt", "it's mine")
    for name in NAMES:
        place = world.project / name
        world.venvfs("mount", "-q", "proj", place)
        file = world.write("script", script.replace("ACTIVATE", str(place / "bin" / activate))
                           if shell == "nu" else script)
        told = world.run(*command, file, env={"ACTIVATE": place / "bin" / activate})
        path = world.environment["PATH"]
        expected = [str(place), "it's mine", "copy", str(place), "none", path]
        assert told.out.splitlines() == expected, told.describe()
        world.venvfs("umount", "--remove", place)
    assert "PWNED" not in os.listdir(world.project)


@pytest.mark.parametrize("shell", ["bash", "zsh", "dash", "fish", "csh"])
def test_as_in_an_ordinary_environment(world, shell):
    """Conformance item 36: the variables that venv's own scripts set and unset are so here."""
    activate, _, start = SHELLS[shell]
    command = start()
    pair = Pair(world, pip=False, options=["--prompt", "proj"])
    source = {"fish": "source", "csh": "source"}.get(shell, ".")
    show = "env | grep -e ^PATH= -e ^VIRTUAL -e ^PYTHONHOME= | sort"
    file = world.write("script", ("set prompt='> '\n" if shell == "csh" else "") + f"{source} .venv/bin/{activate}\n{show}\npython -c 'import sys; print(sys.prefix)'\n"
                                 f"deactivate\n{show}\n{source} .venv/bin/{activate}\n{source} .venv/bin/{activate}\n"
                                 f"{show}\ndeactivate\n{show}\n")
    words = " ".join(f"'{word}'" for word in [*command, file])
    # In csh venv's own script keeps PYTHONHOME, with which no python of an environment starts.
    for home in (None,) if shell == "csh" else (None, "/nowhere"):
        told = pair.same(words, env={"PYTHONHOME": home})
        assert told.count("PROJECT/.venv") == 5
