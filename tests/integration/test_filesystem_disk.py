"""The disk below a mount: full, over quota, or without power in the middle of something."""

import errno
import fcntl
import os
import stat
import struct
import subprocess

import pytest

import machine
import support
from disks import as_it_is, attach, attached, fill_up, make_btrfs, make_ext4, set_quota, sync_disk
from filesystem import RENAME_EXCHANGE, Mounted, as_user, brief, renameat2
from filesystem_pair import fill
from variants import first_quick, users

pytestmark = pytest.mark.usefixtures("mountable")

EXT4_IOC_SHUTDOWN, WITHOUT_THE_LOG = 0x8004587D, struct.pack("I", 2)


@pytest.mark.root
def test_a_full_disk(tmp_path):
    """In the middle of a copy-up the lower stays what is seen; what needs no space goes on working."""
    mounted = Mounted(tmp_path)
    make_ext4(tmp_path / "disk", 16 << 20, "^has_journal")
    attach(tmp_path / "disk", mounted.environment)
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


def write_byte(path):
    with open(path, "r+b", buffering=0) as file:
        file.write(b"x")


def append(path, size):
    with open(path, "ab", buffering=0) as file:
        file.write(bytes(size))


# What needs room. Nothing is written to what is in the upper: fill_up() has, and as on any disk that moves mtime.
TAKES_ROOM = {
    "write": lambda root: write_byte(root / "big"),
    "write to what has another mode": lambda root: write_byte(root / "sleep"),
    "append": lambda root: append(root / "script", 1 << 20),
    "truncate": lambda root: os.truncate(root / "big", 1 << 20),
    "create": lambda root: (root / "new").touch(exist_ok=False),
    "create below": lambda root: (root / "dir" / "sub" / "new").touch(exist_ok=False),
    "mkdir": lambda root: (root / "new").mkdir(),
    "mkdir below": lambda root: (root / "dir" / "new").mkdir(),
    "symlink": lambda root: (root / "new").symlink_to("file"),
    "mkfifo": lambda root: os.mkfifo(root / "new"),
    "link": lambda root: os.link(root / "mine", root / "new"),
    "link the image's": lambda root: os.link(root / "file", root / "new"),
    "rename": lambda root: os.rename(root / "mine", root / "new"),
    "rename the image's": lambda root: os.rename(root / "file", root / "new"),
    "rename over": lambda root: os.rename(root / "mine", root / "file"),
    "rename the image's over": lambda root: os.rename(root / "file", root / "mine"),
    "rename a directory": lambda root: os.rename(root / "dir", root / "new"),
    "rename into": lambda root: os.rename(root / "file", root / "dir" / "sub" / "new"),
    "exchange": lambda root: renameat2(root / "file", root / "dir", RENAME_EXCHANGE),
    "chmod": lambda root: os.chmod(root / "script", 0o700),
    "chmod of a directory": lambda root: os.chmod(root / "dir" / "empty", 0o700),
    "utime": lambda root: os.utime(root / "dir" / "sub" / "deep", (1, 1)),
    "setxattr": lambda root: os.setxattr(root / "big", "user.some", b"thing"),
    "unlink": lambda root: os.unlink(root / "mine"),
    "unlink the image's": lambda root: os.unlink(root / "file"),
    "rmdir": lambda root: os.rmdir(root / "dir" / "empty"),
}


def done(answer):
    """What as_user() brought back from a step that must not fail."""
    assert answer[0] == "saw", answer
    return answer[1]


def picture(root):
    """All that is seen below @root."""
    found = {}
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            st = os.lstat(path)
            content = None
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            found[os.path.relpath(path, root)] = brief(st), st.st_ino, st.st_mtime_ns, content
    return found


@pytest.fixture
def base():
    """A directory that every user may walk through."""
    root = support.new_root("disk")
    yield root
    support.remove_tree(root)


@pytest.mark.root
@pytest.mark.parametrize("who", users("own", "user"))
def test_over_quota(base, who):
    """A real quota: whatever needs room is refused with EDQUOT and changes nothing; with room again all
    of it works."""
    user = machine.ordinary_user() if who == "user" else None
    mounted = Mounted(base, user=user)
    make_btrfs(base / "disk")
    fill(mounted.lower)

    def refusals(root):
        (root / "mine").write_bytes(b"mine\n")
        (root / "sleep").chmod(0o700)
        assert fill_up(root / "filler", mounted.upper) == errno.EDQUOT
        before, came = picture(root), {}
        for what, act in TAKES_ROOM.items():
            with pytest.raises(OSError) as refused:
                act(root)
            came[what] = errno.errorcode[refused.value.errno], picture(root) == before
        return before, came

    def all_of_it(root):
        before = picture(root)
        for what in ("write", "append", "create below", "rename a directory", "unlink the image's"):
            TAKES_ROOM[what](root)
        return before, picture(root)

    with attached(base / "disk", mounted.environment):
        set_quota(mounted.environment, 16 << 20)
        if user is not None:
            subprocess.run(["chown", "-hR", f"{user.pw_uid}:{user.pw_gid}", base], check=True)
        root = mounted.mount()
        try:
            before, came = done(as_user(user, refusals, root))
            assert came == dict.fromkeys(TAKES_ROOM, ("EDQUOT", True))
            assert os.listdir(mounted.work) == ["whiteout"]
            mounted.remount()
            assert done(as_user(user, picture, root)) == before
            mounted.unmount()
            done(as_user(user, os.unlink, mounted.upper / "filler"))
            sync_disk(mounted.environment)
            mounted.mount()
            del before["filler"]
            before_all, after = done(as_user(user, all_of_it, root))
            assert before_all == before
            assert after["big"][-1][:2] == b"x\1" and after["new/sub/new"][-1] == b"" and "file" not in after
            mounted.remount()
            assert done(as_user(user, picture, root)) == after
            mounted.unmount()
        finally:
            mounted.close()


