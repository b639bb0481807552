"""What others do to the upper and work directories behind the daemon's back.

Seeded sequences of two kinds of steps: tampering with what lies below upper/ and work/ (objects
replaced by symlinks that lead out, by fifos, sockets, whiteouts and nothing; moved, exchanged and
linked; marks with values that are wrong, too long, or another object's), and ordinary operations in
the mount. What was tampered with may be lost and answer any error. But the daemon lives and answers,
what nobody touched is as it was, and nothing leads out: a tree beside the upper is never shown, never
changed and never read, which its access times tell.

VENVFS_RANDOM_SEED repeats a run. A failure names the seed, the step and what was done.
"""

import errno
import os
import random
import stat
import subprocess
import threading

import pytest

import machine
import support
from filesystem import RENAME_EXCHANGE, Mounted, as_user
from tampering import NAMES, SECRET, Canary, Racer, Tamperer, renameat2, restore_top

pytestmark = pytest.mark.usefixtures("mountable")

SEED = int(os.environ.get("VENVFS_RANDOM_SEED", "1"))
DEAD = (errno.ENOTCONN, errno.ECONNABORTED)
PATIENCE = 60  # seconds for a burst of steps, which takes about one


def fill(root):
    for name in ("dir/sub", "dir/empty", "other/dir", "untouched/deep"):
        (root / name).mkdir(parents=True)
    for name in ("file", "dir/file", "dir/sub/deep", "dir/sub/file", "other/file"):
        (root / name).write_bytes(name.encode() * 50)
    (root / "inline.inline").write_bytes(b"inline")
    (root / "link").symlink_to("dir/file")
    for number in range(5):
        (root / "untouched" / "deep" / f"{number}").write_bytes(b"%d" % number * 1000)


# Ordinary operations, by whoever follows no symlink himself


class Caller:
    def __init__(self, rng, root):
        self.rng = rng
        self.root = root
        self.held = []

    def place(self):
        """A descriptor of the directory and the last name of some path."""
        *parts, last = self.rng.choice(NAMES).split("/")
        fd = os.open(self.root, os.O_PATH | os.O_DIRECTORY)
        for part in parts:
            try:
                inner = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            finally:
                os.close(fd)
            fd = inner
        return fd, last

    def close(self):
        for fd in self.held:
            try:
                os.close(fd)
            except OSError as error:
                assert error.errno not in DEAD, "the daemon is gone"

    def read(self, fd, name):
        inner = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=fd)
        try:
            if stat.S_ISREG(os.fstat(inner).st_mode):
                assert SECRET not in os.pread(inner, 1 << 20, 0), f"{name!r} shows what is outside"
        finally:
            os.close(inner)

    def look(self, fd, depth=0):
        """All that is there, within reason: what was tampered with may be endless."""
        for name in os.listdir(fd):
            assert not name.startswith("canary-"), f"{name!r} shows what is outside"
            try:
                st = os.lstat(name, dir_fd=fd) if depth < 8 else None
                if st and stat.S_ISDIR(st.st_mode):
                    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
                    try:
                        self.look(inner, depth + 1)
                    finally:
                        os.close(inner)
                elif st and stat.S_ISREG(st.st_mode):
                    self.read(fd, name)
            except OSError as error:
                if error.errno in DEAD:
                    raise

    def look_everywhere(self):
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.look(fd)
        finally:
            os.close(fd)

    def write(self, fd, name, flags):
        inner = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o644, dir_fd=fd)
        self.held.append(inner)
        os.pwrite(inner, b"written " * 100, self.rng.choice([0, 5000]))
        if len(self.held) > 12:
            os.close(self.held.pop(0))

    def through(self, fd, name, function):
        """@function of a path that means this object, whatever it is."""
        inner = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=fd)
        try:
            return function(f"/proc/self/fd/{inner}")
        finally:
            os.close(inner)

    def use_held(self):
        fd = self.rng.choice(self.held)
        self.rng.choice([lambda: os.pwrite(fd, b"again", 0), lambda: os.pread(fd, 100, 0),
                         lambda: os.ftruncate(fd, 10), lambda: os.fstat(fd), lambda: os.fsync(fd),
                         lambda: os.fchmod(fd, 0o600)])()

    def step(self):
        """One operation. Returns what it was."""
        rng = self.rng
        what = rng.choice(["read", "write", "create", "empty", "mode", "times", "rename", "exchange",
                           "link", "unlink", "mkdir", "rmdir", "symlink", "fifo", "attribute",
                           "attributes", "list", "held", "stat", "readlink", "everything"])
        one = two = (-1, "")
        try:
            if what == "everything":
                self.look_everywhere()
                return what
            if what == "held":
                if self.held:
                    self.use_held()
                return what
            one, two = self.place(), self.place()
            (fd, name), (to_fd, to) = one, two
            {"read": lambda: self.read(fd, name),
             "write": lambda: self.write(fd, name, 0),
             "create": lambda: self.write(fd, name, os.O_CREAT),
             "empty": lambda: self.write(fd, name, os.O_TRUNC),
             "mode": lambda: self.through(fd, name, lambda path: os.chmod(path, rng.choice([0o755, 0o700]))),
             "times": lambda: os.utime(name, ns=(1, 2), dir_fd=fd, follow_symlinks=False),
             "rename": lambda: os.rename(name, to, src_dir_fd=fd, dst_dir_fd=to_fd),
             "exchange": lambda: renameat2(name, to, RENAME_EXCHANGE, fd, to_fd),
             "link": lambda: os.link(name, to, src_dir_fd=fd, dst_dir_fd=to_fd, follow_symlinks=False),
             "unlink": lambda: os.unlink(name, dir_fd=fd),
             "mkdir": lambda: os.mkdir(name, dir_fd=fd),
             "rmdir": lambda: os.rmdir(name, dir_fd=fd),
             "symlink": lambda: os.symlink("file", name, dir_fd=fd),
             "fifo": lambda: os.mkfifo(name, dir_fd=fd),
             "attribute": lambda: self.through(fd, name, lambda path: os.setxattr(path, "user.a", b"1")),
             "attributes": lambda: self.through(fd, name, os.listxattr),
             "list": lambda: self.through(fd, name, os.listdir),
             "stat": lambda: os.lstat(name, dir_fd=fd),
             "readlink": lambda: os.readlink(name, dir_fd=fd)}[what]()
            result = "done"
        except OSError as error:
            assert error.errno not in DEAD, f"{what} {one[1]!r} {two[1]!r}: the daemon is gone"
            result = errno.errorcode.get(error.errno, "?")
        finally:
            for fd, _ in (one, two):
                if fd >= 0:
                    os.close(fd)
        return f"{what} {one[1]!r} {two[1]!r}: {result}"


