"""What the verbs do with an environment whose upper and work directories somebody has tampered with
while it was not mounted.

They may lose what was tampered with and refuse; but none crashes or hangs, each says in one line what is
wrong and ends with 0 or 1, and nothing leads out: a tree beside the store, with files in it that look as
if they had to be rewritten, is neither changed nor read, which its access times tell. What can be done
with every environment is to delete it, whatever is in it.

VENVFS_RANDOM_SEED repeats a run. A failure names the seed and what was done.
"""

import os
import random
import re
import resource
import shutil
import socket
import stat
import subprocess
from contextlib import contextmanager

import pytest

import machine
import support
from filesystem import as_user
from mounted import create, mount
from tampering import SECRET, Canary, Tamperer, make_whiteout
from variants import first_quick, users

pytestmark = pytest.mark.usefixtures("mountable")

SEED = int(os.environ.get("VENVFS_RANDOM_SEED", "1"))
PATIENCE = 60  # seconds for a verb, which takes far less than one
LINE = re.compile(r"venvfs: [^\x00-\x1f\x7f]+")


@pytest.fixture(params=users("own", "user"))
def tampered(request, binaries, templates):
    """A world with a canary beside its store, and an environment of each kind of change."""
    user = machine.ordinary_user() if request.param == "user" and os.getuid() == 0 else None
    root = support.new_root("tampered")
    if user:
        os.chown(root, user.pw_uid, user.pw_gid)
    world = support.World(root, binaries, user, machine.find_interpreters(user), templates)
    problems = []
    try:
        world.canary = make_canary(world)
        yield world
    finally:
        problems = world.close()
    assert problems == []


def script_of(world, place=".venv"):
    return f"#!{world.project / place}/bin/python\nprint()\n"


def make_canary(world):
    """With what a mount at another place would rewrite, if it were led there."""
    root = world.root / "canary"
    for folder in (root, root / "canary-dir"):
        (folder / "bin").mkdir(parents=True)
        for name in ("pip", "activate", "bin/pip", "bin/activate", "pyvenv.cfg"):
            (folder / name).write_text(script_of(world))
    (root / "places").write_text(f"{world.project}\n")
    shutil.rmtree(root / "canary-dir")
    return Canary(root, world.user)


def change(place, script):
    """Something of all that an upper can hold."""
    (place / "bin" / "pip").write_text(script)
    (place / "bin" / "pip").chmod(0o755)
    (place / "bin" / "activate").write_text((place / "bin" / "activate").read_text() + "# mine\n")
    (place / "pyvenv.cfg").write_text((place / "pyvenv.cfg").read_text() + "mine = 1\n")
    (place / "bin" / "activate.csh").chmod(0o600)
    (place / "bin" / "activate.fish").rename(place / "bin" / "fish")
    site = next((place / "lib").glob("python3*"))
    site.rename(place / "lib" / "renamed")
    (place / "lib" / "renamed" / "file").write_text("mine\n")
    site.mkdir()
    (place / "share").mkdir()
    (place / "share" / "one").write_text("one\n")
    os.link(place / "share" / "one", place / "share" / "two")
    (place / "share" / "link").symlink_to("one")
    os.mkfifo(place / "share" / "fifo")
    (place / "share" / "deep" / "deeper").mkdir(parents=True)


def make(world, name):
    """An environment with an upper of its own. Returns its directory in the store."""
    create(world, name)
    as_user(world.user, change, mount(world, name), script_of(world))
    world.venvfs("umount", ".venv")
    return world.store / "envs" / name


def tell(world, *args, said=""):
    """Whether the verb was done; demands that it ended well in either case."""
    what = f"{said}\n$ venvfs {' '.join(map(str, args))}"
    try:
        done = world.venvfs(*args, check=None, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"no answer: {what}") from None
    lines = done.err.splitlines()
    assert done.status in (0, 1), what + done.describe()
    assert all(LINE.fullmatch(line) for line in lines), what + done.describe()
    wrong = [line for line in lines if not line.startswith("venvfs: warning: ")]
    assert len(wrong) == done.status, what + done.describe()
    assert SECRET.decode() not in done.out + done.err, what + done.describe()
    return done.status == 0


