"""Much of everything: large directories, many open files, many changed ones, much read. What it costs
the daemon grows with what is asked for, or not at all."""

import ctypes
import os
import stat

import pytest

from filesystem import Mounted, as_user, libc
from mounted import resident

pytestmark = [pytest.mark.usefixtures("mountable"), pytest.mark.slow]

N_ENTRIES = 100_000
DESCRIPTORS_MAX = 64 + 40  # the cache's limit (fs/overlay.c), and what is open all the time


@pytest.fixture
def one(tmp_path):
    mounted = Mounted(tmp_path)
    yield mounted
    mounted.close()


def make_files(directory, names):
    directory.mkdir(parents=True, exist_ok=True)
    fd = os.open(directory, os.O_RDONLY)
    for name in names:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=fd))
    os.close(fd)


# A directory of a hundred thousand entries


def entries(n):
    return [f"entry-{number:06}" for number in range(n)]


def make_directory(one, name, kind, n):
    """What a mount will list as entries(@n): all the upper's, or every other one the image's, some of
    which are replaced, and other names of the image hidden."""
    names = entries(n)
    if kind == "upper":
        make_files(one.upper / name, names)
        return
    hidden = [f"hidden-{number}" for number in range(n // 100)]
    make_files(one.lower / name, names[::2] + hidden)
    make_files(one.upper / name, names[1::2] + names[::200])
    for hide in hidden:
        os.mknod(one.upper / name / hide, stat.S_IFCHR, 0)


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost_of_listing(one, name, n):
    before = processor_seconds(one.server.pid)
    listed = as_user(None, os.listdir, one.root / name)[1]
    assert len(listed) == n
    assert set(listed) == set(entries(n))
    return processor_seconds(one.server.pid) - before


class Stream:
    """opendir(3) and those that go with it: Python has no telldir()."""

    def __init__(self, path):
        libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
        libc.telldir.restype = ctypes.c_long
        libc.readdir.argtypes = libc.telldir.argtypes = libc.closedir.argtypes = [ctypes.c_void_p]
        libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
        self.stream = libc.opendir(os.fsencode(path))
        assert self.stream

    def read(self):
        entry = libc.readdir(self.stream)
        return ctypes.string_at(entry + 19).decode() if entry else None

    def tell(self):
        return libc.telldir(self.stream)

    def seek(self, place):
        libc.seekdir(self.stream, place)

    def rest(self):
        return list(iter(self.read, None))

    def close(self):
        libc.closedir(self.stream)


def change_entries(directory, number):
    """One comes, one goes; returns what came and what went."""
    gone, came = f"entry-{number * 97 + 1:06}", f"came-{number}"
    os.unlink(directory / gone)
    (directory / came).touch()
    return {gone, came}


def list_amid_changes(directory):
    """All the time that it is listed, and from each of some positions on when all is over: what neither
    came nor went is told once. In the order that it always has."""
    changed, order, places = set(), [], {}
    stream = Stream(directory)
    for name in iter(stream.read, None):
        order.append(name)
        if len(order) % 500 == 0:
            places[len(order)] = stream.tell()
            changed |= change_entries(directory, len(places))
    stable = [name for name in order if name not in changed | {".", ".."}]
    assert len(stable) == len(set(stable))
    assert set(stable) == set(entries(N_ENTRIES)) - changed
    for number in sorted(places)[::40]:
        stream.seek(places[number])
        rest = [name for name in stream.rest() if name not in changed]
        assert rest == [name for name in order[number:] if name not in changed], number
    stream.close()
    now = os.listdir(directory)
    assert len(now) == len(set(now)) == N_ENTRIES
    return len(places)


@pytest.mark.parametrize("kind", ["upper", "merged"])
def test_a_large_directory(one, kind):
    make_directory(one, "quarter", kind, N_ENTRIES // 4)
    make_directory(one, "large", kind, N_ENTRIES)
    one.mount()
    # Four times as long, if it is linear; what is quadratic anywhere takes sixteen.
    quarter = cost_of_listing(one, "quarter", N_ENTRIES // 4)
    assert cost_of_listing(one, "large", N_ENTRIES) < 8 * max(quarter, 0.05)
    assert as_user(None, list_amid_changes, one.root / "large") == ("saw", (N_ENTRIES + 2) // 500)
    one.remount()
    assert len(as_user(None, os.listdir, one.root / "large")[1]) == N_ENTRIES


# Memory and descriptors


def look_up_everything(directory, n):
    """Without a list, for which the daemon sorts names while it lasts."""
    return sum(os.stat(directory / name).st_nlink for name in entries(n)) == n


def memory_of_each(one, n):
    """What each of the files in many/ costs the daemon once it is known."""
    one.mount()
    assert as_user(None, look_up_everything, one.root / "few", 1000) == ("saw", True)
    before = resident(one.server.pid)
    assert as_user(None, look_up_everything, one.root / "many", n) == ("saw", True)
    return (resident(one.server.pid) - before) / n


def test_memory_for_each_node_of_the_upper(one):
    make_directory(one, "few", "upper", 1000)
    make_directory(one, "many", "upper", N_ENTRIES // 2)
    assert 40 <= memory_of_each(one, N_ENTRIES // 2) <= 200


def test_no_memory_for_files_of_the_image(one):
    make_files(one.lower / "few", entries(1000))
    make_files(one.lower / "many", entries(N_ENTRIES // 2))
    assert memory_of_each(one, N_ENTRIES // 2) < 10


def read_again(path, n):
    with open(path, "rb", buffering=0) as file:
        for _ in range(n):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            assert sum(map(len, iter(lambda: file.read(1 << 20), b""))) == 64 << 20
            file.seek(0)
    return True


@pytest.mark.parametrize("side", ["lower", "upper"])
def test_reading_a_gibibyte_takes_no_memory(one, side):
    where = getattr(one, side)
    where.mkdir(exist_ok=True)
    (where / "file").write_bytes(os.urandom(1 << 20) * 64)
    one.mount()
    assert as_user(None, read_again, one.root / "file", 1) == ("saw", True)
    before = resident(one.server.pid)
    assert as_user(None, read_again, one.root / "file", 16) == ("saw", True)
    assert resident(one.server.pid) - before < 1 << 20
    one.unmount()
    # It was the daemon that was asked, and not the page cache.
    assert one.requests["READ"] >= 17 * 64


def open_everything(root, pid):
    """Files of the image, changed ones and new ones, for reading and writing, and directories."""
    kept = []
    for name in entries(1000):
        kept.append(os.open(root / "lower" / name, os.O_RDONLY))
        kept.append(os.open(root / "changed" / name, os.O_RDWR))
        os.write(kept[-1], name.encode())
        kept.append(os.open(root / f"new-{name}", os.O_RDWR | os.O_CREAT))
        os.write(kept[-1], name.encode())
        os.mkdir(root / f"dir-{name}")
        kept.append(os.open(root / f"dir-{name}", os.O_RDONLY | os.O_DIRECTORY))
        os.listdir(kept[-1])
    n_open = len(os.listdir(f"/proc/{pid}/fd"))
    for number, name in enumerate(entries(1000)):
        read, changed, new, directory = kept[4 * number:4 * number + 4]
        os.unlink(root / f"new-{name}")
        assert os.pread(changed, 100, 0) == os.pread(new, 100, 0) == name.encode()
        assert os.pread(read, 100, 0) == b"" and os.listdir(directory) == []
    return max(n_open, len(os.listdir(f"/proc/{pid}/fd")))


def test_descriptors_are_bounded_whatever_is_open(one):
    make_files(one.lower / "lower", entries(1000))
    make_files(one.lower / "changed", entries(1000))
    one.mount()
    status, n_open = as_user(None, open_everything, one.root, one.server.pid)
    assert status == "saw" and n_open <= DESCRIPTORS_MAX


def test_what_is_not_content_copies_no_data(one):
    """A new mode, owner, time and name of a file of a gibibyte; nor is it read for that."""
    with open(one.lower / "file", "wb") as file:
        file.truncate(1 << 30)
    (one.lower / "dir").mkdir()
    one.mount()

    def change(root):
        os.chmod(root / "file", 0o600)
        os.chown(root / "file", os.getuid(), os.getgid())
        os.utime(root / "file", ns=(10 ** 18, 10 ** 18 + 1))
        os.setxattr(root / "file", "user.mine", b"1")
        os.rename(root / "file", root / "dir" / "moved")
        os.link(root / "dir" / "moved", root / "linked")
        st = os.stat(root / "linked")
        return stat.S_IMODE(st.st_mode), st.st_mtime_ns, st.st_size, st.st_nlink
    written = bytes_written(one.server.pid)
    assert as_user(None, change, one.root) == ("saw", (0o600, 10 ** 18 + 1, 1 << 30, 2))
    assert bytes_written(one.server.pid) - written < 64 << 10
    assert sum(path.lstat().st_blocks for path in one.upper.rglob("*")) * 512 < 64 << 10
    one.unmount()
    assert one.requests.get("READ", 0) == 0


def bytes_written(pid):
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        return int(dict(line.split(": ") for line in file)["wchar"])