# Both


class Victim(Mounted):
    def try_mount(self):
        """FALSE: it was refused with a reason, as it may be where upper/ or work/ are not what they were."""
        try:
            self.mount()
            return True
        except AssertionError:
            subprocess.run(["umount", "-l", self.root], stderr=subprocess.DEVNULL, check=False)
            status = self.server.wait(timeout=20)
            assert status == 1 and self.said().splitlines()[-1].startswith("mount-image: "), self.said()
            self.server.stdout.close()
            self.log.close()
            self.server = None
            return False


class Run:
    def __init__(self, base, seed, user):
        self.rng = random.Random(seed)
        self.seed = seed
        self.user = user
        self.victim = Victim(base, user=user)
        fill(self.victim.lower)
        self.canary = Canary(base / "canary", user)
        if user:
            for path in (self.victim.lower, self.victim.environment, self.victim.root):
                subprocess.run(["chown", "-hR", f"{user.pw_uid}:{user.pw_gid}", path], check=True)
            os.chown(base, user.pw_uid, user.pw_gid)

    def image(self):
        return os.listdir(self.victim.store / "images")[0]

    def tamperer(self, seed):
        return Tamperer(random.Random(seed), self.victim.environment, self.canary.root, self.image())

    def in_child(self, function):
        """With whatever it said, should it take too long or find something wrong."""
        late = []
        timer = threading.Timer(PATIENCE, lambda: (late.append(True), self.victim.server and
                                                   self.victim.server.kill()))
        timer.start()
        done = []
        journal = self.victim.base / "journal"
        try:
            done = as_user(self.user, function)
        except AssertionError:
            tail = journal.read_text(errors="replace").splitlines()[-12:]
            raise AssertionError(f"seed {self.seed}:\n" + "\n".join(tail) + "\n" + self.victim.said()) from None
        finally:
            timer.cancel()
            assert not late, f"seed {self.seed}: no answer: " + journal.read_text(errors="replace")[-3000:]
        assert done[0] == "saw", f"seed {self.seed}: {done[1]}: " + journal.read_text(errors="replace")[-3000:]
        return done[1]

    def burst(self, seed, steps):
        """In a child: both kinds of steps, interleaved."""
        tamperer, caller = self.tamperer(seed), Caller(random.Random(seed + 1), self.victim.root)
        with open(self.victim.base / "journal", "w", errors="surrogateescape") as journal:
            for _ in range(steps):
                print(tamperer.step() if tamperer.rng.random() < 0.35 else caller.step(), file=journal, flush=True)
            caller.look_everywhere()
        caller.close()

    def race(self, seed, steps):
        """In a child: another process tampers while this one works."""
        other = os.fork()
        if other == 0:
            try:
                racer = Racer(random.Random(seed + 2), self.victim.environment, self.canary.root)
                while True:
                    racer.step()
            finally:
                os._exit(0)
        try:
            caller = Caller(random.Random(seed + 1), self.victim.root)
            with open(self.victim.base / "journal", "w", errors="surrogateescape") as journal:
                for _ in range(steps):
                    print(caller.step(), file=journal, flush=True)
            caller.close()
        finally:
            os.kill(other, 9)
            os.waitpid(other, 0)

    def tamper_unmounted(self, seed, steps):
        tamperer = self.tamperer(seed)
        said = [tamperer.step() for _ in range(steps)]
        if tamperer.rng.random() < 0.3:
            said.append(tamperer.swap_top())
        (self.victim.base / "journal").write_text("\n".join(said), errors="surrogateescape")

    def check_untouched(self):
        deep = self.victim.root / "untouched" / "deep"
        return sorted(os.listdir(deep)), [(deep / str(n)).read_bytes() == b"%d" % n * 1000 for n in range(5)]

    def round(self, bursts, steps):
        for number in range(bursts):
            seed = self.rng.getrandbits(40)
            work = self.race if number % 3 == 2 else self.burst
            self.in_child(lambda: work(seed, steps))
            if self.rng.random() < 0.5:
                self.victim.forget()
            assert self.in_child(self.check_untouched) == ([str(n) for n in range(5)], [True] * 5)
            self.canary.check(f"seed {self.seed}")
        self.victim.unmount()
        seed = self.rng.getrandbits(40)
        self.in_child(lambda: self.tamper_unmounted(seed, 25))
        if not self.victim.try_mount():
            restore_top(self.victim.environment)
            self.victim.mount()
        restore_top(self.victim.environment)
        self.canary.check(f"seed {self.seed}")

    def all(self, rounds, bursts, steps):
        self.victim.mount()
        try:
            for _ in range(rounds):
                self.round(bursts, steps)
            self.victim.unmount()
            self.canary.check(f"seed {self.seed}")
        finally:
            self.victim.close()


