"""What Python imports from an environment: of which file, and what becomes of edits and of bytecode."""

import struct

import pytest

from local_wheels import write_wheel
from paired import Pair

pytestmark = pytest.mark.slow


def test_namespace_packages(world):
    """Conformance item 28: one namespace of several wheels, and no __init__.py that none has."""
    for name in ("one", "two"):
        write_wheel(world.wheelhouse, name, "1.0", files={f"shared/ns/{name}.py": f"value = {name!r}\n"})
    write_wheel(world.wheelhouse, "old", "1.0", files={
        "old-nspkg.pth": "import sys, types; sys.modules.setdefault('old', types.ModuleType('old'))\n"})
    pair = Pair(world, "one", "two", "old")
    said = pair.same("""
        .venv/bin/python -c 'import shared.ns.one, shared.ns.two, old
print(shared.ns.one.value, shared.ns.two.value, shared.__file__, type(shared.__path__).__name__.strip("_"))
print(sorted(shared.ns.__path__), old)'
        cat .venv/lib/python*/site-packages/old-nspkg.pth
        find .venv/lib/python*/site-packages/shared -not -path '*__pycache__*' | sort""")
    assert said.startswith("one two None NamespacePath\n")
    # One is uninstalled, the other stays.
    assert pair.same(".venv/bin/pip uninstall -qy one; .venv/bin/python -c 'import shared.ns.two as m; print(m.value)';"
                     "ls .venv/lib/python*/site-packages/shared/ns") == "two\n__pycache__\ntwo.py\n"


def test_another_version_of_the_same_size_runs(world):
    """Conformance item 30: no bytecode outlives its source, though sizes are equal."""
    for version in ("1.0", "2.0"):
        write_wheel(world.wheelhouse, "lib", version, files={"lib.py": f"value = {version!r}\n"})
    pair = Pair(world, "lib==1.0")
    ask = ".venv/bin/python -c 'import lib; print(lib.value)'"
    assert pair.same(ask) == "1.0\n"
    assert pair.same(f".venv/bin/pip install -q lib==2.0; {ask}") == "2.0\n"
    assert pair.same(f".venv/bin/pip install -q lib==1.0; {ask}") == "1.0\n"
    # Another environment at the same place.
    world.venvfs("umount", "proj")
    world.venvfs("create", "other", "-q", "--python", world.python.path, "lib==2.0")
    world.venvfs("mount", "-q", "other", pair.mount.venv)
    assert pair.shell_in(pair.mount, ask) == "2.0\n"
    # Times tell the contents apart, for everything that compares times.
    site = pair.mount.site_packages
    world.venvfs("umount", "other")
    world.venvfs("mount", "-q", "proj", pair.mount.venv)
    assert (site / "lib.py").read_text() == "value = '1.0'\n"


def test_edits_are_seen(world):
    """Conformance items 31, 32: of every kind, at once."""
    write_wheel(world.wheelhouse, "lib", "1.0", files={"lib/__init__.py": "value = 'one'\n", "lib/sub.py": "value = 1\n"})
    pair = Pair(world, "lib", pip=False)
    ask = ".venv/bin/python -c 'import lib; print(lib.value)'"
    assert pair.same(ask) == "one\n"
    file = ".venv/lib/python*/site-packages/lib/__init__.py"
    for change, value in (
        # Of different lengths: within one second Python itself cannot tell them apart otherwise.
        (f"sed -i s/one/three/ {file}", "three"),  # replaced by a rename
        (f"printf 'value = 7\\nother = 1 \\n' | dd of=$(echo {file}) conv=notrunc status=none", "7"),  # in place
        (f"printf \"value = 'ten'\\n\" > new; mv new {file}", "ten"),
        (f"printf \"value = 'eleven'\\n\" > {file}", "eleven"),
    ):
        assert pair.same(f"sleep 0.02; {change}; {ask}") == f"{value}\n"
    for path in sorted(pair.mount.site_packages.glob("**/*.pyc")):
        flags = struct.unpack("<I", path.read_bytes()[4:8])[0]
        assert flags == 0, path
    # The interpreter's own bytecode is what it takes, and it writes no other.
    sub = pair.mount.here / "before"
    sub.write_text(repr([(path.name, path.stat().st_mtime_ns) for path in pair.mount.site_packages.glob("lib/__pycache__/sub*")]))
    pair.same(".venv/bin/python -c 'import lib.sub as m, os; print(m.value, os.path.basename(m.__spec__.cached))'")
    assert sub.read_text() == repr([(path.name, path.stat().st_mtime_ns)
                                    for path in pair.mount.site_packages.glob("lib/__pycache__/sub*")])


def test_tracebacks_name_the_place(world):
    """Conformance item 31: the same bytecode at every mount point, yet each says its own."""
    write_wheel(world.wheelhouse, "lib", "1.0", files={"lib.py": "def fail():\n    raise RuntimeError('x')\n"})
    pair = Pair(world, "lib", pip=False)
    ask = ".venv/bin/python -c 'import lib; lib.fail()' 2>&1 || true"
    assert '"PROJECT/.venv/lib/python' in pair.same(ask)
    world.venvfs("umount", "proj")
    world.venvfs("mount", "-q", "proj", world.project / "elsewhere")
    said = world.shell("elsewhere/bin/python -c 'import lib; lib.fail()' 2>&1 || true").out
    assert f'"{world.project}/elsewhere/lib/python' in said


def test_access_is_truthful(any_world):
    """Conformance item 51: pip installs here, not for the user."""
    world = any_world
    write_wheel(world.wheelhouse, "lib", "1.0")
    pair = Pair(world)
    pair.same("cd .venv; for path in . bin lib lib/python*/site-packages pyvenv.cfg bin/activate bin/pip; do"
              " printf '%s' $path; for mode in r w x; do test -$mode $path && printf $mode; done; echo; done")
    told = pair.same(".venv/bin/pip install lib 2>&1 | grep -v Processing; ls .venv/lib/python*/site-packages/lib")
    assert "Successfully installed lib-1.0" in told and "Defaulting to user" not in told
    # Modes are as they are told, for the owner too; root may all the same.
    read_only = pair.same("cd .venv; chmod 555 lib/python*/site-packages; test -w lib/python*/site-packages && echo yes ||"
                          " echo no; chmod 755 lib/python*/site-packages")
    assert read_only == ("yes\n" if world.uid == 0 else "no\n")


def test_many_modules_found_as_they_come_and_go(world):
    """Conformance item 48: a directory's time moves with its entries, so nobody needs to tell importlib."""
    write_wheel(world.wheelhouse, "lib", "1.0", files={"lib/__init__.py": "", "lib/a.py": ""})
    pair = Pair(world, "lib", pip=False)
    (world.project / "walk.py").write_text("""
import importlib, os, time, lib
folder = os.path.dirname(lib.__file__)
def there(name):
    try:
        importlib.import_module("lib." + name)
        return True
    except ImportError:
        return False
print(there("a"), there("b"))
for turn in range(5):
    time.sleep(0.02)
    with open(f"{folder}/new{turn}.py", "w"):
        pass
    print(there(f"new{turn}"), there(f"absent{turn}"))
time.sleep(0.02)
os.rename(f"{folder}/a.py", f"{folder}/b.py")
print(there("b"), os.path.exists(f"{folder}/a.py"))
""")
    assert pair.same(f".venv/bin/python {world.project}/walk.py") == "True False\n" + "True False\n" * 5 + "True False\n"
