"""Names and directories, call by call as on ext4: renaming, linking, listing."""

import ctypes
import errno
import os
import shutil
import subprocess

import support
from filesystem import RENAME_EXCHANGE, RENAME_NOREPLACE, Mounted, attempt, brief, libc, renameat2
from filesystem_pair import BIG


def try_names(root):
    seen = []
    every_byte = bytes(byte for byte in range(1, 256) if byte != ord("/"))
    for name in (b"n" * 255, b"n" * 256, every_byte, b"\xff\xfe\x01\n", "𝜋thon".encode(), b"...", b" "):
        path = os.fsencode(root) + b"/dir/" + name
        for act in (lambda: os.close(os.open(path, os.O_CREAT | os.O_WRONLY)),
                    lambda: os.rename(path, path + b"x"), lambda: os.unlink(path + b"x"),
                    lambda: os.stat(path), lambda: os.unlink(path)):
            seen.append(attempt(lambda: act() and 0))
    return seen, sorted(os.listdir(root / "dir"))


def test_names(pair):
    pair.same(try_names)


def test_damaged_objects_are_listed(mountable, tmp_path, monkeypatch):
    """As on ext4, where an inode may be damaged: its name is there, what is asked about it is EIO, and
    its neighbours do not suffer. See tests/recorder/damaged-objects.c."""
    one = Mounted(tmp_path)
    (one.lower / "dir" / "covered.damaged").mkdir(parents=True)
    for name in ("dir/changed", "dir/changed.damaged", "dir/lower"):
        (one.lower / name).write_text(name)
    one.mount()
    try:
        for name in ("changed", "changed.damaged", "new"):
            (one.root / "dir" / name).write_text("mine")
        one.unmount()
        (one.upper / "dir" / "new.damaged").write_text("odd")
        (one.upper / "dir" / "covered.damaged").mkdir()
        monkeypatch.setenv("LD_PRELOAD", str(support.BUILD / "tests" / "recorder" / "damaged-objects.so"))
        one.mount()
        monkeypatch.delenv("LD_PRELOAD")
        names = ["changed", "changed.damaged", "covered.damaged", "lower", "new", "new.damaged"]
        with os.scandir(one.root / "dir") as entries:
            told = sorted((entry.name, entry.is_dir(), entry.inode() != 0) for entry in entries)
        assert told == [(name, name == "covered.damaged", True) for name in names]
        for name in names[1:3] + names[5:]:
            for act in (os.lstat, os.unlink, os.rmdir):
                assert attempt(act, one.root / "dir" / name) == errno.EIO
        assert [(one.root / "dir" / name).read_text() for name in ("changed", "lower", "new")] == [
            "mine", "dir/lower", "mine"]
        assert attempt(shutil.rmtree, one.root / "dir") == errno.EIO
        one.unmount()
    finally:
        one.close()


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
    os.stat("moved")
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
        seen.append(attempt(renameat2, f"{root}/{old}", f"{root}/{new}", flags))
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
    return seen + [attempt(os.link, root / old, root / new)
                   for old, new in (("dir", "x"), ("none", "x"), ("big", "dir/many-1"))]


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
    libc.opendir.restype = libc.fdopendir.restype = ctypes.c_void_p
    libc.readdir.restype = ctypes.c_void_p
    libc.telldir.restype = ctypes.c_long
    libc.readdir.argtypes = libc.telldir.argtypes = [ctypes.c_void_p]
    libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
    stream = libc.opendir(os.fsencode(root / "dir"))

    def read():
        entry = libc.readdir(stream)
        return ctypes.string_at(entry + 19) if entry else None
    order, places = [], []
    while True:
        places.append(libc.telldir(stream))
        name = read()
        if name is None:
            break
        order.append(name)
    for index in (5, 1, len(order) - 1, 0, 7):
        libc.seekdir(stream, places[index])
        if read() != order[index]:
            return index
    return "right"


def test_telldir_and_seekdir(pair):
    assert pair.in_mount(seek_in_a_directory) == ("saw", "right")
