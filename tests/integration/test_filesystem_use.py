"""What people and programs do with a mounted file system that takes more than a call."""

import errno
import os
import random
import shutil
import sqlite3
import struct
import subprocess
from pathlib import Path

import pytest

import machine
from filesystem import Mounted, daemon_has, libc
from filesystem_pair import fill
from mounted import wait_for


def test_tampering_with_the_upper(pair):
    """It may lose what was tampered with, and nothing else; it leads nowhere."""
    secret = pair.mounted.base / "secret"
    secret.mkdir()
    (secret / "file").write_text("secret")

    def change(root):
        (root / "dir" / "new").write_text("mine")
        (root / "dir" / "sub" / "deep").write_text("changed")
        os.rename(root / "file", root / "dir" / "file")
    pair.in_mount(change)
    shutil.rmtree(pair.mounted.upper / "dir")
    (pair.mounted.upper / "dir").symlink_to(secret)
    (pair.mounted.upper / "new").symlink_to(secret / "file")
    (pair.mounted.upper / "fifo").unlink(missing_ok=True)

    def look(root):
        for directory, names, files in os.walk(root):
            for name in files:
                try:
                    fd = os.open(os.path.join(directory, name), os.O_RDWR | os.O_NOFOLLOW)
                    assert b"secret" not in os.read(fd, 100)
                    os.write(fd, b"overwritten")
                    os.close(fd)
                except OSError:
                    pass
        try:
            os.rename(root / "big", root / "dir" / "big")
        except OSError:
            pass
    pair.in_mount(look)
    assert (secret / "file").read_text() == "secret"
    assert [path.name for path in secret.iterdir()] == ["file"]
    pair.mounted.unmount()
    pair.mounted.mount()
    assert pair.in_mount(lambda root: (root / "script").read_text())[0] == "saw"


@pytest.mark.threads
def test_many_processes_on_the_same_names(pair):
    """Create, rename, link and unlink of the same few names from many processes at once."""
    def fight(root):
        names = [root / "dir" / name for name in ("a", "b", "c", "many-1", "many-2")]
        names += [root / "dir" / "sub" / name for name in ("a", "deep")]
        children = []
        for number in range(12):
            child = os.fork()
            if child == 0:
                rng = random.Random(number)
                expected = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.EISDIR,
                            errno.ENOTDIR, errno.EINVAL, errno.EPERM, errno.ESTALE}
                for _ in range(300):
                    one, two = rng.choice(names), rng.choice(names)
                    act = rng.choice([
                        lambda: one.write_bytes(b"x" * rng.randrange(5000)),
                        lambda: os.rename(one, two), lambda: os.link(one, two),
                        lambda: os.unlink(one), lambda: os.mkdir(one), lambda: os.rmdir(one),
                        lambda: one.read_bytes(), lambda: os.listdir(one.parent),
                        lambda: os.chmod(one, 0o755)])
                    try:
                        act()
                    except OSError as error:
                        if error.errno not in expected:
                            os.write(2, f"{error!r} {one} {two}\n".encode())
                            os._exit(1)
                os._exit(0)
            children.append(child)
        return [os.waitpid(child, 0)[1] for child in children]
    assert pair.in_mount(fight) == ("saw", [0] * 12)

    def settle(root):
        listed = sorted(os.listdir(root / "dir"))
        there = [name for name in listed if os.path.lexists(root / "dir" / name)]
        return listed == there
    assert pair.in_mount(settle) == ("saw", True)
    before = pair.in_mount(lambda root: sorted(os.listdir(root / "dir")))
    pair.mounted.unmount()
    pair.mounted.mount()
    assert pair.in_mount(lambda root: sorted(os.listdir(root / "dir"))) == before


