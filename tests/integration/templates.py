"""What takes seconds to make, made once a session and copied: ordinary environments, and stores.

A copy is its world's own: nothing that a test does to it is seen by another. Each user has templates of
their own, since not all can read what another made."""

import hashlib
import os

import support
from local_wheels import write_wheel


class Templates:
    def __init__(self):
        self.root = support.new_root("templates")
        self.made = set()

    def close(self):
        support.remove_tree(self.root)

    def _copy(self, world, target, kind, key, make):
        """Has @target in @world, which make() makes: the first time; later it is a copy of that. Returns
        where the first was."""
        digest = hashlib.sha256("\n".join([world.user_name, *key]).encode()).hexdigest()[:12]
        folder = self.root / f"{kind}-{digest}"
        if folder in self.made:
            world.run("cp", "-a", folder / "copy", target)
        else:
            make()
            support.remove_tree(folder)
            folder.mkdir()
            world.give(folder)
            (folder / "place").write_text(str(target))
            world.run("cp", "-a", target, folder / "copy")
            self.made.add(folder)
        return (folder / "place").read_text()

    def make_plain(self, world, interpreter, venv, *options):
        """What `python -m venv` makes at @venv, which names its place only in bin and in pyvenv.cfg."""
        place = self._copy(world, venv, "plain", [interpreter, venv.name, *options], lambda: world.run(
            interpreter, "-m", "venv", *options, venv, timeout=600))
        for path in [venv / "pyvenv.cfg", *venv.glob("bin/*")]:
            if not path.is_symlink():
                path.write_text(path.read_text().replace(place, str(venv)))

    def with_pip(self, world, interpreter):
        """@interpreter, where it has pip of its own; the Python of an environment made of it, where it has not,
        as Debian's."""
        if world.run(interpreter, "-c", "import pip", check=None).status == 0:
            return interpreter
        venv = world.root / "with-pip" / ".venv"
        if not venv.exists():
            venv.parent.mkdir()
            world.give(venv.parent)
            self.make_plain(world, interpreter, venv)
        return venv / "bin" / "python"

    def fill_store(self, world, name, make):
        """Gives @world, which has none yet, the store that make() makes there; @name says what that is."""
        self._copy(world, world.store, "store", [name], make)

    def seed_store(self, world, interpreter):
        """Gives @world a store that has what a new environment of @interpreter is seeded with, and a pip
        that has been asked before."""

        def make():
            wheels = world.root / "asked"
            wheels.mkdir()
            write_wheel(wheels, "asked", "1.0")
            asks = {"PIP_FIND_LINKS": wheels, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": None}
            world.venvfs("create", "seed", "-q", "--python", interpreter, "asked", env=asks, timeout=600)
            world.venvfs("delete", "-q", "seed")

        self.fill_store(world, f"seed of {interpreter}", make)