def look(root):
    """All that a mount or an export shows, within reason, as whoever follows no symlink."""
    for at, names, files, fd in os.fwalk(root, follow_symlinks=False):
        for name in files:
            inner = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=fd) \
                if stat.S_ISREG(os.lstat(name, dir_fd=fd).st_mode) else -1
            if inner >= 0:
                try:
                    assert SECRET not in os.pread(inner, 1 << 20, 0), f"{at}/{name} shows what is outside"
                except OSError:
                    pass
                os.close(inner)
        if at.count("/") > 30:
            names.clear()


def look_if_possible(root):
    try:
        look(root)
    except OSError:
        pass


def try_all(world, name, said):
    """Every verb that looks at an upper, the last of which deletes it."""
    def verb(*args):
        done = tell(world, *args, said=said)
        world.canary.check(f"{said}\nvenvfs {args}")
        return done

    verb("status", "-n", name)
    verb("status", "--json", "-n", name)
    verb("fsck")
    verb("fsck", "--deep", "--json")
    verb("gc")
    verb("doctor")
    if verb("mount", name, "other"):
        as_user(world.user, look_if_possible, world.project / "other")
        verb("status", "-n", name)
        verb("umount", "other")
    if verb("export", name, "plain"):
        as_user(world.user, look_if_possible, world.project / "plain")
    support.remove_tree(world.project / "plain")
    mount_as_any_directory(world, name, verb)
    if verb("flatten", "-n", name) and verb("mount", name, "other"):
        as_user(world.user, look_if_possible, world.project / "other")
        verb("umount", "other")
    assert verb("delete", name)
    assert verb("gc")
    assert [left for left in os.listdir(world.store / "trash") if left != "sweep"] == []


def mount_as_any_directory(world, name, verb):
    environment = world.store / "envs" / name
    for folder in ("up", "work"):
        (world.project / folder).mkdir(exist_ok=True)
        world.give(world.project / folder)
    if (environment / "upper").is_symlink():
        return  # where its user says it is
    if verb("mount", "--lower", environment / "upper", "--upper", "up", "--work", "work", "stacked"):
        as_user(world.user, look_if_possible, world.project / "stacked")
        verb("umount", "stacked")
    if (environment / "work").is_symlink():
        return
    (world.project / "low").mkdir(exist_ok=True)
    if verb("mount", "--lower", "low", "--upper", environment / "upper", "--work", environment / "work",
            "stacked"):
        as_user(world.user, look_if_possible, world.project / "stacked")
        verb("umount", "stacked")
    shutil.rmtree(world.project / "up")


# Each kind by itself


def replace_by(path, make):
    os.rename(path, path.with_name("kept"))
    make(path)


def bind(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.fspath(path))


