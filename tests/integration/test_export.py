"""venvfs export: an ordinary environment, without /dev/fuse, from image and upper."""

import os
import re
import shutil
import stat
import struct
import subprocess
from pathlib import Path

import pytest

from local_wheels import write_wheel

WHITEOUT = (stat.S_IFCHR | 0o600, os.makedev(0, 0))


@pytest.fixture
def proj(world):
    write_wheel(world.wheelhouse, "app", "1.0", scripts={"app": "app:main"}, requires=["lib"])
    write_wheel(world.wheelhouse, "lib", "1.0",
                files={"lib/__init__.py": "value = 1\n", "lib/data/a.txt": "a\n", "lib/data/b.txt": "b\n"})

    def make():
        world.templates.seed_store(world, world.python.path)
        world.venvfs("create", "proj", "-q", "--python", world.python.path, "app")
    world.templates.fill_store(world, "proj with app", make)
    world.upper = world.store / "envs" / "proj" / "upper"
    world.site = Path("lib") / f"python{world.python.minor}" / "site-packages"
    return world


def exported(world, target="out"):
    result = world.venvfs("export", "proj", target, "--json").json["result"]
    return Path(result["path"])


def test_it_is_an_ordinary_environment(proj):
    target = exported(proj)
    python = target / "bin" / "python"
    answer = proj.run(python, "-c", "import sys, app, lib; print(sys.prefix, app.__file__)").out
    assert answer == f"{target} {target / proj.site}/app/__init__.py\n"
    assert proj.run(target / "bin" / "app").out == "app 1.0\n"
    assert proj.run(python, "-m", "pip", "check").out == "No broken requirements found.\n"
    assert proj.run("bash", "-c", f". {target}/bin/activate; echo $VIRTUAL_ENV; which python").out \
        == f"{target}\n{python}\n"
    proj.run(python, "-m", "pip", "uninstall", "-qy", "app", "lib")
    assert not (target / "bin" / "app").exists()
    assert not (target / proj.site / "lib").exists()


@pytest.mark.slow
def test_prompt_and_system_site_packages(proj):
    proj.venvfs("create", "other", "-q", "--python", proj.python.path, "--prompt", ".", "--system-site-packages")
    proj.venvfs("export", "other", "out")
    config = (proj.project / "out" / "pyvenv.cfg").read_text()
    assert "include-system-site-packages = true\n" in config
    prompt = proj.run("bash", "-c", ". out/bin/activate; echo $VIRTUAL_ENV_PROMPT").out
    assert proj.project.name in prompt


def test_bytecode_is_used_as_it_is(proj):
    target = exported(proj)
    loaded = proj.run(target / "bin" / "python", "-v", "-c", "import lib").err
    assert re.search(r"code object from '\S+/lib/__pycache__/__init__\.\S+\.pyc'", loaded)
    assert f"wrote '{target}" not in loaded


@pytest.mark.slow
def test_it_shares_no_inode_with_the_store(proj):
    target = exported(proj)
    for path in target.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert path.stat().st_nlink == 1


@pytest.mark.slow
def test_a_link_that_fills_its_place_in_the_image(world):
    """Nothing ends the target of one whose length is a multiple of what images are aligned to."""
    place = world.project / "base"
    interpreter = Path(os.path.realpath(world.python.path))
    python = place / "bin" / "python"
    python = python.with_name("python" + "n" * (-len(str(python)) % 64))
    python.parent.mkdir(parents=True)
    shutil.copy(interpreter, python)
    (place / "lib").symlink_to(interpreter.parent.parent / "lib")
    world.venvfs("create", "proj", "-q", "--python", python, "--without-pip")
    assert os.readlink(exported(world) / "bin" / "python") == str(python)


def test_exporting_again_gives_the_same(proj):
    """Without a change, two exports differ in nothing but their own path."""
    one, two = exported(proj, "one"), exported(proj, "two")
    def tree(root):
        found = {}
        for path in sorted(root.rglob("*")):
            st = path.lstat()
            content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            if isinstance(content, bytes):
                content = content.replace(bytes(root), b"ROOT")
            found[str(path.relative_to(root))] = (stat.filemode(st.st_mode), content,
                                                  st.st_mtime_ns if path.suffix in (".py", ".pyc") else 0)
        return found
    assert tree(one) == tree(two)


def test_the_upper_is_merged(proj):
    site = proj.upper / proj.site
    (site / "lib" / "data").mkdir(parents=True)
    (site / "lib" / "__init__.py").write_text("value = 2\n")
    (site / "lib" / "new.py").write_text("")
    os.utime(site / "lib" / "new.py", ns=(10**9, 1234567890123456789))
    os.mknod(site / "lib" / "data" / "a.txt", *WHITEOUT)
    os.link(site / "lib" / "new.py", site / "lib" / "again.py")
    os.symlink("new.py", site / "lib" / "link.py")
    os.mkfifo(site / "lib" / "fifo", 0o640)
    (site / "app").mkdir()
    os.setxattr(site / "app", "user.overlay.opaque", b"y")
    (site / "app" / "only.py").write_text("")
    target = exported(proj) / proj.site
    assert (target / "lib" / "__init__.py").read_text() == "value = 2\n"
    assert [path.name for path in (target / "lib" / "data").iterdir()] == ["b.txt"]
    assert (target / "lib" / "new.py").stat().st_mtime_ns == 1234567890123456789
    assert (target / "lib" / "again.py").stat().st_ino == (target / "lib" / "new.py").stat().st_ino
    assert os.readlink(target / "lib" / "link.py") == "new.py"
    assert stat.S_ISFIFO((target / "lib" / "fifo").stat().st_mode)
    assert [path.name for path in (target / "app").iterdir()] == ["only.py"]
    assert not any("venvfs" in name or "overlay" in name for name in os.listxattr(target / "app"))


