"""The same steps in an ordinary virtual environment and in a mounted one, side by side.

A Pair has two projects, ROOT/plain/proj and ROOT/mount/proj, whose paths have the same length. Each has
a `.venv`: one made by `python -m venv`, the other created and mounted by venvfs, with the same packages.
Every step runs in both and must end alike; differ() tells where the two environments are not the same.

What differs by design, and is left out of the comparison: scripts of activation and pyvenv.cfg, which
every tool writes its own way; the wording of scripts made from entry points; INSTALLER and the hashes in
RECORD of what venvfs installed; bytecode, which venvfs compiles ahead. (oracle.py compares closer, but
only what pip writes.)"""

import difflib
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

import oracle
import support
import tool_cache

OWN_FILES = re.compile(r"bin/[Aa]ctivate[^/]*|bin/python3\.\d+|pyvenv\.cfg|CACHEDIR\.TAG|\.gitignore|\.lock|"
                       r"(.*/)?__pycache__(/.*)?|.*\.dist-info/uv_cache\.json")
PIP_OWN = re.compile(r"lib/[^/]+/site-packages/(pip|setuptools|_distutils_hack|pkg_resources)[-/].*")


def tool(name):
    """The path of one of the programs that tests/tools/programs.txt lists."""
    return tool_cache.python_tools("programs") / name


@dataclass
class Side:
    """One of the two projects; @here is its directory, @venv that of its environment."""

    here: Path
    venv: Path

    @property
    def python(self):
        return self.venv / "bin" / "python"

    @property
    def site_packages(self):
        (found,) = self.venv.glob("lib/python3*/site-packages")
        return found

    def normal(self, text):
        """@text without what names this side, times and temporary files."""
        text = text.replace(str(self.here.parent), "SIDE")
        text = re.sub(r"\b\d+(\.\d+)? ?(ms|s|seconds)\b", "TIME", text)
        return re.sub(r"/tmp/\S+|sha256[=:]\w+", "…", text)


def _record(side, text):
    """The paths that a RECORD lists, without bytecode."""
    paths = {line.rsplit(",", 2)[0].replace(str(side.here.parent), "SIDE") for line in text.splitlines()}
    return sorted(path for path in paths if "__pycache__" not in path)


def _script(text):
    """What a script made from an entry point does, however it is worded."""
    found = oracle.ENTRY_POINT.fullmatch(text.replace('"__main__"', "'__main__'"))
    if not found:
        return text
    # Some tools name the python of the environment by another of its names.
    interpreter = re.sub(r"/bin/python3?(\.\d+)?$", "/bin/python", found["interpreter"])
    return {**found.groupdict(), "interpreter": interpreter}


def _content(side, path):
    data = path.read_bytes()
    if path.parent.name.endswith(".dist-info"):
        if path.name == "INSTALLER":
            return data.replace(b"venvfs", b"pip").strip()
        if path.name == "RECORD":
            return _record(side, data.decode())
    if data.startswith(b"\x7fELF"):
        return "ELF"  # the path of the build is in its debug information
    data = data.replace(os.fsencode(side.here.parent), b"SIDE")
    return _script(data.decode()) if path.parent.name == "bin" and data.startswith(b"#!") else data


def tree(side, leave_out=None):
    """path → (type, mode, content) of all that @side's environment holds."""
    found = {}
    for folder, folders, files in os.walk(side.venv):
        for name in folders + files:
            path = Path(folder) / name
            key = str(path.relative_to(side.venv))
            if OWN_FILES.fullmatch(key) or leave_out and leave_out.fullmatch(key):
                continue
            key = key.replace(str(side.here.parent), "SIDE")
            info = path.lstat()
            if stat.S_ISLNK(info.st_mode):
                # Which of bin/python* links to which is the maker's choice; where they lead is not.
                what = os.path.realpath(path) if key.startswith("bin/") else os.readlink(path)
                found[key] = ("link", what.replace(str(side.here.parent), "SIDE"))
            elif stat.S_ISDIR(info.st_mode):
                found[key] = ("directory", oct(info.st_mode & 0o7777))
            else:
                found[key] = ("file", oct(info.st_mode & 0o7777), _content(side, path))
    return found