def test_git(pair):
    def work(root):
        environment = dict(os.environ, GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@b",
                           GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@b", HOME=str(root))

        def git(*arguments):
            done = subprocess.run(["git", *arguments], cwd=root, env=environment,
                                  capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return done.stdout
        git("init", "-q", ".")
        git("add", "-A")
        git("commit", "-q", "-m", "one")
        (root / "file").write_text("changed")
        os.rename(root / "dir", root / "renamed")
        git("add", "-A")
        git("commit", "-q", "-m", "two")
        git("gc", "-q")
        git("fsck", "--strict")
        git("checkout", "-q", "HEAD~1")
        return git("status", "--porcelain"), sorted(os.listdir(root))
    assert pair.same(work)[0] == ""


def test_sqlite(pair):
    def work(root):
        seen = []
        for journal in ("wal", "delete", "truncate"):
            database = sqlite3.connect(root / "dir" / "base.db", timeout=20)
            database.execute(f"pragma journal_mode={journal}")
            database.execute("create table if not exists t (a, b)")
            for number in range(50):
                with database:
                    database.execute("insert into t values (?, ?)", (number, "x" * 1000))
            other = sqlite3.connect(root / "dir" / "base.db")
            seen.append(other.execute("select count(*) from t").fetchone())
            seen.append(other.execute("pragma integrity_check").fetchone())
            other.close()
            database.close()
        return seen, sorted(os.listdir(root / "dir"))[:3]
    pair.same(work)


def test_inotify(pair):
    def work(root):
        fd = libc.inotify_init1(0)
        watch = libc.inotify_add_watch(fd, os.fsencode(root / "dir"), 0xfff)
        assert watch >= 0
        (root / "dir" / "new").write_text("x")
        os.rename(root / "dir" / "new", root / "dir" / "newer")
        os.unlink(root / "dir" / "many-1")
        data, masks, at = os.read(fd, 8192), [], 0
        while at < len(data):
            _, mask, _, length = struct.unpack_from("iIII", data, at)
            masks.append((mask, data[at + 16:at + 16 + length].rstrip(b"\0")))
            at += 16 + length
        return masks
    pair.same(work)


def test_views_follow_the_directory(tmp_path):
    (tmp_path / "project").mkdir()
    mounted = Mounted(tmp_path / "project")
    (mounted.lower / "cfg.view").write_bytes(b"home = \x01path\x02/bin\n")
    mounted.mount()
    try:
        cfg = mounted.root / "cfg"
        assert cfg.read_text() == f"home = {mounted.root}/bin\n"
        moved = tmp_path / "elsewhere-altogether"
        os.rename(tmp_path / "project", moved)
        mounted.base, mounted.root = moved, moved / "mount"
        assert (mounted.root / "cfg").read_text() == f"home = {mounted.root}/bin\n"
        assert (mounted.root / "cfg").stat().st_size == len(f"home = {mounted.root}/bin\n")
        # Of the same length: what the kernel has kept is dropped in the background.
        again = tmp_path / "ELSEWHERE-altogether"
        os.rename(moved, again)
        mounted.base, mounted.root = again, again / "mount"
        (mounted.root / "cfg").stat()
        wait_for(lambda: "ELSEWHERE" in (mounted.root / "cfg").read_text())
    finally:
        mounted.close()


def test_requests(pair):
    """What was seen once is asked for no more: no OPEN, no second LOOKUP, no second READ."""
    def look(root):
        for directory, names, files in os.walk(root):
            for name in files:
                if not os.path.islink(os.path.join(directory, name)):
                    Path(directory, name).read_bytes()
            for name in ("none", "none.py"):
                os.path.exists(os.path.join(directory, name))
    pair.in_mount(look)
    pair.mounted.unmount()
    once = pair.mounted.requests
    pair.mounted.mount()
    for _ in range(5):
        pair.in_mount(look)
    pair.mounted.unmount()
    often = pair.mounted.requests
    pair.mounted.mount()
    # A READ makes the kernel ask for the access time once more.
    for opcode in ("LOOKUP", "READ", "READDIRPLUS", "OPEN", "OPENDIR", "READLINK"):
        assert often.get(opcode, 0) <= once.get(opcode, 0) + 2, (opcode, once, often)
    assert often.get("GETATTR", 0) <= 2 * once.get("GETATTR", 0) + 30
    assert often.get("RELEASE", 0) == 0 and often.get("FLUSH", 0) <= 1


def test_requests_of_small_writes(pair):
    """Where the library knows HANDLE_KILLPRIV_V2, a write asks for no capability but the first time."""
    def write(root):
        for path in (root / "file", root / "new"):
            with open(path, "wb", buffering=0) as file:
                for _ in range(100):
                    file.write(b"x")
    pair.in_mount(write)
    pair.mounted.unmount()
    asked = pair.mounted.requests["GETXATTR"]
    pair.mounted.mount()
    if daemon_has("KILLPRIV_V2"):
        assert asked < 20
    else:
        assert asked >= 200


@pytest.mark.root
def test_a_full_disk(tmp_path):
    """In the middle of a copy-up the lower stays what is seen; what needs no space goes on working."""
    disk = tmp_path / "disk"
    with open(disk, "wb") as file:
        file.truncate(16 << 20)
    mounted = Mounted(tmp_path)
    subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", disk], check=True)
    if subprocess.run(["mount", "-o", "loop", disk, mounted.environment]).returncode != 0:
        machine.skip("no loop devices here")
    try:
        fill(mounted.lower)
        (mounted.lower / "large").write_bytes(b"large" * (5 << 20))
        root = mounted.mount()
        before = (root / "large").stat()
        with pytest.raises(OSError) as failure:
            with open(root / "large", "r+b") as file:
                file.write(b"x")
        assert failure.value.errno == errno.ENOSPC
        after = (root / "large").stat()
        assert (after.st_size, after.st_mtime_ns, after.st_ino) == \
            (before.st_size, before.st_mtime_ns, before.st_ino)
        assert (root / "large").read_bytes() == b"large" * (5 << 20)
        assert not (mounted.upper / "large").exists() and os.listdir(mounted.work) == ["whiteout"]
        with pytest.raises(OSError) as failure:
            with open(root / "filler", "wb", buffering=0) as file:
                while file.write(bytes(1 << 20)):
                    pass
        assert failure.value.errno == errno.ENOSPC
        with pytest.raises(OSError) as failure:
            (root / "dir" / "sub" / "deep").write_bytes(bytes(1 << 20))
        assert failure.value.errno == errno.ENOSPC
        os.unlink(root / "filler")
        (root / "dir" / "sub" / "deep").write_bytes(b"there is space")
        mounted.remount()
        assert (root / "dir" / "sub" / "deep").read_bytes() == b"there is space"
        assert (root / "large").read_bytes()[:10] == b"largelarge"
        mounted.unmount()
    finally:
        mounted.close()
        subprocess.run(["umount", mounted.environment], check=True)
