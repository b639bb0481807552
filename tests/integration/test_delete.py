"""venvfs delete: mounted or not, used or not."""

import os
import subprocess

import pytest


@pytest.fixture
def proj(seeded_world):
    world = seeded_world
    world.venvfs("create", "proj", "-q", "--python", world.python.path)
    return world


def test_what_is_not_mounted(proj):
    # On a slow disk the removal of what it held is left to gc.
    assert proj.venvfs("delete", "proj").out in ("Deleted proj\n", "Deleted proj; 'venvfs gc' frees its disk\n")
    assert not (proj.store / "envs" / "proj").exists()
    again = proj.venvfs("delete", "proj", check=1)
    assert again.err.startswith("venvfs: proj: no such environment")


def test_several_and_json(proj):
    proj.venvfs("create", "two", "-q", "--python", proj.python.path)
    assert proj.venvfs("delete", "proj", "two", "--json").json["result"] == {"deleted": ["proj", "two"]}


@pytest.mark.usefixtures("mountable")
def test_what_is_mounted_leaves_no_directory(proj):
    proj.venvfs("mount", "proj", ".venv")
    proj.venvfs("delete", "proj")
    assert proj.mounts() == []
    assert list(proj.project.iterdir()) == []


@pytest.mark.usefixtures("mountable")
def test_a_directory_that_was_there_before_stays(proj):
    (proj.project / ".venv").mkdir()
    proj.venvfs("mount", "proj", ".venv")
    proj.venvfs("delete", "proj")
    assert list((proj.project / ".venv").iterdir()) == []


@pytest.mark.usefixtures("mountable")
def test_from_inside_its_mount(proj):
    proj.venvfs("mount", "proj", ".venv")
    proj.venvfs("delete", "proj", cwd=proj.project / ".venv" / "lib")
    assert proj.mounts() == []


@pytest.mark.usefixtures("mountable")
def test_former_mount_points_go_too_unless_they_wait_for_another(proj):
    for place in ("first/.venv", "taken/.venv", "last/.venv"):
        proj.venvfs("mount", "proj", place)
        proj.venvfs("umount", "proj")
    proj.venvfs("create", "two", "-q", "--python", proj.python.path)
    proj.venvfs("mount", "two", "taken/.venv")
    proj.venvfs("umount", "two")
    proj.venvfs("delete", "proj")
    assert [path.name for path in proj.project.iterdir()] == ["taken"]
    proj.venvfs("delete", "two")


@pytest.mark.usefixtures("mountable")
@pytest.mark.slow
def test_what_is_used_is_refused_unless_forced(proj):
    proj.venvfs("mount", "proj", ".venv")
    user = proj.popen(proj.project / ".venv" / "bin" / "python", "-c",
                      "import os, sys; os.chdir(sys.prefix); print(flush=True); sys.stdin.read()",
                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    user.stdout.readline()
    refused = proj.venvfs("delete", "proj", "--json", check=1)
    assert refused.json["error"]["code"] == "busy"
    assert os.path.ismount(proj.project / ".venv")
    forced = proj.venvfs("delete", "--force", "proj", check=None)
    user.stdin.close()
    user.wait(60)
    user.stdout.close()
    if forced.status != 0:  # the daemon holds it until the last user is gone
        assert "in use by a mount" in forced.err
        proj.venvfs("delete", "proj")
    assert proj.mounts() == []
    assert not (proj.store / "envs" / "proj").exists()


@pytest.mark.usefixtures("mountable")
@pytest.mark.slow
def test_what_a_dead_daemon_left(proj):
    proj.venvfs("mount", "proj", ".venv")
    proj.kill_daemon()
    proj.venvfs("delete", "proj")
    assert proj.mounts() == []
    assert list(proj.project.iterdir()) == []