KINDS = {
    "upper-link": lambda at, out: replace_by(at / "upper", lambda path: path.symlink_to(out)),
    "upper-fifo": lambda at, out: replace_by(at / "upper", os.mkfifo),
    "upper-file": lambda at, out: replace_by(at / "upper", lambda path: path.write_text("odd")),
    "upper-closed": lambda at, out: (at / "upper").chmod(0),
    "upper-gone": lambda at, out: shutil.rmtree(at / "upper"),
    "work-link": lambda at, out: replace_by(at / "work", lambda path: path.symlink_to(out)),
    "work-fifo": lambda at, out: replace_by(at / "work", os.mkfifo),
    "work-gone": lambda at, out: shutil.rmtree(at / "work"),
    "aside-link": lambda at, out: (at / "aside").symlink_to(out),
    "bin-link": lambda at, out: replace_by(at / "upper" / "bin", lambda path: path.symlink_to(out / "bin")),
    "bin-fifo": lambda at, out: replace_by(at / "upper" / "bin", os.mkfifo),
    "bin-socket": lambda at, out: replace_by(at / "upper" / "bin", bind),
    "bin-closed": lambda at, out: (at / "upper" / "bin").chmod(0),
    "bin-whiteout": lambda at, out: replace_by(at / "upper" / "bin", make_whiteout),
    "script-link": lambda at, out: replace_by(at / "upper" / "bin" / "pip",
                                              lambda path: path.symlink_to(out / "bin" / "pip")),
    "script-closed": lambda at, out: (at / "upper" / "bin" / "pip").chmod(0),
    "cfg-link": lambda at, out: replace_by(at / "upper" / "pyvenv.cfg",
                                           lambda path: path.symlink_to(out / "pyvenv.cfg")),
    "cfg-fifo": lambda at, out: replace_by(at / "upper" / "pyvenv.cfg", os.mkfifo),
    "cfg-directory": lambda at, out: replace_by(at / "upper" / "pyvenv.cfg", os.mkdir),
    "places-link": lambda at, out: replace_by(at / "places", lambda path: path.symlink_to(out / "places")),
    "places-fifo": lambda at, out: replace_by(at / "places", os.mkfifo),
    "places-odd": lambda at, out: (at / "places").write_bytes(b"\xff\n/\n\n.\n" + b"/x" * 9000 + b"\n\0\n"),
    "record-fifo": lambda at, out: replace_by(at / "mount.ini", os.mkfifo),
    "record-socket": lambda at, out: bind(at / "mount.ini.tmp"),
    "temporary-link": lambda at, out: (at / "work" / ".relocate.tmp").symlink_to(out / "bin" / "pip"),
    "temporary-directory": lambda at, out: (at / "work" / ".relocate.tmp").mkdir(),
    "odd-names": lambda at, out: [(at / "upper" / os.fsdecode(bytes([byte]) * length)).mkdir()
                                  for byte in b"\x01\x0a\x1b\x7f\x80\xff" for length in (1, 255)],
}


@pytest.mark.parametrize("kind", first_quick(list(KINDS)))
def test_one_kind(tampered, kind):
    environment = make(tampered, "proj")
    as_user(tampered.user, KINDS[kind], environment, tampered.canary.root)
    try_all(tampered, "proj", kind)


# Directories below directories


def make_path(root, depth, name="d"):
    """@depth directories, one in the other."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)


@contextmanager
def limits(**wanted):
    """Of what runs within, by the names of resource."""
    before = {}
    try:
        for name, limit in wanted.items():
            kind = getattr(resource, name)
            before[kind] = resource.getrlimit(kind)
            resource.setrlimit(kind, (limit or before[kind][1], before[kind][1]))
        yield
    finally:
        for kind, limit in before.items():
            resource.setrlimit(kind, limit)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["upper/lib", "work"])
@pytest.mark.parametrize("depth, descriptors", [(1100, 1024), (4000, None)])
def test_deep(tampered, depth, descriptors, where):
    """More directories, one in the other, than there are descriptors, or stack, for."""
    environment = make(tampered, "proj")
    as_user(tampered.user, make_path, environment / where, depth)
    with limits(RLIMIT_NOFILE=descriptors, RLIMIT_STACK=1 << 20):
        assert tampered.venvfs("fsck").out == f"{tampered.store}: nothing is wrong\n"
        tampered.venvfs("gc")
        try_all(tampered, "proj", f"{depth} directories deep in {where}")


# Many together


def tamper(world, name, seed, steps):
    """In a child: what was done."""
    environment = world.store / "envs" / name
    image = next((world.store / "images").iterdir()).name
    tamperer = Tamperer(random.Random(seed), environment, world.canary.root, image)
    said = [tamperer.step() for _ in range(steps)]
    if tamperer.rng.random() < 0.3:
        said.append(tamperer.swap_top())
    return f"seed {seed}:\n" + "\n".join(said)


def tamper_and_try(world, seed, rounds):
    rng = random.Random(seed)
    for number in range(rounds):
        name = f"proj{number}"
        make(world, name)
        try_all(world, name, as_user(world.user, tamper, world, name, rng.getrandbits(40), rng.choice([1, 5, 25])))


@pytest.mark.slow
@pytest.mark.sanitized
def test_a_little(tampered):
    tamper_and_try(tampered, SEED, 3)


@pytest.mark.long
@pytest.mark.parametrize("number", range(20))
def test_a_lot(tampered, number):
    tamper_and_try(tampered, SEED * 1000 + number, 30)
