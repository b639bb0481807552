"""What a mounted file system must do as ext4 does, call by call.

Most tests are a function that does something in a directory and returns what it saw. It runs in the
mount and in a plain directory with the same content, as whoever mounted, and both must have seen
the same. Directories start with the same tree (see fill()), in the mount as the image's.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import random
import shutil
import signal
import socket
import sqlite3
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

import support
from filesystem import (Mounted, RENAME_EXCHANGE, RENAME_NOREPLACE, as_user, renameat2)

BIG = 3 << 20
_libc = ctypes.CDLL(None, use_errno=True)


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


@pytest.fixture(params=["own", "user"])
def pair(request):
    user = support.ordinary_user() if request.param == "user" and os.getuid() == 0 else None
    if request.param == "user" and user is None:
        support.skip("already an ordinary user")
    base = support.new_root("fs")
    pair = Pair(base, user)
    try:
        yield pair
        pair.mounted.unmount()
        left = list(pair.mounted.work.iterdir())
        assert left == [], "left in work/"
    finally:
        pair.mounted.close()
        support.remove_tree(base)


def brief(path):
    st = os.lstat(path)
    size = 0 if stat.S_ISDIR(st.st_mode) else st.st_size
    return oct(st.st_mode), st.st_nlink, size, st.st_uid, st.st_gid


# Descriptors


def write_through_every_kind_of_open(root):
    seen = []
    for flags in (0, os.O_TRUNC, os.O_APPEND, os.O_SYNC, os.O_DSYNC, os.O_TRUNC | os.O_CREAT):
        for name in ("file", "new", "big", "dir/sub/deep", "readonly", "link", "dir", "none/x"):
            try:
                fd = os.open(root / name, os.O_RDWR | flags, 0o600)
                seen.append((os.write(fd, b"text"), os.fstat(fd).st_size, os.pread(fd, 20, 0)))
                os.close(fd)
            except OSError as error:
                seen.append(error.errno)
    return seen


def test_open_for_writing(pair):
    pair.same(write_through_every_kind_of_open)


def open_exclusively(root):
    seen = []
    for name in ("file", "link", "dir", "new", "new"):
        try:
            os.close(os.open(root / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640))
            seen.append(brief(root / name))
        except OSError as error:
            seen.append(error.errno)
    return seen


def test_o_excl(pair):
    pair.same(open_exclusively)


def use_after_unlink(root):
    seen = []
    for name in ("file", "big", "readonly", "new"):
        if name == "new":
            (root / name).write_bytes(b"born here")
        fd = os.open(root / name, os.O_RDONLY if name == "readonly" else os.O_RDWR)
        os.unlink(root / name)
        st = os.fstat(fd)
        seen.append((st.st_nlink, st.st_size, os.pread(fd, 20, 0), os.path.exists(root / name)))
        if name == "readonly":
            os.close(fd)
            continue
        os.pwrite(fd, b"WRITTEN", 3)
        os.fchmod(fd, 0o400)
        seen.append((os.pread(fd, 20, 0), oct(os.fstat(fd).st_mode)))
        os.ftruncate(fd, 5)
        (root / name).write_bytes(b"another")
        seen.append((os.pread(fd, 20, 0), os.fstat(fd).st_size, (root / name).read_bytes()))
        os.unlink(root / name)
        os.close(fd)
    return seen


def test_open_after_unlink(pair):
    pair.same(use_after_unlink)


def sit_in_a_removed_directory(root):
    seen = []
    os.makedirs(root / "made" / "inner")
    for name in ("dir/empty", "made/inner"):
        fd = os.open(root / name, os.O_RDONLY | os.O_DIRECTORY)
        os.rmdir(root / name)
        seen.append((os.fstat(fd).st_nlink, os.listdir(fd)))
        try:
            os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
        except OSError as error:
            seen.append(error.errno)
        os.close(fd)
    return seen


def test_removed_directory(pair):
    pair.same(sit_in_a_removed_directory)


def write_a_read_only_file(root):
    """As git makes its objects; many others are opened before the last write."""
    fds = []
    for number in range(200):
        fd = os.open(root / "dir" / f"object-{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o444)
        os.write(fd, b"one ")
        fds.append(fd)
    for fd in fds:
        os.write(fd, b"two")
        os.close(fd)
    return [((root / "dir" / f"object-{number}").read_bytes(),
             brief(root / "dir" / f"object-{number}")) for number in range(200)]


def test_read_only_files_are_written_through_their_descriptor(pair):
    pair.same(write_a_read_only_file)


def see_new_data_through_old_descriptors(root):
    reader = os.open(root / "file", os.O_RDONLY)
    mapped = mmap.mmap(reader, 11, mmap.MAP_SHARED, mmap.PROT_READ)
    before = mapped[:]
    with open(root / "file", "r+b") as file:
        file.write(b"UPPER")
    seen = before, mapped[:], os.pread(reader, 20, 0), os.fstat(reader).st_size
    os.rename(root / "file", root / "dir" / "moved")
    with open(root / "dir" / "moved", "r+b") as file:
        file.seek(5)
        file.write(b"!")
    seen += mapped[:], os.pread(reader, 20, 0)
    mapped.close()
    os.close(reader)
    return seen


def test_old_descriptors_and_maps_see_new_data(pair):
    pair.same(see_new_data_through_old_descriptors)


def map_shared(root):
    seen = []
    for name in ("big", "file"):
        with open(root / name, "r+b") as file:
            mapped = mmap.mmap(file.fileno(), 0)
            mapped[3:7] = b"MMAP"
            mapped.flush()
            seen.append((root / name).read_bytes()[:12])
            mapped[0:1] = b"#"
            mapped.close()
        seen.append((root / name).read_bytes()[:12])
    return seen


def test_shared_maps(pair):
    pair.same(map_shared)


def touch_past_the_end(root):
    child = os.fork()
    if child == 0:
        file = open(root / "file", "r+b")
        address = _libc.mmap
        address.restype = ctypes.c_void_p
        place = address(None, ctypes.c_size_t(8192), mmap.PROT_READ, mmap.MAP_SHARED,
                        file.fileno(), ctypes.c_long(0))
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
        ctypes.string_at(place + 5000, 1)
        os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def test_sigbus_past_the_end(pair):
    assert pair.same(touch_past_the_end) == signal.SIGBUS


def run_binaries(root):
    ran = subprocess.run([root / "script", "argument"], capture_output=True).stdout
    running = subprocess.Popen([root / "sleep", "5"])
    time.sleep(0.2)
    try:
        os.close(os.open(root / "sleep", os.O_WRONLY))
        error = 0
    except OSError as failure:
        error = failure.errno
    running.kill()
    running.wait()
    return ran, error


def test_exec_and_etxtbsy(pair):
    assert pair.same(run_binaries) == (b"ran argument\n", errno.ETXTBSY)


def open_in_rare_ways(root):
    seen = []
    for name in ("file", "big", "dir"):
        fd = os.open(root / name, os.O_PATH)
        seen.append(oct(os.fstat(fd).st_mode))
        os.close(fd)
    fd = os.open(root / "big", os.O_RDONLY | os.O_NOATIME)
    seen.append(len(os.read(fd, 4096)))
    os.close(fd)
    for flags in (os.O_RDONLY, os.O_RDWR):
        fd = os.open(root / "big", flags | os.O_DIRECT)
        buffer = mmap.mmap(-1, 8192)
        seen.append((os.preadv(fd, [buffer], 4096), bytes(buffer[:16])))
        if flags == os.O_RDWR:
            buffer[:4] = b"DIOW"
            seen.append(os.pwritev(fd, [buffer], 8192))
        os.close(fd)
    seen.append((root / "big").read_bytes()[8190:8200])
    return seen


def test_o_path_noatime_direct(pair):
    pair.same(open_in_rare_ways)


def use_large_offsets(root):
    far = 5 << 30
    with open(root / "file", "r+b") as file:
        file.seek(far)
        file.write(b"far")
        file.flush()
        file.seek(far - 2)
        seen = [file.read(10), os.fstat(file.fileno()).st_size]
        seen.append(os.lseek(file.fileno(), 0, os.SEEK_HOLE) < far)
        seen.append(os.lseek(file.fileno(), 1 << 30, os.SEEK_DATA) > 4 << 30)
        os.truncate(root / "file", 4 << 30)
        seen.append(os.fstat(file.fileno()).st_size)
    os.truncate(root / "file", 3)
    return seen, (root / "file").read_bytes()


def test_beyond_4_gib(pair):
    pair.same(use_large_offsets)


def allocate(root):
    seen = []
    KEEP_SIZE, PUNCH, COLLAPSE, ZERO, INSERT = 1, 2, 8, 16, 32
    for name in ("big", "file"):
        fd = os.open(root / name, os.O_RDWR)
        for mode in (0, KEEP_SIZE, PUNCH | KEEP_SIZE, ZERO, COLLAPSE, INSERT, PUNCH, 0x1000):
            result = _libc.fallocate(fd, mode, ctypes.c_long(4096), ctypes.c_long(8192))
            seen.append((mode, result and ctypes.get_errno(), os.fstat(fd).st_size))
        seen.append(os.pread(fd, 12, 4090))
        os.close(fd)
    return seen


def test_fallocate(pair):
    """COLLAPSE_RANGE and INSERT_RANGE never reach a FUSE file system: the kernel refuses them."""
    plain = pair.in_plain(allocate)[1]
    mount = pair.in_mount(allocate)[1]
    for expected, got in zip(plain, mount):
        if isinstance(got, tuple) and got[0] in (8, 32):
            assert got[1] == errno.EOPNOTSUPP
        elif isinstance(got, tuple) and expected[1]:
            assert got[1] in (expected[1], errno.EOPNOTSUPP)
        elif isinstance(got, tuple):
            assert got[:2] == expected[:2]


def copy_inside_the_kernel(root):
    seen = []
    with open(root / "big", "rb") as source, open(root / "copy", "w+b") as target:
        seen.append(os.copy_file_range(source.fileno(), target.fileno(), 100000, 5, 10))
        seen.append(os.pread(target.fileno(), 20, 0))
        seen.append(os.sendfile(target.fileno(), source.fileno(), 0, 70000))
        reading, writing = os.pipe()
        seen.append(os.splice(source.fileno(), writing, 4096, offset_src=256))
        seen.append(os.splice(reading, target.fileno(), 4096, offset_dst=0))
        seen.append(os.pread(target.fileno(), 20, 0))
    seen.append(shutil.copyfile(root / "file", root / "file2") == root / "file2")
    return seen, (root / "file2").read_bytes(), brief(root / "copy")


def test_copy_file_range_sendfile_splice(pair):
    pair.same(copy_inside_the_kernel)


# Names


def try_names(root):
    seen = []
    for name in (b"n" * 255, b"n" * 256, b"\xff\xfe\x01\n", "𝜋thon".encode(), b"...", b" "):
        path = os.fsencode(root) + b"/dir/" + name
        for act in (lambda: os.close(os.open(path, os.O_CREAT | os.O_WRONLY)),
                    lambda: os.rename(path, path + b"x"), lambda: os.unlink(path + b"x"),
                    lambda: os.stat(path), lambda: os.unlink(path)):
            try:
                seen.append(act() and 0)
            except OSError as error:
                seen.append(error.errno)
    return seen, sorted(os.listdir(root / "dir"))


def test_names(pair):
    pair.same(try_names)


def go_deep(root):
    os.chdir(root)
    depth = 0
    for depth in range(40):
        os.mkdir("d" * 240)
        os.chdir("d" * 240)
    with open("bottom", "w") as file:
        file.write("down here")
    text = open("bottom").read()
    os.rename("bottom", "moved")
    inode = os.stat("moved").st_ino
    for level in range(40):
        os.chdir("..")
    same = os.path.samefile(".", root)
    shutil.rmtree("d" * 240)
    return text, same, sorted(os.listdir("."))


def test_paths_longer_than_path_max(pair):
    pair.same(go_deep)


def rename_in_all_ways(root):
    for name in ("one", "two"):
        (root / name).mkdir()
        (root / name / "inside").write_text(name)
    (root / "born").write_text("born")
    seen = []
    moves = [("file", "born", RENAME_NOREPLACE), ("file", "born", RENAME_EXCHANGE),
             ("file", "dir/", 0), ("dir", "dir/sub/x", 0), ("dir/", "moved/", 0),
             ("moved/sub", "dir", 0), ("one", "two", 0), ("one", "moved/empty", 0),
             ("moved", "two", RENAME_EXCHANGE), ("two", "moved", 0), ("big", "file/x", 0),
             ("none", "x", 0), ("born", "file", 4), ("born", "file", 64), ("script", "big", 0),
             ("dir", "script", 0), ("big", "dir", 0), ("link", "link2", 0), ("link2", "big", 0),
             ("two/sub", "sub", 0), ("two", "two", 0), (".", "x", 0), ("two/.", "x", 0)]
    for old, new, flags in moves:
        try:
            renameat2(f"{root}/{old}", f"{root}/{new}", flags)
            seen.append(0)
        except OSError as error:
            seen.append(error.errno)
        seen.append(sorted(os.path.relpath(os.path.join(directory, name), root)
                           for directory, names, files in os.walk(root) for name in names + files))
    return seen


def test_rename(pair):
    plain, mount = pair.in_plain(rename_in_all_ways), pair.in_mount(rename_in_all_ways)
    # RENAME_WHITEOUT (4): ext4 makes a whiteout of it, which an overlay must not.
    whiteout = [i for i, errors in enumerate(zip(plain[1][::2], mount[1][::2]))
                if errors[0] != errors[1]]
    assert [mount[1][2 * i] for i in whiteout] in ([], [errno.EINVAL])


def test_a_renamed_directory_costs_nothing(pair):
    def work(root):
        inode = os.stat(root / "dir" / "sub" / "deep").st_ino
        os.rename(root / "dir", root / "elsewhere")
        for number in range(20):
            os.rename(root / "elsewhere", root / f"again-{number}")
            os.rename(root / f"again-{number}", root / "elsewhere")
        os.rename(root / "big", root / "elsewhere" / "big2")
        os.chmod(root / "elsewhere" / "big2", 0o600)
        os.utime(root / "elsewhere" / "big2", (5, 5))
        return (inode == os.stat(root / "elsewhere" / "sub" / "deep").st_ino,
                os.stat(root / "elsewhere" / "big2").st_size)
    assert pair.in_mount(work) == ("saw", (True, BIG))
    used = subprocess.run(["du", "-sk", pair.mounted.upper], capture_output=True, text=True)
    assert int(used.stdout.split()[0]) < 64


def link_everything(root):
    os.link(root / "file", root / "dir" / "hard")
    os.link(root / "dir" / "hard", root / "third")
    seen = [brief(root / "file"), os.path.samefile(root / "file", root / "third")]
    with open(root / "third", "r+b") as file:
        file.write(b"ALL")
    seen += [(root / name).read_bytes() for name in ("file", "dir/hard", "third")]
    os.unlink(root / "file")
    seen += [brief(root / "third"), (root / "dir" / "hard").read_bytes()]
    os.rename(root / "third", root / "dir" / "hard")
    seen += [brief(root / "dir" / "hard"), os.path.exists(root / "third")]
    os.link(root / "link", root / "link3", follow_symlinks=False)
    seen += [os.readlink(root / "link3"), brief(root / "link")]
    for old, new in (("dir", "x"), ("none", "x"), ("big", "dir/many-1")):
        try:
            os.link(root / old, root / new)
        except OSError as error:
            seen.append(error.errno)
    return seen


def test_hard_links(pair):
    pair.same(link_everything)


def list_while_it_changes(root):
    """None twice, none missed, from any position on."""
    names = {f"name-{number:04}" for number in range(3000)}
    for name in names:
        (root / "dir" / name).touch()
    seen, changes = [], 0
    with os.scandir(root / "dir") as entries:
        for entry in entries:
            seen.append(entry.name)
            if entry.name in names and changes < 500:
                os.unlink(root / "dir" / entry.name)
                (root / "dir" / f"later-{changes}").touch()
                changes += 1
    stable = [name for name in seen if name in names]
    return len(stable) == len(set(stable)) == 3000


def test_listing_while_names_come_and_go(pair):
    assert pair.in_mount(list_while_it_changes) == ("saw", True)


def seek_in_a_directory(root):
    _libc.opendir.restype = _libc.fdopendir.restype = ctypes.c_void_p
    _libc.readdir.restype = ctypes.c_void_p
    _libc.telldir.restype = ctypes.c_long
    _libc.readdir.argtypes = _libc.telldir.argtypes = [ctypes.c_void_p]
    _libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
    stream = _libc.opendir(os.fsencode(root / "dir"))

    def read():
        entry = _libc.readdir(stream)
        return ctypes.string_at(entry + 19) if entry else None
    order, places = [], []
    while True:
        places.append(_libc.telldir(stream))
        name = read()
        if name is None:
            break
        order.append(name)
    for index in (5, 1, len(order) - 1, 0, 7):
        _libc.seekdir(stream, places[index])
        if read() != order[index]:
            return index
    return "right"


def test_telldir_and_seekdir(pair):
    assert pair.in_mount(seek_in_a_directory) == ("saw", "right")


# Attributes


def change_attributes(root):
    seen = []
    for name in ("file", "dir", "big", "script", "readonly", "dir/sub/deep"):
        path = root / name
        for mode in (0o4755, 0o2755, 0o1777, 0o000, 0o640):
            os.chmod(path, mode)
            seen.append(brief(path)[0])
        os.utime(path, ns=(1_000_000_007, 2_000_000_011))
        seen.append((os.stat(path).st_atime_ns, os.stat(path).st_mtime_ns))
        os.chmod(path, 0o755)
        os.chown(path, -1, -1)
        seen.append(brief(path)[0])
    return seen


def test_modes_and_times(pair):
    pair.same(change_attributes)


def lose_setuid(root):
    seen = []
    for name in ("file", "big"):
        os.chmod(root / name, 0o6775)
        with open(root / name, "r+b") as file:
            file.write(b"x")
        seen.append(brief(root / name)[0])
        os.chmod(root / name, 0o6775)
        os.truncate(root / name, 1)
        seen.append(brief(root / name)[0])
        os.chmod(root / name, 0o6775)
        os.chown(root / name, os.getuid(), os.getgid())
        seen.append(brief(root / name)[0])
    return seen


def test_setuid_is_lost_on_write_truncate_and_chown(pair):
    pair.same(lose_setuid)


def obey_the_umask(root):
    seen = []
    for mask in (0o022, 0o077, 0o000, 0o027):
        os.umask(mask)
        os.close(os.open(root / f"f{mask}", os.O_CREAT | os.O_WRONLY, 0o666))
        os.mkdir(root / f"d{mask}", 0o777)
        os.mkfifo(root / f"p{mask}", 0o666)
        seen += [brief(root / f"{kind}{mask}") for kind in "fdp"]
    return seen


def test_umask(pair):
    pair.same(obey_the_umask)


def use_acls(root):
    """Access and default ACLs; what is made under a default one, a whiteout's place included."""
    user = str(os.getuid())

    def facl(*arguments):
        done = subprocess.run(arguments, cwd=root, capture_output=True, text=True)
        return done.returncode, done.stdout.replace(f"user:{user}:", "user:me:"), done.stderr
    seen = [facl("setfacl", "-m", f"u:{user}:rwx,g:12345:r", "file", "dir/sub/deep", "dir"),
            facl("setfacl", "-d", "-m", "u::rwx,g::rwx,g:12345:rwx,o::---", "dir", "dir/sub"),
            facl("setfacl", "-d", "-m", "u::rwx,g::r,o::r", "file"),
            facl("getfacl", "-n", "file", "dir", "dir/sub", "dir/sub/deep", "big")]
    os.unlink(root / "dir" / "many-1")
    os.unlink(root / "dir" / "many-2")
    os.rmdir(root / "dir" / "empty")
    os.umask(0o077)
    for name in ("dir/new", "dir/many-1", "dir/sub/new", "new"):
        os.close(os.open(root / name, os.O_CREAT | os.O_WRONLY, 0o666))
    for name in ("dir/newdir", "dir/empty", "newdir"):
        os.mkdir(root / name)
    os.mkfifo(root / "dir" / "many-2")
    os.chmod(root / "file", 0o700)
    os.chmod(root / "dir" / "new", 0o640)
    os.rename(root / "dir" / "sub" / "deep", root / "dir" / "deep")
    seen.append(facl("getfacl", "-n", "file", *(f"dir/{name}" for name in (
        "new", "many-1", "many-2", "sub/new", "newdir", "empty", "deep")), "new", "newdir"))
    seen += [facl("setfacl", "-b", "file", "dir"), facl("setfacl", "-k", "dir/sub"),
             facl("getfacl", "-n", "file", "dir", "dir/sub"), facl("setfacl", "-m", "u:0:r", "link")]
    return seen


