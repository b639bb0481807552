"""The same environment seen through four file systems, each with a place of its own that can be
written to: a plain directory (ext4 on most machines), the kernel's overlayfs over it,
fuse-overlayfs over it, and venvfs."""

import json
import os
import shutil
import subprocess
import time

from benchlib import machine


class Plain:
    """An ordinary environment, made by `venvfs export`: bytecode included, nothing shared."""

    def __init__(self, root, venvfs, name):
        self.root = root
        venvfs.venvfs("export", name, self.root)
        self.environment = venvfs.environment

    def mount(self):
        pass

    def unmount(self):
        pass

    def fresh(self):
        """As after a reboot, but for the page cache: what the file system keeps of names is gone."""
        self.unmount()
        self.mount()

    def python(self):
        return self.root / "bin" / "python"


class Overlay(Plain):
    """Over another plain one: what is below must not change."""

    def __init__(self, folder, below):
        self.lower, self.root = below.root, folder / "merged"
        self.upper, self.work = folder / "upper", folder / "work"
        self.environment = below.environment
        for place in (self.root, self.upper, self.work):
            place.mkdir(parents=True)
        self.mount()

    def options(self):
        return f"lowerdir={self.lower},upperdir={self.upper},workdir={self.work}"

    def mount(self):
        machine.run(["mount", "-t", "overlay", "overlay", "-o", self.options(), self.root], os.environ)

    def unmount(self):
        machine.run(["umount", self.root], os.environ)


class FuseOverlay(Overlay):
    def mount(self):
        machine.run([shutil.which("fuse-overlayfs"), "-o", self.options(), self.root], os.environ)

    def unmount(self):
        machine.run(["fusermount3", "-u", self.root], os.environ)
        while os.path.ismount(self.root):
            time.sleep(0.01)


class Mounted(Plain):
    """venvfs, by the contender that has made environment @name. @forgets: a fresh mount has no read
    profile of its image either."""

    def __init__(self, venvfs, name, forgets=False):
        self.venvfs, self.name, self.forgets = venvfs, name, forgets
        self.root = venvfs.place(name)
        self.environment = venvfs.environment
        if not os.path.ismount(self.root):
            self.mount()

    def mount(self):
        if self.forgets:
            out = self.venvfs.run(self.venvfs.program, "status", "-n", self.name, "--json").out
            image = json.loads(out)["result"]["image"]
            (self.venvfs.store / "cache" / f"reads-{image}").unlink(missing_ok=True)
        self.venvfs.mount(self.name)

    def unmount(self):
        if os.path.ismount(self.root):
            self.venvfs.venvfs("umount", self.root)

    def requests(self):
        """By kind, since it was mounted."""
        out = self.venvfs.run(self.venvfs.program, "status", "-n", self.name, "--json").out
        return json.loads(out)["result"]["requests"]


def drop_caches():
    os.sync()
    subprocess.run(["sh", "-c", "echo 3 >/proc/sys/vm/drop_caches"], check=True)
