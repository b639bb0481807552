"""What is open, and what is in it, call by call as on ext4: descriptors, bytes, maps, locks."""

import ctypes
import errno
import fcntl
import mmap
import os
import shutil
import signal
import struct
import subprocess
import tempfile

from filesystem import attempt, brief, daemon_has, give_name, libc


def write_through(path, flags):
    fd = os.open(path, os.O_RDWR | flags, 0o600)
    seen = os.write(fd, b"text"), os.fstat(fd).st_size, os.pread(fd, 20, 0)
    os.close(fd)
    return seen


def write_through_every_kind_of_open(root):
    seen = []
    for flags in (0, os.O_TRUNC, os.O_APPEND, os.O_SYNC, os.O_DSYNC, os.O_TRUNC | os.O_CREAT):
        for name in ("file", "new", "big", "dir/sub/deep", "readonly", "link", "dir", "none/x"):
            seen.append(attempt(write_through, root / name, flags))
    return seen


def test_open_for_writing(pair):
    pair.same(write_through_every_kind_of_open)


def make(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640))
    return brief(path)


def open_exclusively(root):
    return [attempt(make, root / name) for name in ("file", "link", "dir", "new", "new")]


def test_o_excl(pair):
    pair.same(open_exclusively)


def use_files_without_a_name(root):
    seen = []
    os.chmod(root / "dir", 0o2755)
    subprocess.run(["setfacl", "-d", "-m", "u:12345:rw", root / "dir" / "sub"], check=True)
    os.unlink(root / "big")
    for flags, place, name in ((os.O_RDWR, ".", "new"), (os.O_WRONLY, "dir", "dir/new"),
                               (os.O_RDWR, "dir/sub", "big"), (os.O_RDWR, ".", "file"),
                               (os.O_RDWR | os.O_EXCL, ".", "other"), (os.O_RDONLY, ".", "x"),
                               (os.O_RDWR, "file", "x"), (os.O_RDWR, "none", "x")):
        before = os.stat(root / "dir").st_mtime_ns
        try:
            fd = os.open(root / place, os.O_TMPFILE | flags, 0o666)
            seen.append((os.write(fd, b"nobody sees it"), brief(os.fstat(fd)),
                         os.stat(root / "dir").st_mtime_ns == before))
            os.truncate(fd, 6)
            seen.append((len(os.listdir(root / place)),
                         [os.getxattr(fd, attribute) for attribute in os.listxattr(fd)]))
            give_name(fd, root / name)
            os.pwrite(fd, b" is seen", 6)
            os.fsync(fd)
            seen.append(((root / name).read_bytes(),
                         os.path.samestat(os.fstat(fd), os.stat(root / name))))
            os.link(root / name, root / "second")
            seen.append(brief(os.fstat(fd)))
            os.unlink(root / "second")
            os.rename(root / name, root / "moved")
            seen.append(brief(root / "moved"))
            os.close(fd)
        except OSError as error:
            seen.append(error.errno)
    with tempfile.TemporaryFile(dir=root / "dir") as file:
        file.write(b"temporary")
        file.flush()
        seen.append((os.pread(file.fileno(), 20, 0), len(os.listdir(root / "dir"))))
    os.mkdir(root / "removed")
    os.chdir(root / "removed")
    os.rmdir(root / "removed")
    seen.append(attempt(os.open, ".", os.O_TMPFILE | os.O_RDWR, 0o600))
    return seen


