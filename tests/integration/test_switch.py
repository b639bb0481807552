"""A mount goes over to another image while it is in use."""

import mmap
import os
import stat
import subprocess
import textwrap
import threading
import time

import pytest

from local_wheels import write_wheel
from mounted import create, mount, refused, wait_for
from variants import first_quick

pytestmark = pytest.mark.usefixtures("mountable")

N_MODULES = 20


@pytest.fixture(params=first_quick(["expire", "drop"]))
def both_ways(request, world):
    """The kernel is told to look entries up again, or to drop them."""
    if request.param == "drop":
        world.environment["VENVFS_EXPIRE"] = "0"
    return world


def package(version):
    """Modules that differ by version, some that do not, some that only one version has."""
    files = {f"pkg/m{index}.py": f"VERSION = {version}\n" for index in range(N_MODULES)}
    files.update({f"pkg/same{index}.py": "VERSION = 0\n" for index in range(N_MODULES)})
    files["pkg/__init__.py"] = f"VERSION = {version}\n"
    files[f"pkg/only{version}/__init__.py"] = "import os\n"
    files["pkg/deep/down/same.txt"] = "same\n"
    files[f"pkg/deep/down/in{version}.txt"] = "in\n"
    files["pkg/data.bin"] = bytes([version]) * 100_000
    return files


def environments(world):
    """one and two, which have pkg 1.0 and 2.0; two has another package, too."""

    def make():
        other = write_wheel(world.root, "other", "1.0")
        for name, version, more in ("one", 1, []), ("two", 2, [other]):
            wheel = write_wheel(world.root, "pkg", f"{version}.0", files=package(version))
            create(world, name, wheel, *more)
    world.templates.fill_store(world, "one and two", make)


def switch(world, image, *args, name="one"):
    result = world.venvfs("debug", "switch", "-n", name, image, *args, "--json").result
    return result["hidden"]


def site(place):
    (found,) = (place / "lib").glob("python3.*/site-packages")
    return found


def tree(root):
    """path → what is there; the whole of it is then remembered by the kernel."""
    found = {}
    for folder, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            content = open(path, "rb").read() if stat.S_ISREG(st.st_mode) else None
            nlink = st.st_nlink if stat.S_ISDIR(st.st_mode) else 1
            found[os.path.relpath(path, root)] = (stat.S_IFMT(st.st_mode), nlink, st.st_ino, content)
    return found


def without_numbers(found):
    """What comes back may have another inode number: its own may be in use meanwhile."""
    return {path: (kind, nlink, content) for path, (kind, nlink, _, content) in found.items()}


def without_places(found):
    """But for what says where it is mounted: views, and RECORD lists no more than is there."""
    return {path: (*rest, None if path.startswith("bin/") or path == "pyvenv.cfg" else content)
            for path, (*rest, content) in found.items()}


@pytest.mark.slow
def test_all_is_seen_and_nothing_else(both_ways):
    world = both_ways
    environments(world)
    place, other = mount(world, "one"), mount(world, "two", "other")
    first, second = without_places(tree(place)), without_places(tree(other))
    absent = site(place) / "other"
    assert not absent.exists()  # and the kernel remembers that
    assert first != second
    assert switch(world, "two") == []
    assert absent.is_dir()
    assert without_places(tree(place)) == second
    switch(world, "one")
    assert not absent.exists()
    assert without_places(tree(place)) == first
    # The next mount shows the environment's own.
    switch(world, "two")
    world.venvfs("umount", place)
    mount(world, "one")
    assert without_places(tree(place)) == first


