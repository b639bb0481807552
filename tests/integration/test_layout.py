"""What an environment looks like, to people and to the programs that look for one, and what a Python
in it says of itself: compared with `python -m venv` at every Python."""

import os
import re
import stat

import pytest

from mounted import create, mount
from paired import Pair

# What venvfs has and venv of some versions has not; each may stand beside what venv makes.
OURS = {
    ".gitignore",  # 3.13 and newer have it
    "CACHEDIR.TAG",  # so that backups leave it out
    "bin/activate.nu", "bin/activate.xsh", "bin/activate_this.py",  # virtualenv has them
}


def tree(root):
    """name → kind and permissions, without what is in site-packages."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            kind = {stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}.get(stat.S_IFMT(mode), "file")
            found[os.path.relpath(path, root)] = kind if kind == "link" else f"{kind} {mode & 0o7777:o}"
        if os.path.basename(folder) == "site-packages":
            folders.clear()
    return {name: kind for name, kind in found.items() if "site-packages/" not in name}


def test_tree(world, each_python):
    """Conformance items 1, 2, 3, 10."""
    pair = Pair(world, python=each_python.path, pip=False)
    mounted, plain = tree(pair.mount.venv), tree(pair.plain.venv)
    version = f"python{each_python.minor}"
    # Below 3.9 venv has no link of the full version's name.
    assert {name for name in mounted if name not in plain} <= OURS | {f"bin/{version}"}
    assert {name: mounted.get(name) for name in plain} == plain
    root = pair.mount.venv
    assert os.path.isabs(os.readlink(root / "bin" / "python"))
    assert os.path.samefile(root / "bin" / "python", plain_python(pair))
    for name in ("python3", version):
        assert os.readlink(root / "bin" / name) == "python"
    if "lib64" in plain:  # 64 bits, below 3.15
        assert os.readlink(root / "lib64") == "lib"
    for name in ("lib", f"lib/{version}", f"lib/{version}/site-packages", "bin", "include"):
        assert stat.S_ISDIR(os.lstat(root / name).st_mode)
    assert root.stat().st_uid == world.uid


def plain_python(pair):
    return pair.plain.venv / "bin/python"


SAYS = """
import json, os, site, sys, sysconfig
print(json.dumps({
    "prefix": sys.prefix, "exec_prefix": sys.exec_prefix, "base_prefix": sys.base_prefix,
    "base_exec_prefix": sys.base_exec_prefix, "executable": sys.executable,
    "base_executable": os.path.realpath(sys._base_executable), "path": sys.path,
    "sites": site.getsitepackages(), "user": site.ENABLE_USER_SITE,
    "paths": sysconfig.get_paths(), "flags": list(sys.flags), "scheme": sysconfig.get_paths("posix_prefix"),
    "variables": {name: sysconfig.get_config_var(name) for name in ("prefix", "base", "platbase", "EXT_SUFFIX")},
}, sort_keys=True))
"""


def test_what_python_says_of_itself(world, each_python):
    """Conformance items 4, 8."""
    pair = Pair(world, python=each_python.path, pip=False)
    (world.project / "says.py").write_text(SAYS)
    for python in (".venv/bin/python", ".venv/bin/python3", "$PWD/.venv/bin/python", "$PWD/.venv/../.venv/bin/python"):
        told = pair.same_json(f"{python} {world.project}/says.py")
        if "/../" not in python:
            assert told["prefix"] == "PROJECT/.venv" and told["base_prefix"] != told["prefix"]
    told = pair.same_json(f"PATH=$PWD/.venv/bin:$PATH python -I {world.project}/says.py")
    assert told["paths"]["purelib"] == f"PROJECT/.venv/lib/python{each_python.minor}/site-packages"
    # Through a link to the project, and through a link to the executable.
    for project in pair.projects:
        (project / "link").symlink_to(".")
        (project / "py").symlink_to(".venv/bin/python")
    pair.same_json(f"link/.venv/bin/python {world.project}/says.py")
    pair.same_json(f"./py {world.project}/says.py")


def test_system_site_packages(world, each_python):
    """Conformance item 4: what the base sees in its own site-packages, and where."""
    pair = Pair(world, python=each_python.path, pip=False, options=["--system-site-packages"])
    (world.project / "says.py").write_text(SAYS)
    pair.same_json(f".venv/bin/python {world.project}/says.py")


def test_pyvenv_cfg(world, each_python):
    """Conformance items 5, 6, 7: what every known reader of it demands."""
    pair = Pair(world, python=each_python.path, pip=False)
    path = pair.mount.venv / "pyvenv.cfg"
    data = path.read_bytes()
    assert path.stat().st_size == len(data)
    assert data.endswith(b"\n") and b"\r" not in data and b"\n\n" not in data
    entries = {}
    for line in data.decode("utf-8").splitlines():
        key, value = re.fullmatch(r"([a-z_-]+) = (\S.*)", line).groups()
        assert key not in entries
        entries[key] = value
    plain = dict(line.split(" = ", 1) for line in (pair.plain.venv / "pyvenv.cfg").read_text().splitlines())
    assert set(plain) <= set(entries)
    assert "uv" not in entries
    version = "%d.%d.%d" % each_python.version
    assert entries["home"] == plain["home"]
    assert entries["version"] == plain["version"] == version
    assert entries["version_info"] == f"{version}.final.0"
    assert entries["implementation"] == "CPython"
    # pip's and poetry's expressions, VS Code's, and what pdm makes of `home`.
    text = data.decode()
    assert re.search(r"include-system-site-packages\s*=\s*(true|false)", text)[1] == "false"
    assert re.search(r"(?m)^version = \d+\.\d+\.\d+$", text)
    assert os.access(os.path.join(entries["home"], f"python{each_python.minor}"), os.X_OK)
    if each_python.version >= (3, 11):
        assert entries["executable"] == plain["executable"]
        assert entries["command"].endswith(f" -m venv {pair.mount.venv}")
    assert not (pair.mount.venv / "bin" / "pyvenv.cfg").exists()


# What programs look for when they look for environments: a path in the project → whether it is to be
# there. @python: the executable's name.


def is_executable(path):
    return path.is_file() and os.access(path, os.X_OK)


FINDERS = {
    # A folder of the workspace with pyvenv.cfg, or one above the executable; the version is in it.
    "VS Code": lambda root: is_executable(root / "bin/python") and re.search(
        r"(?m)^version(_info)? = (\d+\.\d+\.\d+)", (root / "pyvenv.cfg").read_text())[2],
    # Its interpreter by name, and one of the marks of a virtual environment.
    "PyCharm": lambda root: is_executable(root / "bin/python") and (
        (root / "pyvenv.cfg").is_file() or (root / "bin/activate_this.py").is_file())
        and (root / "bin/activate").is_file(),
    "poetry": lambda root: root.is_dir() and not root.is_symlink() and is_executable(root / "bin/python"),
    "pdm": lambda root: is_executable(root / "bin/python"),
    "uv": lambda root: (root / "pyvenv.cfg").is_file() and (
        is_executable(root / "bin/python3") or is_executable(root / "bin/python")),
    "pre-commit": lambda root: re.search(r"(?m)^version_info = ", (root / "pyvenv.cfg").read_text()),
}


@pytest.mark.parametrize("finder", FINDERS)
def test_it_is_found(world, finder):
    """Conformance items 39, 41: while it is mounted; and never while it is not."""
    create(world, "proj")
    place = mount(world, "proj")
    assert FINDERS[finder](place)
    world.venvfs("umount", "proj")
    try:
        assert not FINDERS[finder](place) or finder == "poetry"
    except FileNotFoundError:
        pass
    assert not (place / "bin").exists() and not (place / "pyvenv.cfg").exists()


@pytest.mark.slow
def test_a_warning_free_start(world):
    """Conformance item 9: no path that Python complains of, in scripts and variables."""
    pair = Pair(world)
    told = pair.same(". .venv/bin/activate; python -W error -X dev -c 'import sys; print(sys.prefix)' 2>&1;"
                     "pip --version 2>&1; echo $VIRTUAL_ENV; echo ${PATH%%:*}; head -n1 .venv/bin/pip | sed 's/python[0-9.]*$/python/'")
    assert "PROJECT/.venv\nPROJECT/.venv/bin\n" in told and "arning" not in told


def test_every_name_of_python_starts(world, each_python):
    pair = Pair(world, python=each_python.path, pip=False)
    for name in os.listdir(pair.plain.venv / "bin"):
        if name.startswith("python"):
            pair.same(f".venv/bin/{name} -c 'import sys; print(sys.executable, sys.version)'")


def test_headers_and_libraries(world, each_python):
    """Conformance item 4: where a build finds Python's own headers."""
    pair = Pair(world, python=each_python.path, pip=False)
    pair.same("""PATH=$PWD/.venv/bin:$PATH; python - <<'END'
import os, sysconfig
paths = sysconfig.get_paths()
print(paths["include"], os.path.exists(paths["include"] + "/Python.h"), paths["data"], paths["scripts"])
print(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INCLUDEPY"))
END""")


def test_site_follows_pth_files_in_order(world):
    """Conformance item 29: sorted, whichever layer each is of."""
    pair = Pair(world, pip=False)
    for side in pair:
        for name in ("b.pth", "a.pth", "c.pth"):
            (side.here / name[0]).mkdir()
            (side.site_packages / name).write_text(f"{side.here / name[0]}\nimport sys; print({name!r})\n")
    assert pair.same(".venv/bin/python -c 'import sys; print(sys.path[-3:])'").startswith("a.pth\nb.pth\nc.pth\n")


@pytest.mark.slow
def test_venv_can_upgrade_and_clear_it(world):
    """Conformance items 40, 53: `python -m venv` over what is mounted."""
    python = world.python.path
    pair = Pair(world, python=python, pip=False)
    for options in ("--upgrade", "--clear --without-pip", "--without-pip"):
        pair.same(f"touch .venv/mine; {python} -m venv {options} .venv; ls .venv .venv/bin | grep -v -e CACHEDIR -e "
                  "'activate.nu\\|activate.xsh\\|activate_this.py'; .venv/bin/python -c 'import sys; print(sys.prefix)';"
                  " grep -e home -e version .venv/pyvenv.cfg")
