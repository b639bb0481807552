"""What takes seconds to make, made once a session and copied: ordinary environments, and stores that have
what every environment is seeded with, the packages of pip compiled included.

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

    def _template(self, world, kind, interpreter, options, make):
        """The template of that key; make(path) makes what is not there yet."""
        key = "\n".join([world.user_name, interpreter, *options])
        folder = self.root / f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
        if folder not in self.made:
            support.remove_tree(folder)
            folder.mkdir()
            world.give(folder)
            make(folder)
            self.made.add(folder)
        return folder

    def make_plain(self, world, interpreter, venv, *options):
        """What `python -m venv` makes at @venv: a copy of one that it made, which names its place only
        in bin and in pyvenv.cfg."""
        template = self._template(world, "plain", interpreter, options, lambda folder: world.run(
            interpreter, "-m", "venv", *options, folder / ".venv", timeout=600)) / ".venv"
        world.run("cp", "-a", template, venv)
        for path in [venv / "pyvenv.cfg", *venv.glob("bin/*")]:
            if not path.is_symlink():
                path.write_text(path.read_text().replace(str(template), str(venv)))

    def fill_store(self, world, interpreter):
        """Gives @world a store that has what a new environment of @interpreter is seeded with, and a pip
        that has been asked before."""

        def make(folder):
            wheels = folder / "wheels"
            wheels.mkdir()
            write_wheel(wheels, "asked", "1.0")
            asks = {"PIP_FIND_LINKS": wheels, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": None}
            store = ("--store", folder / "store")
            world.venvfs("create", "template", "-q", *store, "--python", interpreter, "asked", env=asks, timeout=600)
            world.venvfs("delete", "-q", "template", *store)

        template = self._template(world, "store", interpreter, (), make)
        world.run("cp", "-a", template / "store", world.store)
