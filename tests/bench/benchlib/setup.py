"""What a run of benchmarks needs before it begins: an interpreter, programs, wheels."""

import json
import shutil
import subprocess
import sys
from pathlib import Path


def find_python():
    for candidate in ["python3.13", *Path.home().glob(".pyenv/versions/3.13.*/bin/python")]:
        path = shutil.which(str(candidate))
        # A shim of pyenv's costs a fork or two; the interpreter itself is what is measured.
        done = path and subprocess.run([path, "-c", "import sys; print(sys.version_info[:2], sys.executable)"],
                                       capture_output=True, text=True)
        if done and done.returncode == 0 and done.stdout.startswith("(3, 13) "):
            return done.stdout.split(") ", 1)[1].strip()
    sys.exit("run_bench: no CPython 3.13 here; name one with --python")


def find_program(name):
    """The real file: shims of version managers would be measured too."""
    path = shutil.which(name)
    if path and "shims" in path:
        done = subprocess.run(["pyenv", "which", name], capture_output=True, text=True)
        path = done.stdout.strip() or path
    return path


def download(python, pinned, wheels):
    """The wheels of the set, by pip, once."""
    mark = wheels / ".complete"
    text = pinned.read_text()
    if mark.exists() and mark.read_text() == text:
        return
    wheels.mkdir(parents=True, exist_ok=True)
    print(f"downloading the wheels of {pinned} into {wheels}", file=sys.stderr)
    subprocess.run([python, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:",
                    "--require-hashes", "-r", pinned, "-d", wheels], check=True)
    mark.write_text(text)


def build_type(build):
    """As meson knows it: "release" is what is installed, "debugoptimized" what one works with."""
    try:
        options = json.loads((build / "meson-info" / "intro-buildoptions.json").read_text())
        return next(option["value"] for option in options if option["name"] == "buildtype")
    except (OSError, StopIteration):
        return "unknown"
