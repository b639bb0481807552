"""A mount beside a plain directory with the same content: what is done in both must be seen alike.

Most tests of the file system are a function that does something in a directory and returns what it saw.
It runs in the mount and in the plain directory, as whoever mounted, and both must have seen the same.
Directories start with the same tree (see fill()), in the mount as the image's.
"""

import shutil
import subprocess

from filesystem import Mounted, as_user

BIG = 3 << 20


def fill(root):
    (root / "file").write_bytes(b"lower file\n")
    (root / "big").write_bytes(bytes(range(256)) * (BIG // 256))
    (root / "script").write_text("#!/bin/sh\necho ran $1\n")
    (root / "script").chmod(0o755)
    shutil.copy("/bin/sleep", root / "sleep")
    (root / "readonly").write_bytes(b"read only\n")
    (root / "readonly").chmod(0o444)
    (root / "link").symlink_to("file")
    (root / "dir" / "sub").mkdir(parents=True)
    (root / "dir" / "empty").mkdir()
    (root / "dir" / "sub" / "deep").write_bytes(b"deep\n")
    for number in range(20):
        (root / "dir" / f"many-{number}").write_bytes(b"%d" % number)


class Pair:
    def __init__(self, base, user):
        self.user = user
        self.mounted = Mounted(base, user=user)
        self.plain = base / "plain"
        self.plain.mkdir()
        fill(self.mounted.lower)
        fill(self.plain)
        if user is not None:
            subprocess.run(["chown", "-hR", f"{user.pw_uid}:{user.pw_gid}", base], check=True)
        self.root = self.mounted.mount()

    def in_mount(self, function, *arguments):
        return as_user(self.user, function, self.root, *arguments)

    def in_plain(self, function, *arguments):
        return as_user(self.user, function, self.plain, *arguments)

    def same(self, function, *arguments):
        """What @function saw, in both the same."""
        expected = self.in_plain(function, *arguments)
        got = self.in_mount(function, *arguments)
        assert got == expected
        return got[1]
