"""A mount that many use at once: nothing is lost, nobody waits for what is not theirs, and the daemon's
threads and descriptors stay bounded."""

import ctypes
import errno
import fcntl
import os
import random
import signal
import threading
import time

import pytest

import support
from filesystem import as_user, libc, mounted
from mounted import wait_for

pytestmark = pytest.mark.usefixtures("mountable")

THREADS_MAX = 512          # far fewer than there are tasks; more than two only while those look stuck
DESCRIPTORS_MAX = 64 + 40  # the cache's limit (fs/overlay.c), and what is open all the time


@pytest.fixture
def preload(monkeypatch):
    """Lets copies wait for the test; see tests/recorder/slow-copies.c."""
    monkeypatch.setenv("LD_PRELOAD", str(support.BUILD / "tests" / "recorder" / "slow-copies.so"))
    return monkeypatch


def n_threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def n_descriptors(pid):
    """Without the epoll set of each worker."""
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += "eventpoll" not in os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            pass
    return count


class Watch:
    """The most threads and descriptors that a process has had."""

    def __init__(self, pid):
        self.pid = pid
        self.threads = self.descriptors = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.over.wait(0.05):
            self.threads = max(self.threads, n_threads(self.pid))
            self.descriptors = max(self.descriptors, n_descriptors(self.pid))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


# Two thousand tasks

N_PROCESSES, N_THREADS = 40, 50
SHARED = [f"shared/{name}" for name in ("a", "b", "c", "lower-1", "lower-2", "dir/a", "dir/b")]
ALLOWED = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.EISDIR, errno.ENOTDIR, errno.EINVAL, errno.EPERM,
           errno.ESTALE}


def fill_shared(root):
    (root / "shared" / "dir").mkdir(parents=True)
    (root / "own").mkdir()
    for name in ("lower-1", "lower-2"):
        (root / "shared" / name).write_bytes(name.encode())
    for number in range(N_PROCESSES * N_THREADS):
        (root / "own" / f"lower-{number}").write_bytes(b"%d" % number)


def fight_for_names(root, rng):
    one, two = root / rng.choice(SHARED), root / rng.choice(SHARED)
    act = rng.choice([lambda: one.write_bytes(b"x" * rng.randrange(3000)), lambda: os.rename(one, two),
                      lambda: os.link(one, two), lambda: os.unlink(one), lambda: os.mkdir(one),
                      lambda: os.rmdir(one), lambda: one.read_bytes(), lambda: os.listdir(one.parent),
                      lambda: os.chmod(one, 0o755)])
    try:
        act()
    except OSError as error:
        if error.errno not in ALLOWED:
            raise


def use_own_names(root, number):
    """Everything that is nobody else's must be there, whatever the others do."""
    own = root / "own"
    lower, made, moved = own / f"lower-{number}", own / f"made-{number}", own / f"moved-{number}"
    assert lower.read_bytes() == b"%d" % number
    made.write_bytes(b"made %d" % number)
    with open(lower, "ab") as file:
        file.write(b" changed")
    os.rename(made, moved)
    os.link(moved, made)
    os.unlink(moved)
    os.mkdir(own / f"dir-{number}")
    os.rename(lower, own / f"dir-{number}" / "lower")
    assert made.read_bytes() == b"made %d" % number
    assert os.listdir(own / f"dir-{number}") == ["lower"]


def task(root, number, begin, failures):
    try:
        rng = random.Random(number)
        begin.wait()
        for _ in range(3):
            fight_for_names(root, rng)
        use_own_names(root, number)
        for _ in range(3):
            fight_for_names(root, rng)
    except BaseException as error:
        failures.append(f"{number}: {error!r}")


def run_tasks(root, process, starting):
    """Returns, in a child, once all of its threads are done."""
    failures, begin = [], threading.Event()
    threading.stack_size(256 * 1024)
    threads = [threading.Thread(target=task, args=(root, process * N_THREADS + number, begin, failures))
               for number in range(N_THREADS)]
    for thread in threads:
        thread.start()
    os.read(starting, 1)  # the end of the pipe: all have forked
    begin.set()
    for thread in threads:
        thread.join()
    for failure in failures[:5]:
        os.write(2, failure.encode() + b"\n")
    return 1 if failures else 0


def start_tasks(root):
    starting, start = os.pipe()
    children = []
    for process in range(N_PROCESSES):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(start)
                status = run_tasks(root, process, starting)
            finally:
                os._exit(status)
        children.append(child)
    os.close(starting)
    os.close(start)
    return children


def see_own(root):
    numbers = range(N_PROCESSES * N_THREADS)
    assert set(os.listdir(root / "own")) == {f"{kind}-{number}" for kind in ("made", "dir") for number in numbers}
    for number in numbers:
        assert (root / "own" / f"made-{number}").read_bytes() == b"made %d" % number
        assert (root / "own" / f"dir-{number}" / "lower").read_bytes() == b"%d changed" % number