class Pair:
    """The two projects, `plain` and `mount`; in turn, what is done to both."""

    def __init__(self, world, *packages, python=None, where=".venv", pip=True, options=()):
        """@packages: what both environments, which are at @where, have from the start, as pip would be
        given it; @options: what both `create` and venv know."""
        self.world = world
        self.activated = {"VIRTUAL_ENV": "{venv}", "UV_LINK_MODE": "copy",
                          "PATH": "{venv}/bin:" + world.environment["PATH"]}
        self.interpreter = python or world.python.path
        self.plain, self.mount = [Side(world.root / name / "proj", world.root / name / "proj" / where)
                                  for name in ("plain", "mount")]
        for side in self:
            side.here.mkdir(parents=True)
            world.give(side.here.parent)
            world.give(side.here)
        options = [*options, *([] if pip else ["--without-pip"])]
        world.templates.make_plain(world, self.interpreter, self.plain.venv, *options)
        if (pip or packages) and not world.store.exists():
            world.templates.seed_store(world, self.interpreter)
        if packages:
            command = ([self.plain.python, "-m", "pip"] if pip else
                       [world.templates.with_pip(world, self.interpreter), "-m", "pip", "--python", self.plain.python])
            world.run(*command, "install", "-q", *packages, timeout=600)
        world.venvfs("create", "proj", "-q", "--python", self.interpreter, *options, *packages, timeout=600)
        world.venvfs("mount", "-q", "proj", self.mount.venv)

    def __iter__(self):
        return iter((self.plain, self.mount))

    @property
    def projects(self):
        return [side.here for side in self]

    def write(self, path, text, mode=0o644):
        for side in self:
            self.world.write(side.here / path, text, mode)

    def run(self, *args, status=0, same="", **options):
        """Runs @args in both projects, by default with exit status 0. {venv} and {here} in an argument
        stand for the side's own; @same: which of "out" and "err" must be the same on both sides.
        Returns the two results, the ordinary side's first."""
        results = []
        for side in self:
            own = [str(arg).replace("{venv}", str(side.venv)).replace("{here}", str(side.here)) for arg in args]
            own_env = {name: value.replace("{venv}", str(side.venv)) if isinstance(value, str) else value
                       for name, value in options.get("env", {}).items()}
            results.append(self.world.run(*own, check=status, cwd=side.here,
                                          **{**options, "env": own_env}))
        for stream in same.split():
            plain, mount = [side.normal(getattr(result, stream)) for side, result in zip(self, results)]
            assert mount == plain, f"{results[1].describe()}\n=== in an ordinary environment:\n{plain}"
        return results

    def shell_in(self, side, script, **options):
        """What @script, run by a shell in @side's project, prints, with the project's path as PROJECT."""
        done = self.world.shell(script, cwd=side.here, **options)
        return done.out.replace(str(side.here), "PROJECT")

    def same(self, script, **options):
        """Runs @script by a shell in both projects, demands that both print the same, to the byte, and
        returns that."""
        plain, mounted = [self.shell_in(side, script, **options) for side in self]
        if mounted != plain:
            lines = difflib.unified_diff(plain.splitlines(), mounted.splitlines(), "ordinary", "mounted", lineterm="")
            raise support.Unexpected("\n".join([f"$ {script}", *lines]))
        return mounted

    def same_json(self, script, **options):
        return json.loads(self.same(script, **options))

    def python(self, *args, **options):
        return self.run("{venv}/bin/python", *args, **options)

    def pip(self, *args, **options):
        return self.python("-m", "pip", *args, **options)

    def differ(self, leave_out=PIP_OWN):
        """Lines that tell where the two environments are not the same; none if they are."""
        plain, mount = [tree(side, leave_out) for side in self]
        lines = []
        for path in sorted(plain.keys() | mount.keys()):
            if plain.get(path) != mount.get(path):
                lines.append(f"{path}: ordinary {plain.get(path)}, mounted {mount.get(path)}")
        return lines

    def demand_tree(self, leave_out=PIP_OWN):
        lines = self.differ(leave_out)
        assert not lines, "\n".join(lines)

    def demand_same(self, leave_out=PIP_OWN):
        self.demand_tree(leave_out)
        pip = self.run("{venv}/bin/python", "-c", "import pip", status=None)
        if pip[0].status == 0:
            self.pip("freeze", same="out")
            self.pip("check", same="out")
        assert {result.status for result in pip} == {pip[0].status}