def test_acls(pair):
    pair.same(use_acls)


@pytest.mark.root
def test_acls_and_groups_let_others_in_or_keep_them_out(tmp_path):
    """As on ext4, for access(2) too and with supplementary groups."""
    user = support.ordinary_user()
    tmp_path.chmod(0o755)
    base = support.new_root("fs")
    mounted = Mounted(base, "default_permissions,allow_other")
    plain = base / "plain"
    plain.mkdir()
    try:
        for root in (mounted.lower, plain):
            fill(root)
        mounted.mount()

        def prepare(root):
            root.chmod(0o777)
            for name, owner, mode in (("file", -1, 0o600), ("big", -1, 0o644), ("script", 12345, 0o750),
                                      ("readonly", 12346, 0o640), ("dir", -1, 0o700)):
                os.chown(root / name, -1, owner)
                os.chmod(root / name, mode)
            subprocess.run(["setfacl", "-m", f"u:{user.pw_uid}:rw", root / "file"], check=True)
            subprocess.run(["setfacl", "-m", f"u:{user.pw_uid}:-", root / "big"], check=True)
            subprocess.run(["setfacl", "-m", "g:12345:rx", root / "dir"], check=True)

        def use(root):
            seen = []
            for name in ("file", "big", "script", "readonly", "dir", "dir/sub/deep", "sleep", "new"):
                seen.append([os.access(root / name, how) for how in (os.R_OK, os.W_OK, os.X_OK)])
                for act in (lambda: os.close(os.open(root / name, os.O_RDONLY)),
                            lambda: os.close(os.open(root / name, os.O_WRONLY | os.O_CREAT)),
                            lambda: os.chmod(root / name, 0o777), lambda: os.utime(root / name),
                            lambda: os.listdir(root / name), lambda: os.unlink(root / name)):
                    try:
                        seen.append(act() and 0)
                    except OSError as error:
                        seen.append(error.errno)
            return seen

        def with_groups(root):
            os.setgroups([12345])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            return use(root)
        for root in (plain, mounted.root):
            as_user(None, prepare, root)
        assert as_user(user, use, mounted.root) == as_user(user, use, plain)
        for root in (plain, mounted.root):
            shutil.copy("/bin/true", root / "sleep")
        assert as_user(None, with_groups, mounted.root) == as_user(None, with_groups, plain)
        mounted.unmount()
    finally:
        mounted.close()
        support.remove_tree(base)


