"""Attributes of nodes, call by call as on ext4: modes, owners, times, ACLs, extended ones, numbers."""

import errno
import os
import shutil
import socket
import stat
import struct
import subprocess

import pytest

import machine
import support
from filesystem import Mounted, as_user, attempt, brief, give_name
from filesystem_pair import fill


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


@pytest.fixture
def shared():
    """Root's mount, which others may use, and beside it `plain`, both writable to all."""
    base = support.new_root("fs")
    mounted = Mounted(base, "default_permissions,allow_other")
    mounted.plain = base / "plain"
    mounted.plain.mkdir()
    try:
        for root in (mounted.lower, mounted.plain):
            fill(root)
        mounted.mount()
        for root in (mounted.root, mounted.plain):
            root.chmod(0o777)
        yield mounted
        mounted.unmount()
    finally:
        mounted.close()
        support.remove_tree(base)


CHANGES = {
    "write": lambda path: os.write(os.open(path, os.O_WRONLY), b"x"),
    "append": lambda path: os.write(os.open(path, os.O_WRONLY | os.O_APPEND), b"x"),
    "truncate": lambda path: os.truncate(path, 3),
    "open": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)),
    "allocate": lambda path: os.posix_fallocate(os.open(path, os.O_WRONLY), 0, 10),
    "copy": lambda path: os.copy_file_range(os.open(path.parent / "script", os.O_RDONLY),
                                            os.open(path, os.O_WRONLY), 5),
}
# cap_net_raw=ep, see vfs_ns_cap_data in linux/capability.h.
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)


@pytest.mark.root
def test_who_may_not_keep_setuid_and_capabilities_takes_them_away(shared):
    """Root keeps the former and nobody the latter. A setgid without execution is left to members of
    the group."""
    user = machine.ordinary_user()

    def change(root, who):
        seen = []
        for act in CHANGES.values():
            for name in ("file", "big", "new"):
                for mode in (0o6777, 0o2766, 0o4766):
                    (root / name).touch()
                    os.chown(root / name, 0, user.pw_gid)
                    os.chmod(root / name, mode)
                    as_user(who, act, root / name)
                    seen.append(brief(root / name))
                os.setxattr(root / name, "security.capability", CAPABILITY)
                as_user(who, act, root / name)
                seen.append(os.listxattr(root / name))
        return seen
    for who in (user, None):
        expected = change(shared.plain, who)
        assert change(shared.root, who) == expected
        modes = {one[0] for one in expected if one}
        assert modes == ({"0o100777", "0o102766", "0o100766"} if who else
                         {"0o106777", "0o102766", "0o104766"})


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


def hand_down_the_group(root):
    """To what is made in a directory with setgid, by whatever call; directories get the bit, too."""
    seen, group = [], 12345 if os.getuid() == 0 else os.getgid()
    for name in ("dir", "dir/sub", "made"):
        (root / name).mkdir(exist_ok=True)
        os.chown(root / name, -1, group)
        os.chmod(root / name, 0o2775)
        (root / name / "f").touch(0o2755)
        os.mkdir(root / name / "d")
        os.mkdir(root / name / "d" / "below")
        os.mkfifo(root / name / "p")
        os.symlink("f", root / name / "l")
        os.rename(root / "big", root / name / "big")
        seen += [brief(root / name / made) for made in ("f", "d", "d/below", "p", "l", "big")]
        os.rename(root / name / "big", root / "big")
    return seen


def test_setgid_of_directories(pair):
    seen = pair.same(hand_down_the_group)
    assert seen[1][0] == "0o42755" and seen[2][4] == seen[1][4]


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
def test_acls_and_groups_let_others_in_or_keep_them_out(shared):
    """As on ext4, for access(2) too and with supplementary groups."""
    user = machine.ordinary_user()

    def prepare(root):
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
                seen.append(attempt(lambda: act() and 0))
        return seen

    def with_groups(root):
        os.setgroups([12345])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        return use(root)
    for root in (shared.plain, shared.root):
        as_user(None, prepare, root)
    assert as_user(user, use, shared.root) == as_user(user, use, shared.plain)
    for root in (shared.plain, shared.root):
        shutil.copy("/bin/true", root / "sleep")
    assert as_user(None, with_groups, shared.root) == as_user(None, with_groups, shared.plain)


@pytest.mark.root
def test_a_group_that_its_user_got_after_it_was_started(pair):
    """The daemon gives files away with the groups that it began with."""
    if pair.user is None or os.getuid() != 0:
        return

    def give(root):
        os.setgroups([12345])
        os.setgid(pair.user.pw_gid)
        os.setuid(pair.user.pw_uid)
        return attempt(os.chown, root / "file", -1, 12345)
    assert as_user(None, give, pair.plain) == ("saw", None)
    assert as_user(None, give, pair.root) == ("saw", errno.EPERM)


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
        made = attempt(os.mknod, root / f"device-{kind}-{device}", kind | 0o600, device)
        seen.append(made or os.stat(root / f"device-{kind}-{device}").st_rdev)
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
            seen.append(attempt(call))
    return seen


def test_extended_attributes(pair):
    pair.same(set_attributes)


def use_behind_a_closed_door(root):
    """Through descriptors, when nobody may go through their directory any more."""
    (root / "room").mkdir()
    (root / "room" / "new").touch()
    seen = []
    for path in (root / "room" / "new", root / "dir" / "sub" / "deep"):
        path.with_name("symlink").symlink_to("elsewhere")
        with open(path, "r+b") as file:
            fd, door = file.fileno(), path.parent
            symlink = os.open(path.with_name("symlink"), os.O_PATH | os.O_NOFOLLOW)
            door.chmod(0)
            seen += [os.setxattr(fd, "user.kept", b"value"), os.getxattr(fd, "user.kept"), os.listxattr(fd),
                     os.removexattr(fd, "user.kept"), os.listxattr(fd), os.fchmod(fd, 0o600), os.fstat(fd).st_mode,
                     os.readlink("", dir_fd=symlink), os.close(symlink)]
            give_name(fd, root / f"{path.name}-linked")
            seen.append(os.fstat(fd).st_nlink)
            door.chmod(0o755)
    return seen


def test_in_a_directory_that_is_not_searchable(pair):
    assert pair.same(use_behind_a_closed_door)[1] == b"value"


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
    pair.mounted.forget()
    assert pair.in_mount(work)[1][1] == expected
    pair.mounted.remount()
    assert pair.in_mount(work)[1][1] == expected
