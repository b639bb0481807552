"""Fixtures. What they give is described in support.py."""

import os

import pytest

import filesystem_pair
import machine
import support
from package_index import Index
from templates import Templates
from variants import first_quick, users


def pytest_configure(config):
    support.become_subreaper()
    machine.open_fuse_to_users()


def pytest_report_header(config):
    pythons = ", ".join("%s (%s)" % (".".join(map(str, one.version)), one.path)
                        for one in machine.find_interpreters())
    return [f"build under test: {support.BUILD}", f"pythons under test: {pythons or 'none'}"]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and machine.MUST_WORK and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although VENVFS_MUST_WORK=1: {report.longrepr[2]}"


def pytest_runtest_setup(item):
    if item.get_closest_marker("root") and os.getuid() != 0:
        machine.skip("needs root")
    if item.get_closest_marker("network") and os.environ.get("VENVFS_OFFLINE") == "1":
        machine.skip("VENVFS_OFFLINE=1: no index of packages can be reached")


@pytest.fixture(scope="session")
def binaries(tmp_path_factory):
    """A directory like build/ with the programs under test, which every user can run."""
    root = support.new_root("bin")
    yield support.install_binaries(root)
    support.remove_tree(root)


@pytest.fixture(scope="session")
def templates():
    """What takes seconds to make, to be copied."""
    templates = Templates()
    yield templates
    templates.close()


def _world(binaries, templates, user=None):
    root = support.new_root("user" if user else "own")
    world = support.World(root, binaries, user, machine.find_interpreters(user), templates)
    if user:
        os.chown(root, user.pw_uid, user.pw_gid)
    return world


def _end(world):
    problems = world.close()
    if problems:
        pytest.fail("after the test:\n" + "\n".join(problems), pytrace=False)


@pytest.fixture
def world(binaries, templates):
    """A private world of the user who runs the suite."""
    world = _world(binaries, templates)
    yield world
    _end(world)


@pytest.fixture
def seeded_world(world):
    """The same, whose store has what an environment is seeded with, as after an earlier `create`."""
    world.templates.seed_store(world, world.python.path)
    return world


@pytest.fixture(scope="module")
def module_world(binaries, templates):
    """The same, one for all tests of a file: where making what they need takes long."""
    world = _world(binaries, templates)
    yield world
    _end(world)


@pytest.fixture
def user_world(binaries, templates):
    """A private world of an ordinary user: another one when the suite runs as root."""
    user = machine.ordinary_user() if os.getuid() == 0 else None
    world = _world(binaries, templates, user)
    yield world
    _end(world)


@pytest.fixture(params=users("root", "ordinary"))
def any_world(request, binaries, templates):
    """The test runs once as root, where the suite is, and once as an ordinary user."""
    user = None
    if request.param == "ordinary" and os.getuid() == 0:
        user = machine.ordinary_user()
    world = _world(binaries, templates, user)
    yield world
    _end(world)


@pytest.fixture(scope="session")
def package_index():
    index = Index(support.new_root("index"))
    yield index
    index.close()


@pytest.fixture
def tool_world(world, mountable, package_index):
    """A world that has an index of packages, which it alone asks."""
    world.index = package_index
    for name, value in package_index.environment().items():
        if value is None:
            world.environment.pop(name, None)
        else:
            world.environment[name] = value
    return world


@pytest.fixture(params=users("own", "user"))
def pair(request):
    """A mount beside a plain directory, filesystem_pair.py: once as whoever runs the suite, once as an
    ordinary user."""
    user = machine.ordinary_user() if request.param == "user" and os.getuid() == 0 else None
    base = support.new_root("fs")
    pair = filesystem_pair.Pair(base, user)
    try:
        yield pair
        pair.mounted.unmount()
        left = list(pair.mounted.work.iterdir())
        assert left == [], "left in work/"
    finally:
        pair.mounted.close()
        support.remove_tree(base)


@pytest.fixture
def mountable():
    """Skips where nothing can be mounted."""
    reason = machine.have_fuse()
    if reason:
        machine.skip(reason)


def pytest_generate_tests(metafunc):
    """A test that asks for each_python runs once for every supported Python of this machine, all but the
    newest being slow."""
    if "each_python" in metafunc.fixturenames:
        found = [one for one in machine.find_interpreters() if one.ensurepip]
        metafunc.parametrize("each_python", first_quick(found[::-1]), ids=[one.minor for one in found[::-1]])
