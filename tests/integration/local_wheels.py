"""Small, well-formed wheels for tests that need packages but no index.

What is wrong with a wheel, and every kind it comes in, is the business of tests/wheels/builder.py."""

import base64
import hashlib
import re
import subprocess
import zipfile
from pathlib import Path


def _digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _write(path, members):
    """A zip file of @members (name → bytes) with fixed times, RECORD last."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o100644 << 16
            archive.writestr(info, data)
    return path


def _with_record(members, info):
    record = f"{info}/RECORD"
    lines = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in members.items() if name != record]
    members = {name: data for name, data in members.items() if name != record}
    members[record] = ("\n".join([*lines, f"{record},,"]) + "\n").encode()
    return members


def write_wheel(folder, name, version, files=None, scripts=None, requires=()):
    """A pure wheel in @folder. @files: path → text, by default one package that says its version;
    @scripts: console script → "module:function". Returns the wheel's path."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    if files is None:
        files = {f"{module}/__init__.py": f"__version__ = '{version}'\ndef main():\n    print('{name} {version}')\n"}
    members = {path: text if isinstance(text, bytes) else text.encode() for path, text in files.items()}
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: a package of the tests"]
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    members[f"{info}/METADATA"] = ("\n".join(metadata) + "\n").encode()
    members[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    if scripts:
        lines = [f"{script} = {target}" for script, target in scripts.items()]
        members[f"{info}/entry_points.txt"] = ("[console_scripts]\n" + "\n".join(lines) + "\n").encode()
    return _write(Path(folder) / f"{module}-{version}-py3-none-any.whl", _with_record(members, info))


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
    new = f"pip-{version}.dist-info"
    members = {name.replace(old, new, 1) if name.startswith(old) else name: data
               for name, data in members.items()}
    for name, pattern in ((f"{new}/METADATA", rb"(?m)^(Version: ).*$"),
                          ("pip/__init__.py", rb'(?m)^(__version__ = ").*(?=")')):
        members[name] = re.sub(pattern, rb"\g<1>" + version.encode(), members[name], count=1)
    return _write(Path(folder) / f"pip-{version}-py3-none-any.whl", _with_record(members, new))
