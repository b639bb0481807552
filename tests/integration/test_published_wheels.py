"""Published wheels of every kind: what a mount shows of them is what pip installs, and what pip does to
it has the same end.

tests/wheels/published/ pins them, a requirements file a group; a group is one environment. They are
downloaded once into .cache/published/."""

import hashlib
import os
import re
import subprocess
import tempfile

import pytest

import oracle
import support

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.usefixtures("mountable")]

LISTS = support.TREE / "tests" / "wheels" / "published"
CACHE = support.TREE / ".cache" / "published"
QUICK = ["modules", "namespaces", "compiled", "data"]
LARGE = ["tools", "large"]
BROKEN = {"ptyprocess": ("record-hash", "ptyprocess/__init__.py does not have the hash that RECORD says", True),
          "testpath": ("record-path", "RECORD lists testpath-0.4.3.dist-info//tmp/", False)}


def pins(group):
    """name → version of a group, as its file lists them."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (LISTS / f"{group}.txt").read_text(), re.MULTILINE))


def download(group, python):
    """The wheels of a group that fit @python, in a directory; from the index where they are not there."""
    requirements = LISTS / f"{group}.txt"
    state = hashlib.sha256(requirements.read_bytes() + repr(python.version[:2]).encode()).hexdigest()[:16]
    folder = CACHE / f"{group}-{state}"
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        subprocess.run([python.path, "-m", "venv", f"{temporary}/venv"], check=True)
        subprocess.run([f"{temporary}/venv/bin/python", "-m", "pip", "download", "--quiet", "--no-deps",
                        "--only-binary=:all:", "--require-hashes", "-r", requirements, "-d", f"{temporary}/wheels"],
                       check=True)
        os.chmod(temporary, 0o755)
        os.rename(f"{temporary}/wheels", folder)
    return folder


@pytest.fixture
def both(world, request):
    """An ordinary environment and a mounted one, with the same wheels of a group."""
    group, python = request.param, world.python
    wheels = download(group, python)
    world.environment["PIP_FIND_LINKS"] = str(wheels)
    ordinary = world.project / "plain"
    what = ["--no-deps", "--require-hashes", "-r", LISTS / f"{group}.txt"]
    world.run(python.path, "-m", "venv", ordinary)
    world.run(ordinary / "bin" / "python", "-m", "pip", "install", "-q", *what, timeout=900)
    said = world.venvfs("create", "proj", "--json", "--python", python.path, *what, timeout=900).result
    world.venvfs("mount", "proj", ".venv")
    installed = {package["name"].lower(): package["version"] for package in said["packages"]}
    installed.pop("pip"), installed.pop("setuptools", None) if python.version < (3, 12) else None
    assert len(installed) == len(list(wheels.glob("*.whl")))
    return world, ordinary, world.project / ".venv", sorted(installed)


def groups(*names):
    return pytest.mark.parametrize("both", names, indirect=True, ids=lambda name: name)


def test_enough_of_them():
    quick = {name for group in QUICK for name in pins(group)}
    everything = quick | {name for group in LARGE for name in pins(group)}
    assert len(quick) >= 40 and len(everything) >= 80
    assert {path.stem for path in LISTS.iterdir()} == {*QUICK, *LARGE, "broken"}


def judge(world, ordinary, mounted, names):
    tag = world.python.tag
    assert oracle.compare(ordinary, mounted) == [], "as installed"
    assert oracle.check_record(mounted) > 10 * len(names)
    assert oracle.check_bytecode(mounted, tag) > 3 * len(names)
    check_pip(world, ordinary, mounted)
    started = check_scripts(world, ordinary, mounted)
    assert oracle.compare(ordinary, mounted) == [], "after the scripts ran"
    for root in (ordinary, mounted):
        world.run(root / "bin" / "python", "-m", "pip", "uninstall", "-qy", *names)
    assert oracle.compare(ordinary, mounted) == [], "after everything was uninstalled"
    return started


def check_pip(world, ordinary, mounted):
    """pip says the same of both, in the order in which it found them."""
    for args in (["check"], ["freeze", "--all"]):
        one, two = (world.run(root / "bin" / "python", "-m", "pip", *args, check=None)
                    for root in (ordinary, mounted))
        assert (one.status, sorted(one.out.splitlines()), one.err) == (
            two.status, sorted(two.out.splitlines()), two.err)


def start(world, root, name):
    try:
        done = world.run(root / "bin" / name, "--help", check=None, timeout=120, env={"PYTHONHASHSEED": "0"})
    except OSError as error:  # a program of another system
        return error.errno, ""
    if done.status == 0:
        # Without blanks, since help texts are wrapped, in the middle of a path too.
        return 0, "".join(done.out.split()).replace(str(root), "ROOT").replace(f"{root.name}/", "ROOT/")
    # A traceback has line numbers of the script itself; what it ends with is the same.
    return done.status, done.err.replace(str(root), "ROOT").rstrip("\n").rpartition("\n")[2]


def check_scripts(world, ordinary, mounted):
    """Every script that starts in the ordinary one starts in the mounted one, and says the same."""
    started = 0
    for path in sorted((ordinary / "bin").iterdir()):
        if re.match(r"python|pip|[Aa]ctivate|__pycache__", path.name):
            continue
        one, two = start(world, ordinary, path.name), start(world, mounted, path.name)
        assert (path.name, one) == (path.name, two)
        started += one[0] == 0
    return started


@groups(*QUICK)
def test_as_pip_installs_them(both):
    judge(*both)


@pytest.mark.long
@groups(*LARGE)
def test_as_pip_installs_the_larger_ones(both):
    judge(*both)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_one_is_refused_by_name(world, name):
    """pip installs it without a look; through a mount too."""
    assert set(pins("broken")) == set(BROKEN)
    rule, words, acceptable = BROKEN[name]
    world.environment["PIP_FIND_LINKS"] = str(download("broken", world.python))
    create = ["create", "proj", "--json", "--python", world.python.path, "--no-deps"]
    refused = world.venvfs(*create, name, check=1).json["error"]["message"]
    assert f": rule {rule}: {words}" in refused
    assert f"--accept {rule}" in refused if acceptable else "--accept" not in refused
    assert world.venvfs("list", "--json").result["environments"] == []
    if acceptable:
        world.venvfs(*create, name, "--accept", rule)
    else:
        world.venvfs(*create)
    world.venvfs("mount", "proj", ".venv")
    mounted = world.project / ".venv"
    world.run(mounted / "bin" / "python", "-m", "pip", "install", "-q", "--no-deps", name)
    assert (mounted / oracle.places(mounted) / name / "__init__.py").exists()
    world.run(mounted / "bin" / "python", "-c", f"import {name}")
    if acceptable:
        oracle.check_record(mounted)  # says what is there, not what the wheel said