def test_o_tmpfile(pair):
    if daemon_has("TMPFILE"):
        seen = pair.same(use_files_without_a_name)
        assert (b"nobody is seen", True) in seen and seen[-1] == errno.EPERM
    else:
        flags = os.O_TMPFILE | os.O_RDWR
        assert pair.in_mount(lambda root: os.open(root / "dir", flags)) == ("failed", "ENOTSUP")
        assert pair.in_mount(lambda root: tempfile.TemporaryFile(dir=root).close()) == ("saw", None)


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
        seen.append(attempt(os.open, "x", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
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
        address = libc.mmap
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
    written = attempt(os.open, root / "sleep", os.O_WRONLY)
    running.kill()
    running.wait()
    return ran, written


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
            result = libc.fallocate(fd, mode, ctypes.c_long(4096), ctypes.c_long(8192))
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


def lock_everything(root):
    seen = []
    for name in ("file", "dir"):
        one, two = os.open(root / name, os.O_RDONLY), os.open(root / name, os.O_RDONLY)
        fcntl.flock(one, fcntl.LOCK_EX)
        seen.append(attempt(fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB))
        os.close(one)
        fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(two)
    F_OFD_SETLK = 37
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 10, 0)
    one, two = os.open(root / "big", os.O_RDWR), os.open(root / "big", os.O_RDWR)
    fcntl.fcntl(one, F_OFD_SETLK, lock)
    seen.append(attempt(fcntl.fcntl, two, F_OFD_SETLK, lock))
    fcntl.lockf(one, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 100)
    child = os.fork()
    if child == 0:
        os._exit(attempt(fcntl.lockf, two, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 100) or 0)
    seen.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return seen


def test_locks(pair):
    pair.same(lock_everything)


LEASES = [(fcntl.F_RDLCK, os.O_RDONLY), (fcntl.F_WRLCK, os.O_RDWR), (fcntl.F_WRLCK, os.O_RDONLY)]
INTRUDERS = {
    "opens to read": lambda path: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK)),
    "opens to write": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)),
    "truncates": lambda path: os.truncate(path, 2),
    "changes the mode": lambda path: os.chmod(path, 0o600),
}


def intrude_on(fd, intrude, path):
    """What the holder of a lease on @fd is told while a child does @intrude, and what became of that."""
    told = []
    child = os.fork()
    if child == 0:
        os._exit(attempt(intrude, path) or 0)

    def give_up():
        told.append(fcntl.fcntl(fd, fcntl.F_GETLEASE))
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    # Both are blocked: no signal comes between looking for it and waiting.
    if signal.sigwaitinfo({signal.SIGIO, signal.SIGCHLD}).si_signo == signal.SIGIO:
        give_up()
        signal.sigwaitinfo({signal.SIGCHLD})
    elif signal.sigtimedwait({signal.SIGIO}, 0):
        give_up()
    return told, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def take_leases(root):
    """Each kind of lease, and what breaks it: what was told the holder, and whoever came."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO, signal.SIGCHLD})
    seen = []
    for name in ("file", "readonly", "dir"):
        for lease, flags in LEASES:
            if name == "dir" and flags != os.O_RDONLY:
                continue
            for does, intrude in INTRUDERS.items():
                fd = os.open(root / name, flags)
                taken = attempt(fcntl.fcntl, fd, fcntl.F_SETLEASE, lease), fcntl.fcntl(fd, fcntl.F_GETLEASE)
                told, came = intrude_on(fd, intrude, root / name) if taken[0] == 0 else ([], None)
                seen.append((name, lease, flags, does, taken, told, came, fcntl.fcntl(fd, fcntl.F_GETLEASE)))
                os.close(fd)
    return seen


def test_leases(pair):
    """On files that only read, and on those that were written."""
    for _ in range(2):
        seen = pair.same(take_leases)
        broken = [line for line in seen if line[5]]
        assert {line[6] for line in broken} == {0, errno.EAGAIN}
        assert {line[3] for line in broken} == {"opens to read", "opens to write", "truncates"}


def hand_over(root, name):
    """Whoever opens a leased file waits until its holder has written what it still has."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
    with open(root / name, "r+b", buffering=0) as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        reader = subprocess.Popen(["cat", root / name], stdout=subprocess.PIPE)
        told = signal.sigtimedwait({signal.SIGIO}, 60)
        seen = [told is not None, fcntl.fcntl(file, fcntl.F_GETLEASE), reader.poll()]
        file.write(b"in time")
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return seen, reader.communicate(timeout=60)[0], reader.returncode


def test_a_broken_lease_makes_the_next_one_wait(pair):
    for name in ("file", "dir/sub/deep", "file"):
        (told, wanted, ended), out, status = pair.same(hand_over, name)
        assert told and wanted == fcntl.F_RDLCK and ended is None
        assert out.startswith(b"in time") and status == 0
