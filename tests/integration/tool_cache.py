"""Tools that tests run, fetched once below .cache: pinned by tests/tools/, with hashes."""

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import sys

import machine
import support

PINS = support.TREE / "tests" / "tools"
CACHE = support.TREE / ".cache" / "tools"


@contextlib.contextmanager
def _made_once(name, *inputs):
    """(folder, whether it is to be filled); one process at a time, and again when @inputs change."""
    CACHE.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(b"\0".join(inputs)).hexdigest()[:16]
    folder, done = CACHE / f"{name}-{digest}", CACHE / f"{name}-{digest}.done"
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        yield folder, not done.exists()
        done.touch()


def _fetch(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=900, **options)
    if done.returncode != 0:
        raise support.Unexpected(f"$ {command}\n{done.stdout}\n{done.stderr}")


def python_tools(name):
    """bin/ of an environment with what tests/tools/NAME.txt lists."""
    pins = PINS / f"{name}.txt"
    with _made_once(name, pins.read_bytes(), sys.version.encode()) as (folder, empty):
        if empty:
            _fetch(sys.executable, "-m", "venv", folder)
            _fetch(folder / "bin/python", "-m", "pip", "install", "-q", "--require-hashes", "-r", pins)
    return folder / "bin"


def wheels(name, python):
    """A directory with the wheels that @python takes of what tests/tools/NAME.txt lists."""
    pins = PINS / f"{name}.txt"
    version = subprocess.run([python, "-VV"], capture_output=True, check=True).stdout
    with _made_once(f"{name}-wheels", pins.read_bytes(), version) as (folder, empty):
        if empty:
            _fetch(python, "-m", "pip", "download", "-q", "--only-binary", ":all:", "--require-hashes", "-r", pins,
                   "-d", folder)
    return folder


def npm_tools():
    """node_modules/ with what tests/tools/npm lists."""
    npm = shutil.which("npm")
    if not npm:
        machine.skip("npm is not here")
    files = [PINS / "npm" / name for name in ("package.json", "package-lock.json")]
    with _made_once("npm", *(file.read_bytes() for file in files)) as (folder, empty):
        if empty:
            for file in files:
                shutil.copy(file, folder)
            _fetch(npm, "ci", "--silent", "--no-audit", "--no-fund", cwd=folder)
    return folder / "node_modules"
