"""Every operation on every kind of node, as one table: what ext4 answers, the mount must answer.

A cell is an operation (a line of OPERATIONS in matrix_operations.py) on a kind of node (a line of
KINDS in matrix_kinds.py). It has a directory
of its own, in the image and as a plain copy, where `node` is of that kind and where `file2`, `dir2`
(not empty) and `empty2` stand beside it. The operation runs in both; what it returned or the errno
it failed with must be equal, and so must be what the directory then shows, also after a remount.
What cannot be equal stands in DIFFERENCES, with the reason.

    VENVFS_MATRIX=1 pytest -s tests/integration/test_filesystem_matrix.py

prints the table: one line an operation, one column a kind.
"""

import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

import machine
import support
from filesystem import Mounted, as_user, brief
from matrix_kinds import KINDS
from matrix_operations import DIFFERENCES, OPERATIONS, name_of

SHOWS_TABLE = "VENVFS_MATRIX" in os.environ


class Cell:
    def __init__(self, kind, operation):
        self.kind, self.lower, self.set_up = kind
        self.operation, self.act = operation
        self.place = "/".join(name.replace(" ", "-").replace("/", "-").replace(",", "")
                              for name in (self.kind, self.operation))

    def fill(self, root, views_are_files):
        directory = root / self.place
        (directory / "dir2").mkdir(parents=True)
        (directory / "empty2").mkdir()
        (directory / "dir2" / "child").write_bytes(b"child\n")
        (directory / "file2").write_bytes(b"the second file\n")
        self.lower(directory / "node")
        for path in list(directory.glob("node.*")) if views_are_files else []:
            path.rename(path.with_suffix(""))

    def run(self, root):
        """The answer, and what the directory then shows."""
        os.chdir(root)
        try:
            answer = self.act(root / self.place / "node")
        except Exception as error:
            answer = name_of(error)
        os.chdir(root)
        return answer, look(root / self.place)


CELLS = [Cell(kind, operation) for kind in KINDS for operation in OPERATIONS]


def look(directory):
    """Everything that can be seen in it."""
    seen = []
    for at, names, files in os.walk(directory):
        names.sort()
        for name in sorted(names + files):
            path = os.path.join(at, name)
            what = [os.path.relpath(path, directory)]
            seen.append(what)
            try:
                st = os.lstat(path)
                what.append(brief(st))
                if stat.S_ISLNK(st.st_mode):
                    what.append(os.readlink(path))
                what.append(sorted((key, os.getxattr(path, key, follow_symlinks=False))
                                   for key in os.listxattr(path, follow_symlinks=False)
                                   if key.startswith("user.")))
                if stat.S_ISREG(st.st_mode):
                    with open(path, "rb") as file:
                        what.append(file.read(400))
            except OSError as error:
                what.append(name_of(error))
    return seen


def run_on_plain(root):
    os.umask(0o022)
    answers = {}
    for cell in CELLS:
        cell.fill(root, views_are_files=True)
        cell.set_up(root / cell.place / "node")
        answers[cell.place] = cell.run(root)
        remove_whatever_its_modes(root / cell.place)
    return answers


def set_up_on_mount(root):
    os.umask(0o022)
    for cell in CELLS:
        cell.set_up(root / cell.place / "node")


def run_on_mount(root):
    os.umask(0o022)
    return {cell.place: cell.run(root) for cell in CELLS}


def look_at_mount(root):
    return {cell.place: look(root / cell.place) for cell in CELLS}


def remove_whatever_its_modes(directory):
    for at, names, files in os.walk(directory):
        for name in names:
            if not os.path.islink(os.path.join(at, name)):
                os.chmod(os.path.join(at, name), 0o700)
    shutil.rmtree(directory)


def describe(answer):
    return answer if isinstance(answer, str) else "ok"


def table(answers):
    width = max(len(operation) for operation, act in OPERATIONS)
    lines = [" " * width + " | " + " | ".join(kind for kind, *rest in KINDS)]
    for operation in OPERATIONS:
        row = [describe(answers[Cell(kind, operation).place][0]).ljust(len(kind[0]))
               for kind in KINDS]
        lines.append(operation[0].ljust(width) + " | " + " | ".join(row))
    return "\n".join(lines)


def is_as_expected(cell, expected, got):
    return expected == got or not isinstance(got[0], list) and got[0] in DIFFERENCES.get(cell.operation, ())


def compare(expected, got):
    different = {}
    for cell in CELLS:
        if not is_as_expected(cell, expected[cell.place], got[cell.place]):
            different.setdefault(cell.operation, []).append(cell)
    text = "\n".join(
        f"{operation}: {', '.join(cell.kind for cell in cells)}\n"
        f"  ext4  {expected[cells[0].place]!r:.1500}\n  mount {got[cells[0].place]!r:.1500}"
        for operation, cells in different.items())
    assert not different, f"{len(different)} operations differ:\n{text}"


class Matrix:
    """The image's tree lies in memory: it is large, and looked at once."""

    def __init__(self, user):
        self.user = user
        self.base = support.new_root("matrix")
        self.mounted = Mounted(self.base, user=user)
        self.mounted.lower = Path(tempfile.mkdtemp(prefix="vf-matrix-", dir="/dev/shm"))
        self.mounted.lower.chmod(0o755)
        self.plain = self.base / "plain"
        self.plain.mkdir()
        for cell in CELLS:
            cell.fill(self.mounted.lower, views_are_files=False)
        if user is not None:
            subprocess.run(["chown", "-hR", f"{user.pw_uid}:{user.pw_gid}", self.base], check=True)
        self.root = self.mounted.mount()

    def saw(self, function, root):
        saw, answer = as_user(self.user, function, root)
        assert saw == "saw", answer
        return answer

    def close(self):
        self.mounted.close()
        support.remove_tree(self.mounted.lower)
        support.remove_tree(self.base)


@pytest.mark.slow
@pytest.mark.parametrize("whose, warm", [
    pytest.param("own", True, id="own-warm", marks=pytest.mark.long),
    pytest.param("user", False, id="user-cold"),
    pytest.param("own", False, id="own-cold", marks=pytest.mark.long),
    pytest.param("user", True, id="user-warm", marks=pytest.mark.long)])
def test_matrix(whose, warm):
    user = machine.ordinary_user() if whose == "user" and os.getuid() == 0 else None
    if whose == "user" and user is None:
        machine.skip("already an ordinary user")
    matrix = Matrix(user)
    try:
        expected = matrix.saw(run_on_plain, matrix.plain)
        if SHOWS_TABLE:
            print(table(expected))
        matrix.saw(set_up_on_mount, matrix.root)
        if not warm:
            matrix.mounted.remount()
        got = matrix.saw(run_on_mount, matrix.root)
        compare(expected, got)
        matrix.mounted.remount()
        aftermath = matrix.saw(look_at_mount, matrix.root)
        compare({place: (None, answer[1]) for place, answer in got.items()},
                {place: (None, seen) for place, seen in aftermath.items()})
    finally:
        matrix.close()
