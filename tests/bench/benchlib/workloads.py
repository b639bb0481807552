"""What people do to a directory of files, timed from inside. Run as a program:

    python workloads.py NAME DIRECTORY [ARGUMENT]

prints the seconds that it took. Standard library only, since it is run by the Python of the
environment that is measured. What it makes, it makes below DIRECTORY/bench, and removes."""

import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

MiB = 1 << 20
WORKLOADS = {}


def workload(function):
    WORKLOADS[function.__name__] = function
    return function


def quiet(*arguments, cwd=None):
    subprocess.run(arguments, cwd=cwd, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def timed(function, *arguments, **options):
    start = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - start


def walk(root):
    return [os.path.join(folder, name) for folder, folders, names in os.walk(root)
            for name in sorted(folders + names)]


def scratch(root):
    place = os.path.join(root, "bench")
    shutil.rmtree(place, ignore_errors=True)
    os.mkdir(place)
    return place


@workload
def stat(root, names):
    """Every entry, by the list of names in a file: on a cold mount, a LOOKUP each."""
    with open(names) as lines:
        paths = [os.path.join(root, line.rstrip("\n")) for line in lines]
    return timed(lambda: [os.lstat(path) for path in paths])


@workload
def one_stat(root, names):
    """The median of them: what the others on the machine do in between is left out."""
    with open(names) as lines:
        paths = [os.path.join(root, line.rstrip("\n")) for line in lines]
    return statistics.median(timed(os.lstat, path) for path in paths)


@workload
def find(root):
    return timed(quiet, "find", root, "-size", "+1k")


@workload
def du(root):
    return timed(quiet, "du", "-s", root)


@workload
def tar(root):
    # Not to /dev/null, for which GNU tar reads nothing.
    return timed(quiet, "sh", "-c", 'tar c -C "$0" . | cat >/dev/null', root)


@workload
def grep(root):
    return timed(quiet, "sh", "-c", 'grep -r no-such-word-anywhere "$0" || :', os.path.join(root, "lib"))


@workload
def git_status(root):
    """Of a clone inside, unchanged."""
    return timed(quiet, "git", "status", "--porcelain", cwd=os.path.join(root, "clone"))


@workload
def git_clone(root, repository):
    place = scratch(root)
    seconds = timed(quiet, "git", "clone", "-q", "--no-hardlinks", repository, os.path.join(place, "clone"))
    shutil.rmtree(place)
    return seconds


def read_all(paths):
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            file.read(1 << 16)


@workload
def small_reads(root):
    """open, read, close of the files up to 16 KiB, as often as that was done before."""
    paths = [path for path in walk(os.path.join(root, "lib"))
             if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) <= 16384]
    paths = paths[:8000]
    read_all(paths)
    return timed(read_all, paths)


@workload
def large_reads(root):
    sizes = sorted(((os.path.getsize(path), path) for path in walk(os.path.join(root, "lib"))
                    if os.path.isfile(path) and not os.path.islink(path)), reverse=True)[:20]
    buffer = bytearray(MiB)

    def read():
        for _, path in sizes:
            with open(path, "rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass
    read()
    return timed(lambda: [read() for _ in range(3)])


def write(path, size, sync):
    block = os.urandom(MiB)
    with open(path, "wb", buffering=0) as file:
        for _ in range(size):
            file.write(block)
        if sync:
            os.fsync(file.fileno())


def write_large(root, sync):
    place = scratch(root)
    seconds = timed(write, os.path.join(place, "file"), 256, sync)
    shutil.rmtree(place)
    return seconds


@workload
def large_writes(root):
    return write_large(root, False)


@workload
def large_writes_synced(root):
    return write_large(root, True)


def files_of(place):
    return [os.path.join(place, f"file-{i}") for i in range(3000)]


def create_files(paths):
    for path in paths:
        with open(path, "wb", buffering=0) as file:
            file.write(b"x" * 1000)


@workload
def create(root):
    """What was created stays until another workload begins: ext4 passes by each inode that was freed in the last
    minutes, one by one, and all would be measured by that."""
    place = os.path.join(root, "bench")
    os.makedirs(place, exist_ok=True)
    return timed(create_files, files_of(tempfile.mkdtemp(dir=place)))


def with_files(root, operation):
    place = scratch(root)
    paths = files_of(place)
    create_files(paths)
    seconds = timed(operation, paths)
    shutil.rmtree(place)
    return seconds


@workload
def rename(root):
    return with_files(root, lambda paths: [os.rename(path, path + "-renamed") for path in paths])


@workload
def unlink(root):
    return with_files(root, lambda paths: [os.unlink(path) for path in paths])


@workload
def sqlite(root):
    """Transactions of a WAL database that syncs each of them."""
    place = scratch(root)

    def work():
        database = sqlite3.connect(os.path.join(place, "db"), isolation_level=None)
        database.execute("pragma journal_mode=wal")
        database.execute("pragma synchronous=full")
        database.execute("create table t (k integer primary key, v text)")
        for i in range(150):
            database.execute("insert into t values (?, ?)", (i, "x" * 500))
        database.close()
    seconds = timed(work)
    shutil.rmtree(place)
    return seconds


def python_in(root):
    return os.path.join(root, "bin", "python")


@workload
def pip_install(root, wheel):
    return timed(quiet, python_in(root), "-m", "pip", "install", "-q", "--no-index", "--no-deps",
                 "--force-reinstall", wheel)


@workload
def compileall(root):
    [package] = [path for path in (os.path.join(root, "lib", name, "site-packages", "sqlalchemy")
                                   for name in os.listdir(os.path.join(root, "lib"))) if os.path.isdir(path)]
    return timed(quiet, python_in(root), "-m", "compileall", "-q", "-f", package)


@workload
def pytest(root):
    return timed(quiet, python_in(root), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs",
                 "sklearn.utils.tests.test_class_weight", "sklearn.metrics.tests.test_ranking", cwd="/")


if __name__ == "__main__":
    print(WORKLOADS[sys.argv[1]](*sys.argv[2:]))
