"""Who is measured: each makes an environment of a requirements file its own way.

All get the same wheels from the same folder and no network; each has its own home, cache and
configuration. Times are seconds."""

import os
from pathlib import Path

from benchlib import machine


def clean_environment(home, extra):
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INDEX": "1",
        **extra,
    }


class Contender:
    def __init__(self, folder, wheels, python):
        self.folder, self.wheels, self.python = Path(folder), wheels, python
        self.folder.mkdir(parents=True)
        self.environment = clean_environment(self.folder, {"PIP_FIND_LINKS": str(wheels)})

    def run(self, *arguments, **options):
        return machine.run(arguments, self.environment, **options)

    def place(self, name):
        """Where environment @name is seen."""
        return self.folder / name / ".venv"

    def python_in(self, name):
        return self.place(name) / "bin" / "python"

    def pass_in(self, name):
        return self.run(self.python_in(name), "-c", "pass").wall

    def import_in(self, name):
        """Runs the import program; the Run's times are the whole process'."""
        return self.run(self.python_in(name), Path(__file__).parents[1] / "import_set.py")

    def delete(self, name):
        machine.remove(self.folder / name)


class Uv(Contender):
    def __init__(self, program, *arguments):
        super().__init__(*arguments)
        self.program = program
        self.environment.update({
            "UV_CACHE_DIR": str(self.folder / "cache"), "UV_NO_CONFIG": "1", "UV_OFFLINE": "1",
            "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(self.wheels), "UV_PYTHON_DOWNLOADS": "never",
            "UV_LINK_MODE": "hardlink",
        })

    def create(self, name, requirements, *options):
        (self.folder / name).mkdir()
        made = self.run(self.program, "venv", "-q", "--python", self.python, self.place(name))
        return made.wall + self.install(name, requirements, *options)

    def install(self, name, requirements, *options):
        return self.run(self.program, "pip", "install", "-q", "--python", self.python_in(name),
                        *options, "-r", requirements).wall

    def forget_cache(self):
        machine.remove(self.folder / "cache")


class VenvPip(Contender):
    def create(self, name, requirements):
        (self.folder / name).mkdir()
        made = self.run(self.python, "-m", "venv", self.place(name))
        return made.wall + self.install(name, "-r", requirements)

    def install(self, name, *what):
        return self.run(self.python_in(name), "-m", "pip", "install", "-q", *what).wall

    def uninstall(self, name, package):
        return self.run(self.python_in(name), "-m", "pip", "uninstall", "-q", "-y", package).wall


class Virtualenv(VenvPip):
    def __init__(self, program, *arguments):
        super().__init__(*arguments)
        self.program = program

    def create(self, name, requirements):
        (self.folder / name).mkdir()
        made = self.run(*self.program, "-q", "--no-download", "--python", self.python, self.place(name))
        return made.wall + self.install(name, "-r", requirements)


class Venvfs(VenvPip):
    def __init__(self, program, *arguments):
        super().__init__(*arguments)
        self.program = program
        self.store = self.folder / "store"
        self.runtime = self.folder / "run"
        self.runtime.mkdir(mode=0o700)
        self.environment.update({"VENVFS_STORE": str(self.store), "XDG_RUNTIME_DIR": str(self.runtime)})

    def venvfs(self, *arguments):
        return self.run(self.program, *arguments).wall

    def make(self, name, requirements, *options):
        """Creates without mounting."""
        return self.venvfs("--quiet", "create", name, "--python", self.python, "-r", requirements, *options)

    def mount(self, name):
        (self.folder / name).mkdir(exist_ok=True)
        return self.venvfs("--quiet", "mount", name, self.place(name))

    def create(self, name, requirements, *options):
        return self.make(name, requirements, *options) + self.mount(name)

    def umount(self, name):
        seconds = self.venvfs("--quiet", "umount", "--remove", self.place(name))
        (self.folder / name).rmdir()
        return seconds

    def delete(self, name):
        self.umount(name)
        return self.venvfs("--quiet", "delete", name)

    def daemon(self):
        found = machine.daemons(self.runtime)
        if len(found) != 1:
            raise machine.Failed(f"{len(found)} daemons of {self.runtime}, not one")
        return found[0]

    def forget_images(self):
        """Removes the images of environments that exist, as if they had never been merged."""
        for image in (self.store / "images").iterdir():
            machine.remove(image)

    def end(self):
        for name in [entry.name for entry in self.folder.iterdir()
                     if os.path.ismount(entry / ".venv")]:
            self.umount(name)