def test_what_is_open_stays(world):
    environments(world)
    place = mount(world, "one")
    packages = site(place)
    data = packages / "pkg" / "data.bin"
    with open(data, "rb") as opened, open(packages / "pkg" / "m1.py", "r+b") as writable:
        mapped = mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)
        untouched = mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)
        assert mapped[0] == 1
        folders = {name: os.open(packages / name, os.O_RDONLY | os.O_DIRECTORY)
                   for name in (".", "pkg", "pkg/deep/down", "pkg/only1")}
        before = {name: os.fstat(fd).st_ino for name, fd in folders.items()}
        sitting = subprocess.Popen(["sleep", "600"], cwd=packages / "pkg" / "deep" / "down")
        try:
            switch(world, "two")
            # Files: what they had.
            assert opened.read() == bytes([1]) * 100_000
            assert mapped[:] == bytes([1]) * 100_000 and untouched[99_999] == 1
            assert data.read_bytes() == bytes([2]) * 100_000
            writable.write(b"LATE")
            writable.flush()
            os.fsync(writable.fileno())
            assert os.pread(writable.fileno(), 100, 0) == b"LATEION = 1\n"
            assert (packages / "pkg" / "m1.py").read_text() == "VERSION = 2\n"
            # Directories that both have are what they were, also for who sits in one.
            assert os.readlink(f"/proc/{sitting.pid}/cwd") == str(packages / "pkg" / "deep" / "down")
            for name in (".", "pkg", "pkg/deep/down"):
                assert os.stat(packages / name).st_ino == before[name], name
                assert os.readlink(f"/proc/self/fd/{folders[name]}") == os.path.normpath(packages / name)
                assert sorted(os.listdir(folders[name])) == sorted(os.listdir(packages / name))
            assert sorted(os.listdir(folders["pkg/deep/down"])) == ["in2.txt", "same.txt"]
            # One that is gone is as after rm -r.
            assert not (packages / "pkg" / "only1").exists()
            with pytest.raises(FileNotFoundError):
                os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=folders["pkg/only1"])
            switch(world, "one")
            assert (packages / "pkg" / "m1.py").read_text() == "VERSION = 1\n"
            assert os.pread(writable.fileno(), 100, 0) == b"LATEION = 1\n"
            assert mapped[:] == bytes([1]) * 100_000
        finally:
            sitting.kill()
            sitting.wait()
            for fd in folders.values():
                os.close(fd)
            mapped.close()
            untouched.close()


