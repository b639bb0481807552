"""Who is measured: each makes an environment of a requirements file its own way.

All get the same wheels from the same folder and no network; each has its own home, cache and
configuration. Times are seconds."""

import contextlib
import os
import re
import time
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

    def create_in_steps(self, name, requirements):
        """Seconds to create and to mount; these have only the first."""
        return self.create(name, requirements), 0

    def delete(self, name):
        return self.run("rm", "-rf", self.folder / name).wall


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
        self.environment["VENVFS_STORE"] = str(self.store)
        self.use_runtime("run")

    def use_runtime(self, name):
        self.runtime = self.folder / name
        self.runtime.mkdir(mode=0o700, exist_ok=True)
        self.environment["XDG_RUNTIME_DIR"] = str(self.runtime)

    @contextlib.contextmanager
    def elsewhere(self, name):
        """With a runtime directory of its own, in which there is no daemon before or after."""
        former = self.runtime.name
        self.use_runtime(name)
        self.environment["VENVFS_LINGER"] = "0.2"
        try:
            yield
            self.wait_for_no_daemon()
        finally:
            del self.environment["VENVFS_LINGER"]
            self.use_runtime(former)

    def wait_for_no_daemon(self):
        deadline = time.monotonic() + 30
        while machine.daemons(self.runtime):
            if time.monotonic() > deadline:
                raise machine.Failed("the idle daemon does not leave")
            time.sleep(0.02)

    def venvfs(self, *arguments):
        return self.run(self.program, "--quiet", *arguments).wall

    def make(self, name, requirements, *options):
        """Creates without mounting."""
        return self.venvfs("create", name, "--python", self.python, "-r", requirements, *options)

    def mount(self, name):
        (self.folder / name).mkdir(exist_ok=True)
        return self.venvfs("mount", name, self.place(name))

    def create_in_steps(self, name, requirements):
        return self.make(name, requirements), self.mount(name)

    def create(self, name, requirements, *options):
        return self.make(name, requirements, *options) + self.mount(name)

    def delete(self, name):
        """Also unmounts it."""
        seconds = self.venvfs("delete", name)
        if (self.folder / name).exists():
            (self.folder / name).rmdir()
        return seconds

    def daemon(self):
        found = machine.daemons(self.runtime)
        if len(found) != 1:
            raise machine.Failed(f"{len(found)} daemons of {self.runtime}, not one")
        return found[0]

    def forget_image(self, name):
        """Removes the image of environment @name, as if its packages had never been merged."""
        generation = (self.store / "envs" / name / "generations" / "1.ini").read_text()
        (self.store / "images" / re.search("^image=(.*)", generation, re.MULTILINE)[1]).unlink()

    def end(self):
        """Unmounts what is mounted."""
        for entry in list(self.folder.iterdir()):
            if os.path.ismount(entry / ".venv"):
                self.venvfs("umount", "--remove", entry / ".venv")
