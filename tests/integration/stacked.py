"""Directory trees that are mounted without an environment (venvfs mount --lower): what tests of them begin with."""

import os
import stat


def make_whiteout(path):
    os.mknod(path, stat.S_IFCHR | 0o000, os.makedev(0, 0))


def lay_out(world):
    """Two lower trees, one in overlay format, an upper, a work directory and a mount point."""
    for folder in ("low/dir/sub", "over/dir", "over/opaque", "low/opaque", "up", "work", "at"):
        (world.project / folder).mkdir(parents=True)
    world.write("low/dir/file", "low\n")
    world.write("low/dir/gone", "gone\n")
    world.write("low/dir/sub/deep", "deep\n")
    world.write("low/opaque/hidden", "hidden\n")
    world.write("low/run", "#!/bin/sh\necho ran\n", 0o755)
    world.write("over/dir/new", "over\n")
    (world.project / "low" / "link").symlink_to("dir/file")
    make_whiteout(world.project / "over" / "dir" / "gone")
    os.setxattr(world.project / "over" / "opaque", "user.overlay.opaque", b"y")
    for folder, directories, files in os.walk(world.project):
        for name in directories + files:
            world.give(os.path.join(folder, name))
    return world


def mount(world, *args, lower="over:low", where="at", upper="up", work="work", **options):
    return world.venvfs("mount", "--lower", lower, "--upper", upper, "--work", work, where, *args, **options)


def names(path):
    return sorted(os.listdir(path))