def cut_the_power(place):
    """Nothing reaches the disk from here on, not even what the file system's log holds."""
    fd = os.open(place, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, WITHOUT_THE_LOG)
    finally:
        os.close(fd)


def sync(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


SYNCED = {
    "first write": (lambda root: (root / "file").write_bytes(b"changed"), "file",
                    lambda root: (root / "file").read_bytes() == b"changed"),
    "deep below": (lambda root: (root / "dir" / "sub" / "deep").write_bytes(b"changed"), "dir/sub/deep",
                   lambda root: (root / "dir" / "sub" / "deep").read_bytes() == b"changed"),
    "mode": (lambda root: (root / "big").chmod(0o600), "big",
             lambda root: stat.S_IMODE((root / "big").stat().st_mode) == 0o600),
    "new file": (lambda root: (root / "dir" / "new").write_bytes(b"new"), "dir/new",
                 lambda root: (root / "dir" / "new").read_bytes() == b"new"),
    "new name": (lambda root: os.rename(root / "file", root / "dir" / "moved"), "dir",
                 lambda root: (root / "dir" / "moved").read_bytes() == b"lower file\n"),
    "renamed directory": (lambda root: os.rename(root / "dir", root / "elsewhere"), ".",
                          lambda root: (root / "elsewhere" / "sub" / "deep").read_bytes() == b"deep\n"),
    "removed": (lambda root: os.unlink(root / "dir" / "many-1"), "dir",
                lambda root: not (root / "dir" / "many-1").exists()),
    "mode of what is in the image": (lambda root: (root / "kept").chmod(0o600), ".",
                                     lambda root: (root / "kept").read_bytes() == b"kept inside\n"),
    "made and filled": (lambda root: ((root / "made").mkdir(), (root / "made" / "in").write_bytes(b"in")), "made/in",
                        lambda root: (root / "made" / "in").read_bytes() == b"in"),
}


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("what", list(SYNCED))
def test_what_was_synced_is_there_after_a_power_cut(tmp_path, what):
    """And what was not is there as a whole or as it was."""
    change, synced, is_there = SYNCED[what]
    mounted = Mounted(tmp_path)
    make_ext4(tmp_path / "disk", 64 << 20, "has_journal")
    attach(tmp_path / "disk", mounted.environment)
    try:
        fill(mounted.lower)
        (mounted.lower / "kept.inline").write_bytes(b"kept inside\n")
        root = mounted.mount()
        (root / "script").write_bytes(b"before")  # so that the first copy-up is not all there is
        sync(root / "script")
        change(root)
        sync(root / synced)
        (root / "readonly").chmod(0o640)
        cut_the_power(mounted.environment)
        mounted.abandon()
        subprocess.run(["umount", mounted.environment], check=True)
        as_it_is(tmp_path / "disk", tmp_path / "later")
        attach(tmp_path / "later", mounted.environment)
        root = mounted.mount()
        assert is_there(root)
        assert (root / "script").read_bytes() == b"before"
        assert (root / "readonly").read_bytes() == b"read only\n"
        assert stat.S_IMODE((root / "readonly").stat().st_mode) in (0o444, 0o640)
        mounted.unmount()
    finally:
        mounted.close()
        subprocess.run(["umount", mounted.environment], check=True)


# What a fsync of the root, which is another file's, takes along. Whoever reads then must find what the image has.
NOT_SYNCED = {
    "first write": lambda root: write_byte(root / "big"),
    "first write of a link": lambda root: (os.link(root / "big", root / "hard"), write_byte(root / "big")),
    "mode, then first write": lambda root: ((root / "big").chmod(0o600), write_byte(root / "big")),
    "mode": lambda root: (root / "big").chmod(0o600),
    "link": lambda root: os.link(root / "big", root / "hard"),
    "there and back": lambda root: (os.rename(root / "big", root / "hard"), os.rename(root / "hard", root / "big")),
}


@pytest.mark.root
@pytest.mark.parametrize("what", first_quick(list(NOT_SYNCED)))
def test_btrfs_keeps_what_was_copied_up(base, what):
    """Where a copy is a reflink, and the log that fsync writes has the names of a directory without what is behind
    them."""
    disk, later, place = base / "disk", base / "later", base / "at"
    place.mkdir()
    make_btrfs(disk)
    with attached(disk, place, "loop,commit=3000"):
        mounted = Mounted(place)
        fill(mounted.lower)
        root = mounted.mount()
        try:
            sync_disk(place)
            NOT_SYNCED[what](root)
            sync(root)
            as_it_is(disk, later)
            mounted.unmount()
        finally:
            mounted.close()
    with attached(later, place):
        mounted = Mounted(place)
        root = mounted.mount()
        try:
            content = (root / "big").read_bytes()
            assert content[1:] == (mounted.lower / "big").read_bytes()[1:] and content[0] in (0, ord("x"))
            assert not (root / "hard").exists() or (root / "hard").read_bytes() == content
            mounted.unmount()
        finally:
            mounted.close()
