"""What the tests of mounts share."""

import os
import re
import time
from pathlib import Path


SENTINEL = "NOT-MOUNTED.txt"


def create(world, name, *args):
    """An environment without packages, in milliseconds once there is one like it."""
    python = world.interpreters[-1].path
    world.venvfs("create", name, "-q", "--without-pip", "--no-compile", "--python", python, *args)


def mount(world, name, where=".venv", **options):
    """Mounts @name and returns the mount point."""
    world.venvfs("mount", name, where, **options)
    return world.project / where


def refused(result, message):
    """One line on stderr that ends so, status 1, nothing on stdout."""
    assert result.status == 1, result.describe()
    assert result.out == "", result.describe()
    lines = result.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("venvfs: "), result.describe()
    assert lines[0].endswith(message), f"{lines[0]}\nshould end with\n{message}"


def prefix(world, place, **options):
    """sys.prefix of the python in @place."""
    return world.run(place / "bin" / "python", "-c", "import sys; print(sys.prefix)", **options).out.strip()


def status(world, *args, **options):
    return world.venvfs("status", "--json", *args, **options).json["result"]


def states(world, *args, **options):
    """name → (state, mount point) as `list` tells."""
    rows = world.venvfs("list", "--json", *args, **options).json["result"]["environments"]
    return {row["name"]: (row["state"], row["mount_point"]) for row in rows}


def is_sealed(place):
    """An unmounted mount point: the sentinel alone, mode 0555."""
    return os.listdir(place) == [SENTINEL] and place.stat().st_mode & 0o7777 == 0o555


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def resident(pid):
    """Anonymous memory of a process in bytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", text)[1]) * 1024
