"""What a daemon takes is bounded: memory per node that it must know, none for what is read, descriptors whatever
is open; and what copies no bytes takes no space."""

import os

import pytest

from filesystem import mounted
from mounted import resident

pytestmark = [pytest.mark.usefixtures("mountable"), pytest.mark.slow]

N_NODES = 20_000
BYTES_PER_NODE = 200
SLACK = 2 << 20  # buffers of workers, and what malloc keeps
DESCRIPTORS = 64 + 16


def test_memory_of_upper_nodes(tmp_path):
    with mounted(tmp_path) as one:
        (one.root / "first").touch()
        before = resident(one.server.pid)
        for number in range(N_NODES):
            (one.root / f"module_{number:05}.py").touch()
        grown = resident(one.server.pid) - before
        assert grown <= N_NODES * BYTES_PER_NODE, f"{grown / N_NODES:.0f} bytes a node"


def test_reading_a_gibibyte_takes_no_memory(tmp_path):
    size = 1 << 30
    with mounted(tmp_path) as one:
        with open(one.root / "large", "w+b", buffering=0) as file:
            file.truncate(size)
            file.read(1 << 20)
            before = resident(one.server.pid)
            file.seek(0)
            n_read = 0
            while data := file.read(4 << 20):
                n_read += len(data)
        assert n_read == size
        assert resident(one.server.pid) - before <= 4 * SLACK


def test_descriptors_are_bounded_whatever_is_open(tmp_path):
    def fill(root):
        for number in range(300):
            (root / f"lower-{number}").write_bytes(b"%d" % number * 5000)
    with mounted(tmp_path, fill) as one:
        held = []
        for number in range(300):
            (one.root / f"dir-{number}").mkdir()
            held.append(os.open(one.root / f"dir-{number}", os.O_RDONLY))
            for name, flags in ((f"lower-{number}", os.O_RDONLY), (f"upper-{number}", os.O_RDWR | os.O_CREAT)):
                held.append(os.open(one.root / name, flags, 0o644))
            os.write(held[-1], b"written")
            os.pread(held[-2], 100, 0)
        for fd in held[2::3]:
            assert os.pread(fd, 100, 0) == b"written"
        assert len(os.listdir(f"/proc/{one.server.pid}/fd")) <= DESCRIPTORS
        for fd in held:
            os.close(fd)


def test_what_is_no_content_copies_no_bytes(tmp_path):
    size = 64 << 20

    def fill(root):
        with open(root / "large", "wb") as file:
            for number in range(size >> 20):
                file.write(b"%08d" % number * (1 << 17))
        (root / "dir").mkdir()
    with mounted(tmp_path, fill) as one:
        large = one.root / "large"
        large.chmod(0o600)
        os.utime(large, ns=(1, 2))
        os.chown(large, os.getuid(), os.getgid())
        os.setxattr(large, "user.a", b"1")
        moved = one.root / "dir" / "moved"
        os.rename(large, moved)
        os.truncate(moved, size - 1)
        copied = (one.upper / "dir" / "moved").stat()
        assert copied.st_blocks * 512 <= 16 << 10
        assert (moved.stat().st_size, moved.stat().st_mode & 0o777) == (size - 1, 0o600)
        with open(moved, "rb") as file:
            file.seek(63 << 20)
            assert file.read(8) == b"%08d" % 63
