"""What pip does in the life of an environment, done to an ordinary and to a mounted one: after each
step both are the same, file by file, and pip has said the same."""

import pytest

import oracle
from local_wheels import newer_pip, write_wheel
from wheels.builder import Entry, Wheel

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("mountable")]


def write_app(folder, version, more=()):
    """A package with modules at several depths, data, a top-level module and a console script."""
    files = {"app/__init__.py": "from app.deep.er import name\n"
                                f"version = '{version}'\n\n\ndef main():\n    print(name, version)\n",
             "app/deep/__init__.py": "", "app/deep/er/__init__.py": "name = 'app'\n",
             "app/data/same.txt": "same\n", "app/data/version.txt": f"{version}\n",
             "app_top.py": f"version = '{version}'\n",
             f"app-{version}.data/data/share/app/notes": "notes\n", **{path: "" for path in more}}
    scripts = {"app-shell": b"#!/bin/sh\necho shell\n", "app-python": b"#!python\nimport sys; print(sys.prefix)\n"}
    entries = [Entry(path, text.encode()) for path, text in files.items()]
    entries += [Entry(f"app-{version}.data/scripts/{name}", text, mode=0o100755) for name, text in scripts.items()]
    Wheel({entry.name: entry for entry in entries}, name="app", version=version,
          metadata=f"Metadata-Version: 2.1\nName: app\nVersion: {version}\nRequires-Dist: lib\n".encode(),
          entry_points=b"[console_scripts]\napp = app:main\n").write(folder)


def wheelhouse(world):
    write_app(world.wheelhouse, "1.0", more=["app/only_old.py", "app/old/__init__.py"])
    write_app(world.wheelhouse, "2.0", more=["app/only_new.py", "app/new/__init__.py"])
    for version in ("1.0", "2.0"):
        write_wheel(world.wheelhouse, "lib", version)
    write_wheel(world.wheelhouse, "other", "1.0", scripts={"other": "other:main"})
    # Half of a namespace each.
    write_wheel(world.wheelhouse, "space-one", "1.0", files={"space/one.py": "", "space/one.txt": "1"})
    write_wheel(world.wheelhouse, "space-two", "1.0", files={"space/two.py": "", "space/two.txt": "2"})
    world.write("requirements.txt", "lib<2\nspace-one\n")
    world.write("requirements-dev.txt", "-r requirements.txt\nother\n")


class Both:
    """The two environments."""

    def __init__(self, world, python, *requirements):
        self.world, self.python = world, python
        self.ordinary, self.mounted = world.project / "plain", world.project / ".venv"
        world.run(python.path, "-m", "venv", self.ordinary)
        world.run(self.ordinary / "bin" / "python", "-m", "pip", "install", "-q", *requirements)
        world.venvfs("create", "proj", "-q", "--python", python.path, *requirements)
        world.venvfs("mount", "proj", ".venv")
        self.compare()

    def run(self, *args):
        """The same in both; what each said."""
        def said(root):
            done = self.world.run(root / "bin" / args[0], *args[1:], check=None)
            lines = (done.out + done.err).replace(str(root), "ROOT")
            lines = lines.replace(f"./{root.name}/", "ROOT/").splitlines()
            return done.status, [line for line in lines if line]
        one, two = said(self.ordinary), said(self.mounted)
        assert one == two, args
        return one

    def pip(self, *args):
        status, lines = self.run("python", "-m", "pip", *args)
        assert status == 0, lines
        self.compare()
        return lines

    def compare(self):
        assert oracle.compare(self.ordinary, self.mounted) == []
        oracle.check_record(self.mounted)
        oracle.check_bytecode(self.mounted, self.python.tag)

    def remount(self):
        self.world.venvfs("umount", "proj")
        self.world.venvfs("mount", "proj", ".venv")
        self.compare()


def test_the_same_steps(world, each_python):
    wheelhouse(world)
    both = Both(world, each_python, "app==1.0", "lib==1.0", "space-one", "space-two")
    assert both.run("app") == (0, ["app 1.0"])
    assert both.run("app-python") == (0, ["ROOT"])

    both.pip("install", "--upgrade", "app")
    assert both.run("app") == (0, ["app 2.0"])
    both.pip("install", "other", "app==1.0")
    assert both.run("app") == (0, ["app 1.0"])
    both.pip("install", "--force-reinstall", "--no-deps", "lib==1.0", "app==1.0", "space-one")

    # A package of the store is hidden, also after a remount, and comes back.
    both.pip("uninstall", "-y", "app", "space-two")
    assert both.run("python", "-c", "import app")[0] == 1
    assert not (both.mounted / "bin" / "app").exists()
    both.remount()
    both.pip("install", "app==1.0", "space-two")
    both.remount()
    assert both.run("app") == (0, ["app 1.0"])

    both.pip("uninstall", "-y", "lib", "other")
    assert both.run("python", "-m", "pip", "check")[0] == 1
    both.pip("install", "-r", "requirements-dev.txt")
    both.pip("check")
    assert both.pip("freeze") == ["app==1.0", "lib==1.0", "other==1.0", "space-one==1.0", "space-two==1.0"]

    newer_pip(world.wheelhouse, each_python.path, "99.0")
    both.pip("install", "--upgrade", "pip")
    assert both.pip("--version")[0].startswith("pip 99.0 from ROOT/lib/")
    both.pip("uninstall", "-y", "app", "lib", "other", "space-one", "space-two")
    both.remount()
    assert not (both.mounted / oracle.places(both.mounted) / "space").exists()


def test_versions_are_isolated(world):
    """What one environment does to a package of the store, no other sees, now or later."""
    wheelhouse(world)

    def made(name, *requirements):
        world.venvfs("create", name, "-q", "--python", world.python.path, *requirements)
        world.venvfs("mount", name, name)
        return world.project / name

    def version(place):
        return world.run(place / "bin" / "app").out

    one, two = made("one", "app==1.0"), made("two", "app==2.0")
    assert (version(one), version(two)) == ("app 1.0\n", "app 2.0\n")
    same = made("same", "app==1.0")
    before = oracle.tree(same)
    world.run(one / "bin" / "python", "-m", "pip", "install", "-q", "--upgrade", "app")
    (two / oracle.places(two) / "app" / "data" / "same.txt").write_text("mine\n")
    world.run(two / "bin" / "python", "-m", "pip", "uninstall", "-qy", "lib")
    assert (version(one), version(same)) == ("app 2.0\n", "app 1.0\n")
    assert oracle.tree(same) == before
    later = made("later", "app==2.0")
    assert (later / oracle.places(later) / "app" / "data" / "same.txt").read_text() == "same\n"
    assert (later / oracle.places(later) / "lib" / "__init__.py").exists()


def test_an_edited_module_is_never_hidden_by_bytecode(world):
    """Bytecode of the store is for the source of the store: of the same size, at once, and with the old
    times put back, an edit counts."""
    wheelhouse(world)
    world.venvfs("create", "proj", "-q", "--python", world.python.path, "lib==1.0", "other")
    world.venvfs("mount", "proj", ".venv")
    place = world.project / ".venv"
    source = place / oracle.places(place) / "lib" / "__init__.py"

    def version():
        return world.run(place / "bin" / "python", "-c", "import lib; print(lib.__version__)").out

    assert version() == "1.0\n"
    source.write_text(source.read_text().replace("1.0", "9.9"))
    assert version() == "9.9\n"
    world.run(place / "bin" / "python", "-m", "pip", "install", "-q", "--upgrade", "lib")
    assert version() == "2.0\n"