def tamper(base, seed, whose, rounds, bursts, steps):
    user = machine.ordinary_user() if whose == "user" and os.getuid() == 0 else None
    if whose == "user" and user is None:
        machine.skip("already an ordinary user")
    Run(base, seed, user).all(rounds, bursts, steps)


@pytest.fixture
def base():
    root = support.new_root("tamper")
    yield root
    support.remove_tree(root)


def test_the_canary_tells_who_read_it(base):
    """And lets pass who came to it from above."""
    def attempt(reading):
        root = base / reading
        root.mkdir()
        canary = Canary(root / "canary", None)
        canary.check("at first")
        try:
            {"file": lambda: (canary.root / "file").read_bytes(),
             "list": lambda: os.listdir(canary.root),
             "walk": lambda: list(os.walk(root)),
             "walk and change": lambda: [list(os.walk(root)), (canary.root / "file").chmod(0o600)]}[reading]()
            canary.check(reading)
            return "passed"
        except AssertionError:
            return "told"

    assert [attempt(reading) for reading in ("file", "list", "walk", "walk and change")] == [
        "told", "told", "passed", "told"]


@pytest.mark.sanitized
@pytest.mark.parametrize("whose", ["own", "user"])
def test_a_little(base, whose):
    tamper(base, SEED, whose, rounds=3, bursts=3, steps=150)


@pytest.mark.long
@pytest.mark.parametrize("number", range(30))
@pytest.mark.parametrize("whose", ["own", "user"])
def test_a_lot(base, whose, number):
    tamper(base, SEED * 1000 + number, whose, rounds=6, bursts=6, steps=400)