@pytest.mark.root
def test_owners_and_attributes_come_along(proj):
    """As root, of directories, links and fifos as of files, and a file's capabilities."""
    capability = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)
    (proj.upper / "dir").mkdir()
    (proj.upper / "dir" / "file").touch()
    (proj.upper / "link").symlink_to("dir")
    os.mkfifo(proj.upper / "fifo")
    paths = ["dir", "dir/file", "link", "fifo"]
    for path in paths:
        os.chown(proj.upper / path, 1234, 1235, follow_symlinks=False)
    (proj.upper / "dir").chmod(0o2775)
    for path in paths[:2]:
        os.setxattr(proj.upper / path, "user.kept", b"value")
    os.setxattr(proj.upper / "dir" / "file", "security.capability", capability)
    target = exported(proj)
    for path in paths:
        st = os.lstat(target / path)
        assert (st.st_uid, st.st_gid, st.st_mode) == (1234, 1235, os.lstat(proj.upper / path).st_mode)
    assert [os.getxattr(target / path, "user.kept") for path in paths[:2]] == [b"value"] * 2
    assert os.getxattr(target / "dir" / "file", "security.capability") == capability


def test_holes_stay_holes(proj):
    """A file may say that it is larger than the disk."""
    with open(proj.upper / "large", "wb") as file:
        for offset in (1 << 20, 1 << 39):
            file.seek(offset)
            file.write(b"data")
        file.truncate(1 << 40)
    (proj.upper / "hole").touch()
    os.truncate(proj.upper / "hole", 1 << 40)
    target = exported(proj)
    for name, room in (("large", 1 << 20), ("hole", 0)):
        st = (target / name).stat()
        assert st.st_size == 1 << 40 and st.st_blocks * 512 <= room
    with open(target / "large", "rb") as file:
        for offset in (0, 1 << 20, 1 << 39):
            file.seek(offset)
            assert file.read(4) == (b"data" if offset else bytes(4))


@pytest.mark.slow
def test_what_copied_no_data_is_followed(proj):
    """Content that stands for an object, and a directory that was renamed."""
    image = proj.venvfs("create", "other", "--json", "--python", proj.python.path, "app").json["result"]["image"]
    site = proj.upper / proj.site
    (site / "lib" / "data").mkdir(parents=True)
    stub = site / "lib" / "data" / "b.txt"
    stub.touch()
    os.truncate(stub, 2)
    os.setxattr(stub, "user.venvfs.digest",
                b"0263829989b6fd954f72baaf2fc64bc2e2f01d692d4de72986ea808f6e99813f")  # "b\n"
    stub.chmod(0o600)
    moved = site / "moved"
    moved.mkdir()
    os.setxattr(moved, "user.venvfs.lower", f"{image}:{proj.site}/lib/data".encode())
    os.mknod(moved / "a.txt", *WHITEOUT)
    target = exported(proj) / proj.site
    assert (target / "lib" / "data" / "b.txt").read_text() == "b\n"
    assert (target / "lib" / "data" / "b.txt").stat().st_mode & 0o777 == 0o600
    assert {path.name: path.read_text() for path in (target / "moved").iterdir()} == {"b.txt": "b\n"}
    proj.store_may_be_damaged = True  # the marks were not written by a daemon


@pytest.mark.parametrize("place, words", [
    ("full", "is not empty"),
    ("file", "is no directory"),
    ("absent/deeper", "cannot go there"),
    ("a:b", "cannot hold ':'"),
    ("STORE/inside", "lies in the store"),
])
def test_places_that_do_not_do(proj, place, words):
    proj.write("full/x", "")
    proj.write("file", "")
    place = place.replace("STORE", str(proj.store))
    before = sorted(proj.project.rglob("*"))
    result = proj.venvfs("export", "proj", place, check=1)
    assert words in result.err and result.err.count("\n") == 1
    assert sorted(proj.project.rglob("*")) == before


def test_an_empty_directory_does(proj):
    (proj.project / "out").mkdir()
    assert (exported(proj) / "pyvenv.cfg").exists()


@pytest.mark.root
def test_a_full_disk_leaves_nothing(proj):
    disk = proj.root / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], check=True)
    try:
        result = proj.venvfs("export", "proj", disk / "out", "--json", check=1)
        assert result.json["error"]["errno"] == "ENOSPC"
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.slow
@pytest.mark.usefixtures("mountable")
def test_what_pip_wrote_into_the_mount_says_the_new_place(proj):
    write_wheel(proj.wheelhouse, "late", "1.0", scripts={"late": "late:main"})
    proj.venvfs("mount", "proj", ".venv")
    proj.run(proj.project / ".venv" / "bin" / "pip", "install", "-q", "late")
    while_mounted = exported(proj, "one")
    proj.venvfs("umount", ".venv")
    for target in (while_mounted, exported(proj, "two")):
        assert (target / "bin" / "late").read_text().startswith(f"#!{target}/bin/python")
        assert proj.run(target / "bin" / "late").out == "late 1.0\n"
