"""Running and timing programs, and describing the machine they ran on. Standard library only."""

import contextlib
import os
import platform
import re
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


class Failed(RuntimeError):
    """A program that is measured ended badly: its figure means nothing."""


@dataclass
class Run:
    """One finished program. Times in seconds; user and system are its own and its children's."""

    wall: float
    user: float
    system: float
    out: str


def run(arguments, environment, cwd="/"):
    arguments = [str(argument) for argument in arguments]
    before = os.times()
    start = time.perf_counter()
    done = subprocess.run(arguments, env=environment, cwd=cwd, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    wall = time.perf_counter() - start
    after = os.times()
    if done.returncode != 0:
        raise Failed(f"exit status {done.returncode}: {' '.join(arguments)}\n"
                     f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return Run(wall, after.children_user - before.children_user,
               after.children_system - before.children_system, done.stdout)


def settle():
    """Lets the disk catch up, so that nobody pays for what another one wrote."""
    os.sync()


def disk_usage(*folders):
    """(bytes, inodes) below @folders as the disk counts them, a hard-linked file once."""
    settle()
    seen, total = set(), 0
    pending = [Path(folder) for folder in folders if Path(folder).exists()]
    while pending:
        path = pending.pop()
        status = os.lstat(path)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        total += status.st_blocks * 512
        if path.is_dir() and not path.is_symlink() and not os.path.ismount(path):
            pending += [Path(entry.path) for entry in os.scandir(path)]
    return total, len(seen)


def remove(path):
    path = Path(path)
    if not path.is_symlink() and path.is_dir():
        for folder, _, _ in os.walk(path):
            os.chmod(folder, 0o700)
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()


def clear_away(folder):
    """Removes @folder, and first unmounts what an earlier run may have left mounted in it."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        place = re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), line.split()[1])
        if place.startswith(f"{folder}/"):
            command = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-u", "-z"]
            subprocess.run([*command, place], check=True)
    remove(folder)


def daemons(runtime_folder):
    """Process ids of the venvfsd processes that belong to @runtime_folder."""
    mark = f"XDG_RUNTIME_DIR={runtime_folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if ((entry / "comm").read_text().strip() == "venvfsd"
                    and mark in (entry / "environ").read_bytes().split(b"\0")):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def anonymous_kilobytes(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1])


def data_bytes(folder):
    """Bytes on the disk of the regular files below @folder, in which things may come and go."""
    total = 0
    for path, _, names, parent in os.fwalk(folder, onerror=lambda error: None):
        for name in names:
            with contextlib.suppress(OSError):
                status = os.lstat(name, dir_fd=parent)
                total += status.st_blocks * 512 if stat.S_ISREG(status.st_mode) else 0
    return total


def _line_with(text, command):
    """The first line with @text in it that @command prints; None if there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return None
    lines = [line for line in (done.stdout or done.stderr).splitlines() if text in line]
    # "virtualenv 20 from /where/it/lies": where is nobody's business.
    return lines[0].split(" from /")[0] if done.returncode == 0 and lines else None


def describe(programs, folder):
    """What a reader needs to judge the figures: {label: text}."""
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) // 1024 ** 2
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    file_system = _line_with("", ["findmnt", "-n", "-o", "FSTYPE", "-T", str(folder)])
    load = Path("/proc/loadavg").read_text().split()[2]
    system = re.search(r'PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text())
    return {
        "machine": f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}), {memory} GB; "
                   f"load in the last 15 minutes {load} (this run by itself makes about 1)",
        "system": f"{system[1] if system else 'Linux'}, Linux {platform.release()}, {file_system}",
        **{name: version for name, command in programs.items() if (version := _line_with(name, command))},
    }