def use_special_files(root):
    seen = []
    os.mkfifo(root / "fifo", 0o640)
    reader = os.open(root / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(root / "fifo", os.O_WRONLY)
    os.write(writer, b"through")
    seen.append(os.read(reader, 20))
    os.chdir(root)
    server = socket.socket(socket.AF_UNIX)
    server.bind("socket")
    server.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect("socket")
    client.sendall(b"hello")
    seen.append(server.accept()[0].recv(10))
    seen += [brief(root / "fifo")[:2], brief(root / "socket")[0]]
    for kind, device in ((stat.S_IFCHR, os.makedev(0, 0)), (stat.S_IFCHR, os.makedev(1, 3)),
                         (stat.S_IFBLK, os.makedev(7, 0))):
        try:
            os.mknod(root / f"device-{kind}-{device}", kind | 0o600, device)
            seen.append(os.stat(root / f"device-{kind}-{device}").st_rdev)
        except OSError as error:
            seen.append(error.errno)
    return seen


def test_special_files(pair):
    plain, mount = pair.in_plain(use_special_files)[1], pair.in_mount(use_special_files)[1]
    assert mount[:4] == plain[:4] and mount[5:] == plain[5:]
    assert mount[4] == errno.EPERM  # 0:0 would be a whiteout


def set_attributes(root):
    seen = []
    for name in ("file", "dir", "big", "link"):
        path = root / name
        for call in (lambda: os.setxattr(path, "user.a", b"1" * 100, follow_symlinks=False),
                     lambda: os.setxattr(path, "user.a", b"2", os.XATTR_CREATE, follow_symlinks=False),
                     lambda: os.getxattr(path, "user.a", follow_symlinks=False),
                     lambda: sorted(n for n in os.listxattr(path, follow_symlinks=False)
                                    if not n.startswith("security.selinux")),
                     lambda: os.getxattr(path, "user.none", follow_symlinks=False),
                     lambda: os.removexattr(path, "user.a", follow_symlinks=False),
                     lambda: os.removexattr(path, "user.a", follow_symlinks=False),
                     lambda: os.setxattr(path, "trusted.a", b"t", follow_symlinks=False),
                     lambda: os.getxattr(path, "trusted.a", follow_symlinks=False),
                     lambda: os.setxattr(path, "nonsense.a", b"t", follow_symlinks=False)):
            try:
                seen.append(call())
            except OSError as error:
                seen.append(error.errno)
    return seen


def test_extended_attributes(pair):
    pair.same(set_attributes)


def lock_everything(root):
    seen = []
    for name in ("file", "dir"):
        one, two = os.open(root / name, os.O_RDONLY), os.open(root / name, os.O_RDONLY)
        fcntl.flock(one, fcntl.LOCK_EX)
        try:
            fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            seen.append(error.errno)
        os.close(one)
        fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(two)
    F_OFD_SETLK = 37
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 10, 0)
    one, two = os.open(root / "big", os.O_RDWR), os.open(root / "big", os.O_RDWR)
    fcntl.fcntl(one, F_OFD_SETLK, lock)
    try:
        fcntl.fcntl(two, F_OFD_SETLK, lock)
    except OSError as error:
        seen.append(error.errno)
    fcntl.lockf(one, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 100)
    child = os.fork()
    if child == 0:
        try:
            fcntl.lockf(two, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 100)
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    seen.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return seen