@pytest.mark.slow
def test_a_running_python_sees_the_new(world):
    environments(world)
    place = mount(world, "one")
    program = textwrap.dedent("""
        import sys, pkg.m1
        print(pkg.m1.VERSION, flush=True)
        try:
            import other
            print(other, flush=True)
        except ImportError:
            print("absent", flush=True)
        sys.stdin.readline()
        import other, pkg.m2, pkg.only2
        print(pkg.m1.VERSION, pkg.m2.VERSION, flush=True)
    """)
    for touched in False, True:
        if touched:  # site-packages has an object in the upper then
            (site(place) / "mine.py").write_text("")
        python = world.popen(place / "bin" / "python", "-B", "-c", program, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
        assert [python.stdout.readline() for _ in range(2)] == ["1\n", "absent\n"]
        switch(world, "two")
        assert python.communicate("\n", timeout=60)[0] == "1 2\n"
        assert python.returncode == 0
        switch(world, "one")


def test_set_aside_and_brought_back(world):
    environments(world)
    place = mount(world, "one")
    packages = site(place)
    (packages / "pkg" / "m1.py").write_text("VERSION = 'edited'\n")
    (packages / "pkg" / "m2.py").unlink()
    (packages / "pkg" / "mine.py").write_text("VERSION = 'mine'\n")
    (packages / "pkg" / "in2.txt").write_text("mine")
    (packages / "own.txt").write_text("own")
    down = packages / "pkg" / "deep" / "down"
    down.rename(packages / "moved")
    down.mkdir()
    edited = without_numbers(tree(place))

    relative = packages.relative_to(place)
    hidden = [f"{relative}/pkg/{name}" for name in ("deep/down", "m1.py", "m2.py")]
    assert switch(world, "two") == hidden
    assert (packages / "pkg" / "m1.py").read_text() == "VERSION = 'edited'\n"
    switch(world, "one")

    with open(packages / "pkg" / "m1.py") as opened:
        assert switch(world, "two", "--set-aside", "PKG") == [f"{relative}/pkg/deep/down"]
        assert opened.read() == "VERSION = 'edited'\n"
    assert (packages / "pkg" / "m1.py").read_text() == "VERSION = 2\n"
    assert (packages / "pkg" / "m2.py").read_text() == "VERSION = 2\n"
    assert (packages / "pkg" / "mine.py").read_text() == "VERSION = 'mine'\n"
    assert (packages / "own.txt").read_text() == "own"
    assert sorted(os.listdir(packages / "moved")) == ["in1.txt", "same.txt"]
    (packages / "pkg" / "m1.py").write_text("VERSION = 'edited again'\n")

    switch(world, "one", "--set-aside", "pkg", "--number", "2", "--bring-back", "1")
    assert without_numbers(tree(place)) == edited
    switch(world, "two", "--set-aside", "pkg", "--bring-back", "2")
    assert (packages / "pkg" / "m1.py").read_text() == "VERSION = 'edited again'\n"
    # What is aside comes back with its generation.
    world.venvfs("umount", place)
    mount(world, "one")
    assert (packages / "pkg" / "m2.py").exists() is False
    assert (packages / "moved" / "in1.txt").exists()


def test_what_takes_the_place_of_a_renamed_directory_is_listed(world):
    """Both go by one id in the images, so what is seen anew goes by another, and all below it."""
    environments(world)
    place = mount(world, "one")
    packages = site(place)
    deep = packages / "pkg" / "deep"
    deep.rename(packages / "moved")
    switch(world, "two", "--set-aside", "PKG")
    assert os.stat(deep).st_ino != os.stat(packages / "moved").st_ino
    assert os.listdir(deep) == ["down"]
    assert sorted(os.listdir(deep / "down")) == ["in2.txt", "same.txt"]
    assert (deep / "down" / "same.txt").read_text() == "same\n"
    assert sorted(os.listdir(packages / "moved" / "down")) == ["in1.txt", "same.txt"]


@pytest.mark.slow
def test_former_images_stay_until_the_end(world):
    environments(world)
    place = mount(world, "one")
    switch(world, "two")
    with open(site(place) / "pkg" / "data.bin", "rb") as opened:
        switch(world, "one")
        world.venvfs("delete", "two")
        world.venvfs("gc")
        assert len(list((world.store / "images").iterdir())) == 2
        assert opened.read() == bytes([2]) * 100_000
    world.venvfs("umount", place)

    def nobody_claims_it():
        world.venvfs("gc")
        return len(list((world.store / "images").iterdir())) == 1
    wait_for(nobody_claims_it)


@pytest.mark.slow
def test_what_cannot_be_switched(world):
    environments(world)
    absent = "0" * 64
    refused(world.venvfs("debug", "switch", "-n", "one", "two", check=None), "one: is not mounted")
    mount(world, "one")
    refused(world.venvfs("debug", "switch", "-n", "one", "three", check=None),
            "three: no such environment; 'venvfs list' shows those there are")
    refused(world.venvfs("debug", "switch", "-n", "one", absent, check=None),
            f"images/{absent}: not in the store")
    assert world.venvfs("debug", "other", "x", check=2).err.startswith("venvfs: debug: other: ")
    image = world.store / "images" / world.venvfs("status", "-n", "two", "--json").result["image"]
    world.store_may_be_damaged = True
    image.chmod(0o644)
    image.write_bytes(image.read_bytes()[:5000])
    before = tree(site(world.project / ".venv"))
    done = world.venvfs("debug", "switch", "-n", "one", "two", check=1)
    assert "instead of" in done.err
    assert tree(site(world.project / ".venv")) == before


IMPORTER = """
import sys, importlib, os
names = ["pkg.m%d" % i for i in range(20)] + ["pkg.same%d" % i for i in range(20)]
n = 0
print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    for name in [name for name in sys.modules if name.split(".")[0] == "pkg"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    versions = {importlib.import_module(name).VERSION for name in names}
    assert versions <= {0, 1, 2}, versions
    n += 1
print(n, flush=True)
"""

SITTER = """
import os, sys
os.chdir(sys.argv[2])
here = os.getcwd()
fd = os.open("same.txt", os.O_RDONLY)
print("ready", flush=True)
n = 0
while not os.path.exists(sys.argv[1]):
    assert os.getcwd() == here
    assert open("same.txt").read() == "same\\n"
    assert os.pread(fd, 10, 0) == b"same\\n"
    # A switch may come between the two questions of one listing: what comes or goes with it is there or not.
    assert {"same.txt"} <= set(os.listdir(".")) <= {"same.txt", "in1.txt", "in2.txt"}
    n += 1
print(n, flush=True)
"""

HOLDER = """
import mmap, os, sys
print("ready", flush=True)
n = 0
path = sys.argv[2]
while not os.path.exists(sys.argv[1]):
    with open(path, "rb") as opened:
        with mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            first = mapped[0]
            assert first in (1, 2)
            for _ in range(20):
                assert opened.read() == bytes([first]) * 100_000
                assert mapped[:] == bytes([first]) * 100_000
                opened.seek(0)
    n += 1
print(n, flush=True)
"""

EDITOR = """
import os, sys
print("ready", flush=True)
n = 0
path = sys.argv[2]
while not os.path.exists(sys.argv[1]):
    text = "EDIT = %d\\n" % n
    with open(path, "w") as opened:
        opened.write(text)
        opened.flush()
        for _ in range(5):
            with open(opened.fileno(), "rb", closefd=False) as again:
                pass
            assert os.fstat(opened.fileno()).st_size == len(text)
    n += 1
print(n, flush=True)
"""


@pytest.mark.slow
@pytest.mark.sanitized
@pytest.mark.threads
def test_under_load(both_ways):
    """Switches one after the other, while others import, sit, read, map and edit."""
    world = both_ways
    environments(world)
    place = mount(world, "one")
    packages = site(place)
    stop = world.project / "stop"
    python = place / "bin" / "python"
    base = world.interpreters[-1].path
    busy = [(python, IMPORTER), (python, IMPORTER), (base, SITTER, packages / "pkg" / "deep" / "down"),
            (base, HOLDER, packages / "pkg" / "data.bin"), (base, EDITOR, packages / "pkg" / "mine.txt"),
            (base, EDITOR, packages / "pkg" / "in1.txt")]
    running = [world.popen(program, "-B", "-c", text, stop, *arguments, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True) for program, text, *arguments in busy]
    try:
        assert [process.stdout.readline() for process in running] == ["ready\n"] * len(running)
        end = time.monotonic() + 8
        n_switches = 0
        while time.monotonic() < end or n_switches < 6:
            version = 2 - n_switches % 2
            arguments = ["--set-aside", "pkg", "--number", str(3 - version), "--bring-back", str(version)]
            switch(world, "one" if version == 1 else "two", *(arguments if n_switches % 4 > 1 else []))
            # Whoever looks now, looks at the new.
            assert (packages / "pkg" / "m3.py").read_text() == f"VERSION = {version}\n"
            assert (packages / "pkg" / "data.bin").read_bytes()[:1] == bytes([version])
            assert (packages / "other").exists() == (version == 2)
            assert sorted(os.listdir(packages / "pkg" / "deep" / "down")) == [f"in{version}.txt", "same.txt"]
            ended = [process for process in running if process.poll() is not None]
            assert ended == [], [process.communicate() for process in ended]
            n_switches += 1
    finally:
        stop.touch()
        ends = [process.communicate(timeout=60) for process in running]
    for process, (out, err) in zip(running, ends):
        assert process.returncode == 0, err
        assert int(out) > 0


@pytest.mark.threads
@pytest.mark.slow
def test_many_at_once(world):
    """Switches of one mount wait for each other; an unmount in between is an unmount."""
    environments(world)
    place = mount(world, "one")
    results = []

    def work(image):
        for _ in range(5):
            results.append(world.venvfs("debug", "switch", "-n", "one", image, check=None))

    threads = [threading.Thread(target=work, args=(image,)) for image in ("one", "two", "one")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.status for result in results] == [0] * 15
    version = (site(place) / "pkg" / "__init__.py").read_text()
    assert {(site(place) / "pkg" / f"m{i}.py").read_text() for i in range(N_MODULES)} == {version}

    threads = [threading.Thread(target=work, args=(image,)) for image in ("one", "two")]
    for thread in threads:
        thread.start()
    world.venvfs("umount", "--force", place)
    for thread in threads:
        thread.join()
    for result in results[15:]:
        assert result.status in (0, 1), result.describe()
        assert result.status == 0 or "not mounted" in result.err or "has no mount" in result.err
