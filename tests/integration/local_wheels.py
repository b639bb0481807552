"""Small, well-formed wheels for tests that need packages but no index."""

import re
import subprocess
import zipfile
from pathlib import Path

from wheels.builder import Wheel


def write_wheel(folder, name, version, files=None, scripts=None, requires=()):
    """A pure wheel in @folder. @files: path → text, by default one package that says its version;
    @scripts: console script → "module:function". Returns the wheel's path."""
    module = name.replace("-", "_")
    if files is None:
        files = {f"{module}/__init__.py": f"__version__ = '{version}'\n\n\n"
                                          f"def main():\n    print('{name} {version}')\n"}
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    lines += [f"Requires-Dist: {requirement}\n" for requirement in requires]
    entry_points = "".join(f"{script} = {target}\n" for script, target in (scripts or {}).items())
    wheel = Wheel({path: text if isinstance(text, bytes) else text.encode() for path, text in files.items()},
                  name=module, version=version, metadata="".join(lines).encode())
    if entry_points:
        wheel.entry_points = f"[console_scripts]\n{entry_points}".encode()
    return wheel.write(folder)


def bundled_pip(python):
    """The pip wheel that @python's ensurepip would install."""
    done = subprocess.run([python, "-I", "-c",
                           "import ensurepip, os, glob;"
                           "print(os.path.dirname(ensurepip.__file__), ensurepip.version(),"
                           " getattr(ensurepip, '_WHEEL_PKG_DIR', None) or '')"],
                          capture_output=True, text=True, check=True)
    folder, version, other = (done.stdout.rstrip("\n") + " ").split(" ")[:3]
    for place in (Path(folder) / "_bundled", Path(other or "/usr/share/python-wheels")):
        found = sorted(place.glob(f"pip-{version}-*.whl")) or sorted(place.glob("pip-*.whl"))
        if found:
            return found[0]
    raise FileNotFoundError(f"{python}: no pip wheel beside its ensurepip")


def newer_pip(folder, python, version):
    """A pip of @version in @folder: the bundled one under another number, to upgrade to."""
    with zipfile.ZipFile(bundled_pip(python)) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    old = next(name for name in members if name.endswith(".dist-info/METADATA")).split("/")[0]

    def renumbered(name, pattern):
        return re.sub(pattern, rb"\g<1>" + version.encode(), members[name], count=1)

    files = {name: data for name, data in members.items() if not name.startswith(f"{old}/")}
    files["pip/__init__.py"] = renumbered("pip/__init__.py", rb'(?m)^(__version__ = ").*(?=")')
    return Wheel(files, name="pip", version=version, entry_points=members[f"{old}/entry_points.txt"],
                 metadata=renumbered(f"{old}/METADATA", rb"(?m)^(Version: ).*$")).write(folder)
