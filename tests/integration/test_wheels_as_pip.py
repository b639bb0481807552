"""Synthetic wheels with everything odd that a wheel may hold, installed by pip into an ordinary
environment and shown by a mount: the same, file by file."""

import csv
import io
import json
import stat

import pytest

import oracle
from local_wheels import write_wheel
from wheels.builder import Entry, Wheel

pytestmark = pytest.mark.usefixtures("mountable")

MAIN = b"""import sys


class a:
    @staticmethod
    def b():
        print('a.b', sys.prefix)


def run():
    print('run', sys.prefix)
"""


def quoted(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def odd_wheel(folder):
    """Names that RECORD has to quote, modes, links, empty directories, every scheme, every kind of script."""
    data = "odd-1.0.data"
    entries = [
        Entry("odd/__init__.py", b"", mode=stat.S_IFREG | 0o600), Entry("odd/main.py", MAIN),
        Entry("odd/run.py", b"", mode=stat.S_IFREG | 0o4711), Entry("odd/none.py", b"", mode=0),
        Entry("odd/untyped", b"1", mode=0o777), Entry("odd/group", b"2", mode=stat.S_IFREG | 0o654),
        Entry("odd/com,ma.txt", b"3"), Entry('odd/quo"te.txt', b"4"), Entry("odd/two words.txt", b"5"),
        Entry("odd/größe/π.txt", b"6"), Entry("odd/-dash", b"7"), Entry("odd/empty.txt", b""),
        Entry("odd/link", b"../../../etc/passwd", mode=stat.S_IFLNK | 0o777),
        Entry("odd/old.pyc", b"not bytecode"), Entry("odd/wrong.py", b"def :\n"),
        Entry("odd/nothing/", mode=stat.S_IFDIR | 0o755), Entry("odd.pth", b"/nowhere\n"),
        Entry("space/odd.py", b""), Entry("top.py", b"value = 1\n"),
        Entry(f"{data}/purelib/pure.py", b""), Entry(f"{data}/platlib/plat.py", b""),
        Entry(f"{data}/headers/odd.h", b"h"), Entry(f"{data}/headers/deep/odd.h", b"hh"),
        Entry(f"{data}/data/share/odd/d,1", b"d"), Entry(f"{data}/data/etc/odd.conf", b"e"),
        Entry(f"{data}/scripts/shipped", b"#!python\nimport sys; print('shipped', sys.prefix)\n", mode=0o100755),
        Entry(f"{data}/scripts/windowed", b"#!pythonw -u\nimport sys; print('windowed', sys.prefix)\n", mode=0o100755),
        Entry(f"{data}/scripts/replaced", b"#!python\n", mode=0o100755),
        Entry(f"{data}/scripts/binary", b"\x7fELF\0\xff\n", mode=0o100755),
    ]
    return Wheel({entry.name: entry for entry in entries}, name="odd", record=quoted, entry_points=(
        b"[console_scripts]\nOdd = odd.main:run [extra]\nodd=odd.main:a.b\nreplaced = odd.main:run\n"
        b"[gui_scripts]\nodd-window = odd.main:run\n[other]\nodd = odd.main:nothing\n")).write(folder)


def both(world, plain, mounted, *requirements, python=None):
    """An ordinary environment at @plain and a mounted one at @mounted, compared."""
    python = python or world.python
    plain, mounted = world.project / plain, world.project / mounted
    world.run(python.path, "-m", "venv", plain)
    world.run(plain / "bin" / "python", "-m", "pip", "install", "-q", *requirements)
    world.venvfs("create", "proj", "-q", "--python", python.path, *requirements)
    world.venvfs("mount", "proj", mounted)
    assert oracle.compare(plain, mounted) == []
    oracle.check_record(mounted)
    oracle.check_bytecode(mounted, python.tag)
    return plain, mounted


@pytest.mark.slow
def test_everything_odd(world, each_python):
    odd_wheel(world.wheelhouse)
    write_wheel(world.wheelhouse, "other", "1.0", files={"space/other.py": ""})
    plain, mounted = both(world, "plain", ".venv", "odd", "other", python=each_python)
    site = mounted / oracle.places(mounted)
    assert (site / "odd" / "link").read_text() == "../../../etc/passwd"
    assert not (site / "odd" / "nothing").exists() and not (site / "space" / "__init__.py").exists()
    for root in (plain, mounted):
        for name, first in {"Odd": "run", "odd": "a.b", "replaced": "run", "odd-window": "run",
                            "shipped": "shipped", "windowed": "windowed"}.items():
            assert world.run(root / "bin" / name).out == f"{first} {root}\n"
        world.run(root / "bin" / "python", "-m", "pip", "uninstall", "-qy", "odd")
    assert oracle.compare(plain, mounted) == []


def path_of_length(world, letter, length):
    """A path whose first name is made of @letter, and whose bin/python makes a first line of @length bytes."""
    missing = length - len(f"#!{world.project}//bin/python\n")
    path = letter * min(missing, 200)
    path += ("/" + letter * (missing - 201)) if missing > 201 else ""
    (world.project / path).parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("length", [127, 128, 300])
def test_first_lines_of_any_length(world, length):
    """Up to 127 bytes the kernel takes; pip and venvfs draw the line at the same place."""
    write_wheel(world.wheelhouse, "app", "1.0", scripts={"app": "app:main"})
    plain, mounted = both(world, path_of_length(world, "p", length), path_of_length(world, "m", length), "app")
    assert len(f"#!{mounted}/bin/python\n") == length
    assert (mounted / "bin" / "app").read_text().startswith("#!/bin/sh\n") == (length > 127)
    assert world.run(mounted / "bin" / "app").out == "app 1.0\n"


@pytest.mark.slow
def test_a_first_line_with_a_space(world):
    write_wheel(world.wheelhouse, "app", "1.0", scripts={"app": "app:main"})
    plain, mounted = both(world, "a plain", "a mount", "app")
    assert world.run(mounted / "bin" / "app").out == "app 1.0\n"
    assert world.run(mounted / "bin" / "pip", "--version").out.endswith(f"(python {world.python.minor})\n")


@pytest.mark.slow
def test_where_it_came_from(world):
    """direct_url.json: of a file and of a repository, never of what an index or a wheelhouse gave."""
    wheel = write_wheel(world.wheelhouse, "app", "1.0", requires=["lib"])
    write_wheel(world.wheelhouse, "lib", "1.0")
    plain, mounted = both(world, "plain", ".venv", wheel)
    info = mounted / oracle.places(mounted)
    assert json.loads((info / "app-1.0.dist-info" / "direct_url.json").read_text())["url"] == wheel.as_uri()
    assert sorted(path.name for path in (info / "lib-1.0.dist-info").iterdir()) == [
        "INSTALLER", "METADATA", "RECORD", "WHEEL"]
    assert (info / "app-1.0.dist-info" / "INSTALLER").read_text() == "venvfs\n"
    assert (info / "app-1.0.dist-info" / "REQUESTED").read_text() == ""


@pytest.mark.slow
@pytest.mark.parametrize("variable, value", [
    ("SOURCE_DATE_EPOCH", "1"), ("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONOPTIMIZE", "2"),
    ("PYTHONPYCACHEPREFIX", "/nowhere"), ("PYTHONHOME", "/nowhere"), ("PYTHONPATH", "/nowhere"), ("PYTHONSAFEPATH", "1")])
def test_bytecode_does_not_depend_on_the_callers_environment(world, variable, value):
    write_wheel(world.wheelhouse, "app", "1.0")
    options = ["-q", "--python", world.python.path, "--without-pip", "app"]
    world.venvfs("create", "proj", *options, env={variable: value})
    world.venvfs("mount", "proj", ".venv")
    mounted = world.project / ".venv"
    assert oracle.check_bytecode(mounted, world.python.tag) == 1
    loaded = world.run(mounted / "bin" / "python", "-v", "-c", "import app").err
    assert f"code object from '{mounted / oracle.places(mounted)}/app/__pycache__/__init__.{world.python.tag}.pyc'" in loaded


@pytest.mark.slow
def test_pth_files_in_order_of_name_whoever_brought_them(seeded_world):
    """Those of the store and those that pip put beside them: Python reads them sorted."""
    world = seeded_world
    for letter in "abcd":
        (world.root / letter).mkdir()
        write_wheel(world.wheelhouse, f"pth-{letter}", "1.0", files={f"{letter}.pth": f"{world.root}/{letter}\n"})
    world.venvfs("create", "proj", "-q", "--python", world.python.path, "pth-d", "pth-b")
    world.venvfs("mount", "proj", ".venv")
    python = world.project / ".venv" / "bin" / "python"
    world.run(python, "-m", "pip", "install", "-q", "pth-c", "pth-a")
    path = json.loads(world.run(python, "-c", "import json, sys; print(json.dumps(sys.path))").out)
    assert [entry[-1] for entry in path if entry[:-1] == f"{world.root}/"] == ["a", "b", "c", "d"]
