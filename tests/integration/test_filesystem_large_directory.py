"""Directories of 100,000 entries, of the upper and merged: listed in linear time, and positions in them mean the
same however many entries come and go."""

import ctypes
import os
from pathlib import Path

import pytest

from filesystem import mounted

pytestmark = [pytest.mark.usefixtures("mountable"), pytest.mark.slow]

N = 100_000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.opendir.restype = _libc.readdir.restype = ctypes.c_void_p
_libc.telldir.restype = ctypes.c_long
_libc.readdir.argtypes = _libc.telldir.argtypes = _libc.closedir.argtypes = [ctypes.c_void_p]
_libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
NAME_AT = 19  # d_name in struct dirent


class Stream:
    """A directory as opendir(3) gives it."""

    def __init__(self, path):
        self.stream = _libc.opendir(os.fsencode(path))
        assert self.stream, os.strerror(ctypes.get_errno())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _libc.closedir(self.stream)

    def read(self):
        """The next name but for . and .., None at the end."""
        while entry := _libc.readdir(self.stream):
            name = ctypes.string_at(entry + NAME_AT).decode()
            if name not in (".", ".."):
                return name
        return None

    def tell(self):
        return _libc.telldir(self.stream)

    def seek(self, position):
        _libc.seekdir(self.stream, position)


def name(number):
    return f"name-{number:06}"


def fill(directory, numbers):
    directory.mkdir()
    fd = os.open(directory, os.O_PATH)
    for number in numbers:
        os.close(os.open(name(number), os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd))
    os.close(fd)


def fill_lower(root):
    fill(root / "half", range(N // 4))
    fill(root / "large", range(N // 2))


def processor_time(pid):
    """Nanoseconds of all threads that are there."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def cost_of_listing(one, directory, n):
    before = processor_time(one.server.pid)
    names = os.listdir(directory)
    spent = processor_time(one.server.pid) - before
    assert len(names) == len(set(names)) == n
    return spent


@pytest.mark.parametrize("kind", ["upper", "merged"])
def test_a_hundred_thousand_entries(tmp_path, kind):
    upper = tmp_path / "environment" / "upper"
    upper.mkdir(parents=True)
    fill(upper / "half", range(N // 4 if kind == "merged" else 0, N // 2))
    fill(upper / "large", range(N // 2 if kind == "merged" else 0, N))
    with mounted(tmp_path, fill_lower if kind == "merged" else None) as one:
        large, half = one.root / "large", one.root / "half"
        # Twice as many cost twice as much; were it quadratic, four times.
        assert cost_of_listing(one, large, N) < 3 * cost_of_listing(one, half, N // 2)
        walk_while_entries_come_and_go(large)


def walk_while_entries_come_and_go(large):
    """Those that were there all the time are told once, and each position is where it was."""
    stays = {name(number) for number in range(N) if number % 10}
    seen, places, n_changes = [], [], 0
    with Stream(large) as stream:
        while True:
            place = stream.tell()
            entry = stream.read()
            if entry is None:
                break
            seen.append(entry)
            if len(seen) % 1000 == 0:
                change(large, n_changes)
                n_changes += 1
            if entry in stays and len(seen) % 1000 == 500:
                places.append((place, entry))
        assert n_changes >= N // 1000 - 10 and len(places) > N // 1500
        kept = [entry for entry in seen if entry in stays]
        assert len(kept) == len(stays) and set(kept) == stays
        for place, entry in reversed(places):
            stream.seek(place)
            # What has come since may stand before it, and nothing else.
            while (found := stream.read()) not in stays:
                assert found is not None
            assert found == entry


def change(large, number):
    """Twenty go, twenty others come, and one that goes comes again."""
    for index in range(20):
        (large / name((number * 20 + index) * 10 % N)).unlink(missing_ok=True)
        (large / f"later-{number}-{index}").touch()
    (large / name(number * 200 % N)).touch()