@pytest.mark.slow
def test_two_thousand_tasks(tmp_path, preload):
    with mounted(tmp_path, fill_shared) as one:
        # A deadlock ends as failed children, not as a hung test.
        timer = threading.Timer(240, one.server.kill)
        with Watch(one.server.pid) as watch:
            children = start_tasks(one.root)
            timer.start()
            assert [os.waitpid(child, 0)[1] for child in children] == [0] * N_PROCESSES
            timer.cancel()
        assert watch.threads <= THREADS_MAX
        assert watch.descriptors <= DESCRIPTORS_MAX
        see_own(one.root)
        for directory in ("shared", "shared/dir"):
            listed = os.listdir(one.root / directory) if (one.root / directory).is_dir() else []
            assert len(listed) == len(set(listed))
            assert [name for name in listed if not os.path.lexists(one.root / directory / name)] == []
        one.remount()
        see_own(one.root)


# Long copies

LARGE = 64 << 10
N_COPIES = 300  # more than there were ever workers for


def fill_large(root):
    for number in range(N_COPIES):
        (root / f"large-{number}").write_bytes(b"%08d" % number * (LARGE // 8))
    (root / "dir").mkdir()
    for number in range(50):
        (root / "dir" / f"small-{number}").write_bytes(b"%d" % number)


def do_other_things(root):
    """Everything that is not a change of the large files, in the same directory and in another one."""
    for directory in (root, root / "dir"):
        (directory / "new").write_bytes(b"new")
        (directory / "new").rename(directory / "newer")
        (directory / "newer").unlink()
        (directory / "made").mkdir()
        (directory / "made").rmdir()
        assert (directory / "nothing").exists() is False
        assert len(os.listdir(directory)) >= 50
    for number in range(50):
        path = root / "dir" / f"small-{number}"
        with open(path, "ab") as file:
            file.write(b" changed")
        assert path.read_bytes() == b"%d changed" % number
        path.chmod(0o600)
    # Of those that are being copied only the page that is written is the kernel's own to lock.
    for number in range(N_COPIES):
        assert (root / f"large-{number}").stat().st_size == LARGE
    return True


def change_large(root, number):
    with open(root / f"large-{number}", "r+b") as file:
        file.write(b"changed!")


@pytest.mark.slow
def test_long_copies_make_nobody_else_wait(tmp_path, preload):
    hold = tmp_path / "hold"
    lock = open(hold, "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    preload.setenv("VENVFS_SLOW_COPIES", str(hold))
    with mounted(tmp_path, fill_large) as one:
        writers = [threading.Thread(target=change_large, args=(one.root, number)) for number in range(N_COPIES)]
        timer = threading.Timer(240, one.server.kill)
        timer.start()
        for writer in writers:
            writer.start()
        wait_for(lambda: len(list(tmp_path.glob("hold-*"))) == N_COPIES, 120)
        assert as_user(None, do_other_things, one.root) == ("saw", True)
        assert len(list(tmp_path.glob("hold-*"))) == N_COPIES
        fcntl.flock(lock, fcntl.LOCK_UN)
        for writer in writers:
            writer.join()
        timer.cancel()
        for number in range(N_COPIES):
            assert (one.root / f"large-{number}").read_bytes()[:16] == b"changed!%08d" % number
        # The workers that were needed for it leave.
        wait_for(lambda: n_threads(one.server.pid) <= 8)
        assert n_descriptors(one.server.pid) <= DESCRIPTORS_MAX


# Signals

N_STEPS = 12  # of 8 MiB (fs/copyup.c), between which a copy can end


def write_when_told(path, ready):
    """In a child: a first write, with a handler for SIGUSR1; the exit status is the errno."""
    signal.signal(signal.SIGUSR1, lambda *_: None)  # without SA_RESTART
    fd = os.open(path, os.O_RDWR)
    ready()
    written = libc.pwrite(fd, b"written", 7, 0)  # Python's own would try again
    os._exit(0 if written == 7 else ctypes.get_errno() or 255)


def start_writer(path):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        write_when_told(path, lambda: os.write(writing, b"."))
    os.close(writing)
    assert os.read(reading, 1) == b"."
    os.close(reading)
    return child


@pytest.mark.slow
def test_a_fatal_signal_ends_a_copy_and_no_other_does(tmp_path, preload):
    hold = tmp_path / "hold"
    lock = open(hold, "w")
    preload.setenv("VENVFS_SLOW_COPIES", str(hold))

    def n_steps():
        return len(list(tmp_path.glob("hold-*")))

    def fill_files(root):
        for name in ("one", "two"):
            with open(root / name, "wb") as file:
                file.truncate(N_STEPS * 8 << 20)
    with mounted(tmp_path, fill_files) as one:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = start_writer(one.root / "one")
        wait_for(lambda: n_steps() == 1)
        os.kill(child, signal.SIGUSR1)
        time.sleep(0.2)
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert n_steps() == N_STEPS

        fcntl.flock(lock, fcntl.LOCK_EX)
        child = start_writer(one.root / "two")
        wait_for(lambda: n_steps() == N_STEPS + 1)
        os.kill(child, signal.SIGKILL)
        time.sleep(0.5)  # until the daemon has been told, which it notices at the next step
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        assert n_steps() < 2 * N_STEPS
        wait_for(lambda: os.listdir(one.work) in ([], ["whiteout"]))
        assert not (one.upper / "two").exists() and (one.upper / "one").exists()
        with open(one.root / "two", "rb") as file:
            assert file.read(7) == bytes(7)