def test_locks(pair):
    pair.same(lock_everything)


def test_statfs(pair):
    mount, below = pair.in_mount(os.statvfs)[1], os.statvfs(pair.plain)
    assert mount.f_namemax == below.f_namemax == 255
    assert mount.f_blocks * mount.f_frsize == below.f_blocks * below.f_frsize


def test_device_and_inode_numbers(pair):
    def work(root):
        devices, numbers = set(), {}
        for directory, names, files in os.walk(root):
            with os.scandir(directory) as entries:
                for entry in entries:
                    st = entry.stat(follow_symlinks=False)
                    assert entry.inode() == st.st_ino
                    devices.add(st.st_dev)
                    numbers[os.path.relpath(entry.path, root)] = st.st_ino
        return devices, numbers
    devices, before = pair.in_mount(work)[1]
    assert len(devices) == 1

    def change(root):
        os.chmod(root / "file", 0o600)
        (root / "dir" / "sub" / "deep").write_bytes(b"changed")
        os.rename(root / "dir", root / "moved")
    pair.in_mount(change)
    expected = {name.replace("dir", "moved", 1) if name.split("/")[0] == "dir" else name: number
                for name, number in before.items()}
    assert pair.in_mount(work)[1][1] == expected
    pair.mounted.unmount()
    pair.mounted.mount()
    assert pair.in_mount(work)[1][1] == expected


# What people run


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
        fd = _libc.inotify_init1(0)
        watch = _libc.inotify_add_watch(fd, os.fsencode(root / "dir"), 0xfff)
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
        deadline = time.monotonic() + 5
        while "ELSEWHERE" not in (mounted.root / "cfg").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
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


@pytest.mark.root
def test_a_full_disk(tmp_path):
    """In the middle of a copy-up the lower stays what is seen; what needs no space goes on working."""
    disk = tmp_path / "disk"
    with open(disk, "wb") as file:
        file.truncate(16 << 20)
    mounted = Mounted(tmp_path)
    subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", disk], check=True)
    if subprocess.run(["mount", "-o", "loop", disk, mounted.environment]).returncode != 0:
        support.skip("no loop devices here")
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
        assert not (mounted.upper / "large").exists() and not list(mounted.work.iterdir())
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
