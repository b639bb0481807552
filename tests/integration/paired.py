"""The same steps in an ordinary virtual environment and in a mounted one, side by side.

A Pair has two projects, ROOT/plain/proj and ROOT/mount/proj, whose paths have the same length. Each has
a `.venv`: one made by `python -m venv`, the other created and mounted by venvfs, with the same packages.
Every step runs in both and must end alike; differ() tells where the two environments are not the same.

What differs by design, and is left out of the comparison: scripts of activation and pyvenv.cfg, which
every tool writes its own way; the wording of scripts made from entry points; INSTALLER and the hashes in
RECORD of what venvfs installed; bytecode, which venvfs compiles ahead. (oracle.py compares closer, but
only what pip writes.)"""

import hashlib
import http.server
import os
import re
import shutil
import stat
import sys
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import oracle
import support
import tool_cache
from local_wheels import write_wheel

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
    def __init__(self, world, *packages, python=None, where=".venv", pip=True):
        """@packages: requirements that both environments, which are at @where, have from the start."""
        self.world = world
        self.activated = {"VIRTUAL_ENV": "{venv}", "UV_LINK_MODE": "copy",
                          "PATH": "{venv}/bin:" + world.environment["PATH"]}
        self.interpreter = python or world.python.path
        self.plain, self.mount = [Side(world.root / name / "proj", world.root / name / "proj" / where)
                                  for name in ("plain", "mount")]
        for side in self:
            side.here.mkdir(parents=True)
        options = [] if pip else ["--without-pip"]
        world.house.make_plain(world, self.interpreter, self.plain.venv, *options)
        world.house.fill_store(world, self.interpreter, *options)
        if packages:
            assert pip, "what would install them?"
            self.world.run(self.plain.python, "-m", "pip", "install", "-q", *packages)
        world.venvfs("create", "proj", "-q", "--python", self.interpreter, *options, *packages)
        world.venvfs("mount", "-q", "proj", self.mount.venv)

    def __iter__(self):
        return iter((self.plain, self.mount))

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


class _Simple(http.server.BaseHTTPRequestHandler):
    """The simple repository protocol (PEP 503) over a directory of wheels."""

    def __init__(self, wheelhouse, *args):
        self.wheelhouse = wheelhouse
        super().__init__(*args)

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        parts = self.path.split("#")[0].strip("/").split("/")
        body, kind = None, "text/html"
        if parts[0] == "simple":
            body = self._page(parts[1] if len(parts) > 1 else None)
        elif parts[0] == "files" and len(parts) == 2 and (self.wheelhouse / parts[1]).is_file():
            body, kind = (self.wheelhouse / parts[1]).read_bytes(), "application/octet-stream"
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body or b"")

    def _page(self, project):
        links = []
        for path in sorted(self.wheelhouse.glob("*.whl")):
            name = re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower()
            if project is None:
                links.append(f'<a href="/simple/{name}/">{name}</a>')
            elif name == project:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                links.append(f'<a href="/files/{path.name}#sha256={digest}">{path.name}</a>')
        return f"<!DOCTYPE html><html><body>{'<br>'.join(links)}</body></html>".encode() if links else None


class House:
    """What all tests of a session share: a wheelhouse, an index that serves it by HTTP, ordinary
    environments and stores to copy, since pip takes seconds to install itself.

    The index has vf-app, which needs vf-lib, of which there are two versions; vf-tool; and what
    tests/tools/wheels.txt lists. The pips of that list are left out, so that what seeds an environment
    is the same for everybody: pip_wheel() gives them."""

    def __init__(self, root):
        self.root = root
        self.wheelhouse = root / "wheels"
        self.wheelhouse.mkdir()
        self.pinned = tool_cache.wheels("wheels", sys.executable)
        for wheel in self.pinned.glob("*.whl"):
            if not wheel.name.startswith("pip-"):
                os.symlink(wheel, self.wheelhouse / wheel.name)
        write_wheel(self.wheelhouse, "vf-lib", "1.0")
        write_wheel(self.wheelhouse, "vf-lib", "2.0")
        write_wheel(self.wheelhouse, "vf-app", "1.0", scripts={"vf-app": "vf_app:main"}, requires=["vf-lib"])
        write_wheel(self.wheelhouse, "vf-tool", "0.1", scripts={"vf-tool": "vf_tool:main"})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Simple, self.wheelhouse))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/simple/"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        support.remove_tree(self.root)

    def environment(self):
        """What makes pip, uv, pdm and all who use them ask this index alone."""
        return {"PIP_INDEX_URL": self.url, "PIP_NO_INDEX": None, "PIP_FIND_LINKS": None,
                "UV_DEFAULT_INDEX": self.url, "UV_PYTHON_DOWNLOADS": "never", "PDM_PYPI_URL": self.url,
                "VIRTUALENV_NO_PERIODIC_UPDATE": "1"}

    def pip_wheel(self, which):
        """The "oldest" pip that runs on 3.8, or the "newest"."""
        folder = tool_cache.wheels("oldest-pip", sys.executable) if which == "oldest" else self.pinned
        (wheel,) = folder.glob("pip-*.whl")
        return wheel

    def seed_links(self):
        """What lets a tool that seeds an environment find the newest pip."""
        return {"UV_FIND_LINKS": str(self.pinned), "PIP_FIND_LINKS": str(self.pinned)}

    def _template(self, kind, interpreter, options):
        key = hashlib.sha256("\n".join([interpreter, *options]).encode()).hexdigest()[:12]
        return self.root / f"{kind}-{key}" / ".venv"

    def make_plain(self, world, interpreter, venv, *options):
        """What `python -m venv` makes at @venv: a copy of one that it made, which names its place only
        in bin and in pyvenv.cfg."""
        template = self._template("plain", interpreter, options)
        if not template.exists():
            world.run(interpreter, "-m", "venv", *options, template)
        shutil.copytree(template, venv, symlinks=True)
        for path in [venv / "pyvenv.cfg", *venv.glob("bin/*")]:
            if not path.is_symlink():
                text = path.read_text()
                path.write_text(text.replace(str(template), str(venv)))

    def fill_store(self, world, interpreter, *options):
        """Gives @world a store that has what a new environment is seeded with."""
        template = self._template("store", interpreter, options)
        if not template.exists():
            world.venvfs("create", "template", "-q", "--store", template, "--python", interpreter, *options)
        shutil.copytree(template, world.store, symlinks=True)
        world.venvfs("delete", "-q", "template")
