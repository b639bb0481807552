"""An image that is damaged while it is mounted, or before: EIO or a refusal there, and nowhere else."""

import errno
import os

import pytest

from mounted import create, mount, prefix, status

pytestmark = pytest.mark.usefixtures("mountable")


@pytest.fixture
def two(world):
    """Two environments of different images; the image of the first will be damaged."""
    create(world, "bad")
    world.first = status(world, "-n", "bad")["image"]
    create(world, "good", "--system-site-packages")
    world.image = world.store / "images" / world.first
    assert len(list((world.store / "images").iterdir())) == 2
    world.store_may_be_damaged = True
    return world


def error_of(function, *args):
    with pytest.raises(OSError) as caught:
        function(*args)
    return errno.errorcode[caught.value.errno]


@pytest.mark.parametrize("size", [0, 300, 4096, 5000])
def test_truncated_while_mounted(two, size):
    bad, good = mount(two, "bad", "bad"), mount(two, "good", "good")
    os.truncate(two.image, size)
    assert error_of(os.listdir, bad / "bin") == "EIO"
    assert error_of(os.stat, bad / "pyvenv.cfg") == "EIO"
    assert prefix(two, good) == str(good)
    assert len(two.daemons()) == 1
    # It can be unmounted, its damage is found, and it is not mounted again.
    two.venvfs("umount", "bad")
    found = two.venvfs("fsck", check=1)
    assert f"images/{two.first}: is damaged" in found.out
    done = two.venvfs("mount", "bad", "bad", check=1)
    assert done.err.count("\n") == 1 and two.first in done.err and done.err.endswith("; run venvfs fsck\n")
    assert prefix(two, good) == str(good)


def test_damaged_before(two):
    data = bytearray(two.image.read_bytes())
    data[100] ^= 1
    two.image.chmod(0o644)
    two.image.write_bytes(data)
    done = two.venvfs("mount", "bad", check=1)
    assert done.err.count("\n") == 1 and two.first in done.err and done.err.endswith("; run venvfs fsck\n")
    assert not (two.project / ".venv").exists()


def test_gone(two):
    two.image.unlink()
    done = two.venvfs("mount", "bad", check=1)
    assert done.err.count("\n") == 1 and two.first in done.err, done.describe()
    assert not (two.project / ".venv").exists()
