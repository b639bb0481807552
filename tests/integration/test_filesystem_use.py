"""What people and programs do with a mounted file system that takes more than a call."""

import ctypes
import errno
import os
import random
import shutil
import sqlite3
import struct
import subprocess
from pathlib import Path

import pytest

from filesystem import Mounted, libc
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


@pytest.mark.root
def test_fanotify(pair):
    FAN_CLASS_NOTIF, FAN_MARK_ADD, FAN_EVENT_ON_CHILD, AT_FDCWD = 0, 1, 0x8000000, -100
    FAN_MODIFY, FAN_CLOSE_WRITE, FAN_CLOSE_NOWRITE, FAN_OPEN = 2, 8, 16, 32
    what = FAN_MODIFY | FAN_CLOSE_WRITE | FAN_CLOSE_NOWRITE | FAN_OPEN | FAN_EVENT_ON_CHILD

    def work(root):
        # Each event opens the file that it is about: none may be asked for when it is read.
        fd = libc.fanotify_init(FAN_CLASS_NOTIF, os.O_RDONLY)
        assert fd >= 0
        assert libc.fanotify_mark(fd, FAN_MARK_ADD, ctypes.c_uint64(what), AT_FDCWD, os.fsencode(root / "dir")) == 0
        (root / "dir" / "new").write_text("x")
        with open(root / "dir" / "many-1", "r+b") as file:
            file.write(b"x")
        (root / "dir" / "sub" / "deep").write_text("of no concern")
        (root / "dir" / "many-2").read_text()
        data, seen, at = os.read(fd, 8192), [], 0
        while at < len(data):
            length, _, _, _, mask, inner, _ = struct.unpack_from("IBBHQii", data, at)
            seen.append((mask, os.path.relpath(os.readlink(f"/proc/self/fd/{inner}"), root)))
            os.close(inner)
            at += length
        os.close(fd)
        return seen
    if pair.user is None:
        assert (FAN_OPEN | FAN_CLOSE_NOWRITE, "dir/many-2") in pair.same(work)


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
    """A write asks for no capability but the first time."""
    def write(root):
        for path in (root / "file", root / "new"):
            with open(path, "wb", buffering=0) as file:
                for _ in range(100):
                    file.write(b"x")
    pair.in_mount(write)
    pair.mounted.unmount()
    asked = pair.mounted.requests["GETXATTR"]
    pair.mounted.mount()
    assert asked < 20
