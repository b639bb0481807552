"""Mounting, unmounting and finding again, as root and as an ordinary user."""

import fcntl
import os
import shutil
import signal
import subprocess
import time

import pytest

import machine
from mounted import SENTINEL, create, is_sealed, mount, prefix, refused, states, status, wait_for

pytestmark = pytest.mark.usefixtures("mountable")


def test_the_walk(any_world):
    world = any_world
    create(world, "proj")
    said = world.venvfs("mount", "proj").out
    place = world.project / ".venv"
    assert said.startswith(f"Mounted proj at {place} in ") and said.count("\n") == 1
    assert prefix(world, place) == str(place)
    assert world.run("stat", "-c", "%u", place).out == f"{world.uid}\n"
    (table,) = [line.split() for line in open("/proc/mounts") if line.split()[1] == str(place)]
    assert table[0] == "proj" and table[2] == "fuse.venvfs"
    assert {"rw", "nosuid", "nodev", "default_permissions", f"user_id={world.uid}"} <= set(table[3].split(","))
    assert states(world) == {"proj": ("mounted", str(place))}
    assert world.venvfs("umount").out == f"Unmounted proj from {place}\n"
    assert is_sealed(place)
    assert states(world) == {"proj": ("unmounted", str(place))}


def test_json(world):
    create(world, "proj")
    place = str(world.project / "here")
    assert world.venvfs("mount", "--json", "proj", "here").json["result"] == {
        "mounted": [{"name": "proj", "mount_point": place}]}
    assert world.venvfs("umount", "--json", "proj").json["result"] == {
        "unmounted": [{"name": "proj", "mount_point": place}]}


def test_what_is_written_stays(any_world):
    world = any_world
    create(world, "proj")
    place = mount(world, "proj")
    world.run("sh", "-c", "echo kept > .venv/kept; chmod 600 .venv/pyvenv.cfg; rm .venv/bin/activate.fish")
    world.venvfs("umount", "proj")
    other = mount(world, "proj", "elsewhere/.venv")
    assert world.run("cat", other / "kept").out == "kept\n"
    assert world.run("test", "-e", other / "bin" / "activate.fish", check=None).status == 1
    assert world.run("stat", "-c", "%a", other / "pyvenv.cfg").out == "600\n"
    assert prefix(world, other) == str(other)
    assert is_sealed(place)


def test_scripts_that_pip_wrote_say_the_new_place(any_world):
    world = any_world
    create(world, "proj")
    first = mount(world, "proj", "a b")
    second_name = "second"
    for name, text in {
        "plain": f"#!{world.project}/second/bin/python\nimport sys; print('plain', sys.prefix)\n",
        "spaced": f"#!/bin/sh\n'''exec' \"{first}/bin/python\" \"$0\" \"$@\"\n' '''\n"
                  "import sys; print('spaced', sys.prefix)\n",
        "mine": "#!/bin/sh\necho mine\n",
    }.items():
        script = world.write(name, text, 0o755)
        world.run("cp", "-p", script, first / "bin" / name)
    world.venvfs("umount", "a b")
    # The one that names another place was not written there: nothing is known of that place.
    second = mount(world, "proj", second_name)
    assert world.run(second / "bin" / "spaced").out == f"spaced {second}\n"
    assert world.run("head", "-1", second / "bin" / "spaced").out == f"#!{second}/bin/python\n"
    world.venvfs("umount", "second")
    third = mount(world, "proj", "third")
    assert world.run(third / "bin" / "plain").out == f"plain {third}\n"
    assert world.run(third / "bin" / "spaced").out == f"spaced {third}\n"
    assert world.run(third / "bin" / "mine").out == "mine\n"
    assert world.run("stat", "-c", "%a", third / "bin" / "plain").out == "755\n"


def test_copied_up_activation_says_the_new_place(world):
    create(world, "proj")
    first = mount(world, "proj", "first")
    for name in ("bin/activate", "bin/activate.csh", "pyvenv.cfg"):
        with open(first / name, "a") as script:
            script.write("# mine\n" if name != "pyvenv.cfg" else "mine = 1\n")
    world.venvfs("umount", "first")
    second = mount(world, "proj", "second")
    done = world.shell(". second/bin/activate; echo $VIRTUAL_ENV; which python")
    assert done.out == f"{second}\n{second}/bin/python\n"
    for name in ("bin/activate", "bin/activate.csh", "pyvenv.cfg"):
        text = (second / name).read_text()
        assert "mine" in text and str(first) not in text and str(second) in text


def test_unmount_by_name_path_and_directory(world):
    create(world, "one")
    create(world, "two")
    mount(world, "one")
    mount(world, "two", "b")
    (world.project / "one").mkdir()  # a directory of that name is no mount: the name is meant
    world.venvfs("umount", "one")
    world.venvfs("umount", "./b/")
    assert world.mounts() == []
    refused(world.venvfs("umount", "one", check=None), "one: is not mounted")
    refused(world.venvfs("umount", "./b", check=None), f"{world.project}/b: nothing is mounted here")
    refused(world.venvfs("umount", check=None), f"{world.project}/.venv: nothing is mounted here")
    refused(world.venvfs("umount", "nosuch", check=None),
            "nosuch: no such environment; 'venvfs list' shows those there are")


def test_unmount_inside_names_the_mount(world):
    create(world, "proj")
    place = mount(world, "proj")
    refused(world.venvfs("umount", ".venv/bin", check=None),
            f"{place}/bin: is not a mount point, but lies in one: {place}")


def test_remove_leaves_nothing(any_world):
    world = any_world
    create(world, "proj")
    mount(world, "proj", "a/b/.venv")
    world.venvfs("umount", "--remove", "proj")
    assert not (world.project / "a").exists()
    # What was there before stays as it was.
    given = world.project / "given"
    given.mkdir(mode=0o700)
    world.give(given)
    mount(world, "proj", "given")
    world.venvfs("umount", "given")
    assert is_sealed(given)
    world.venvfs("umount", "--remove", "given")
    assert os.listdir(given) == [] and given.stat().st_mode & 0o7777 == 0o700


@pytest.mark.slow
def test_busy(any_world):
    world = any_world
    create(world, "proj")
    place = mount(world, "proj")
    user = world.popen("sh", "-c", "cd .venv; exec sleep 60")
    wait_for(lambda: os.readlink(f"/proc/{user.pid}/cwd") == str(place))
    wait_for(lambda: open(f"/proc/{user.pid}/comm").read() == "sleep\n")
    try:
        refused(world.venvfs("umount", check=None),
                f"{place}: is in use by sleep (process {user.pid}, current directory); end that, or unmount "
                "it all the same with --force")
        assert world.mounts() == [str(place)]
        world.venvfs("umount", "--force")
        assert world.mounts() == []
        # It lives on for its user, and so cannot be mounted a second time.
        refused(world.venvfs("mount", "proj", check=None),
                f"proj: was unmounted while in use, and is still used by sleep (process {user.pid}, current "
                "directory); end that first")
    finally:
        user.kill()
        user.wait()
    mount(world, "proj")


def test_umount_8(any_world):
    world = any_world
    create(world, "proj")
    for command in (["umount"], ["umount", "-l"]) if world.uid == 0 else (["fusermount3", "-u"],):
        place = mount(world, "proj")
        subprocess.run([*command, place], check=True, **machine.user_options(world.user))
        assert states(world)["proj"] == ("unmounted", str(place))
    mount(world, "proj")


def test_moved_project(any_world):
    world = any_world
    create(world, "proj")
    old = world.project / "old"
    new = world.project / "new"
    mount(world, "proj", "old/.venv")
    os.rename(old, new)
    place = new / ".venv"
    assert prefix(world, place) == str(place)
    assert world.shell(". new/.venv/bin/activate; echo $VIRTUAL_ENV").out == f"{place}\n"
    assert status(world, cwd=new)["mount_point"] == str(place)
    assert states(world)["proj"] == ("mounted", str(place))
    script = place / "bin" / "script"
    world.run("sh", "-c", f"printf '#!%s/bin/python\\nimport sys\\nprint(sys.prefix)' {place} > {script}; chmod +x {script}")
    world.venvfs("umount", "proj")
    assert is_sealed(place)
    text = (place / SENTINEL).read_text()
    assert f" {place}\n" in text and str(old) not in text
    # Somewhere else, it is that place which is left.
    later = mount(world, "proj", "later/.venv")
    assert world.run(later / "bin" / "script").out == f"{later}\n"
    assert is_sealed(place)
    world.venvfs("delete", "proj")
    assert list(world.project.iterdir()) == []


def test_deleted_where_it_was_moved_to(any_world):
    world = any_world
    create(world, "proj")
    mount(world, "proj", "old/.venv")
    os.rename(world.project / "old", world.project / "new")
    world.venvfs("delete", "proj")
    assert list(world.project.iterdir()) == []


def test_a_path_of_any_bytes(world):
    """Where the environment is mounted, where it was moved to, and in JSON, which can only stand for it."""
    create(world, "proj")
    old, new = world.project / "b\udcff", world.project / "c\udcfe"
    mounted = world.venvfs("mount", "--json", "proj", old / ".venv").json["result"]["mounted"]
    assert mounted == [{"name": "proj", "mount_point": f"{world.project}/b\ufffd/.venv"}]
    assert b"prompt = 'proj'" in (old / ".venv" / "pyvenv.cfg").read_bytes()
    said = world.run(old / ".venv" / "bin" / "python", "-c", "import sys; print(ascii(sys.prefix))").out
    assert said == f"{str(old / '.venv')!a}\n"
    os.rename(old, new)
    assert states(world) == {"proj": ("mounted", f"{world.project}/c\ufffd/.venv")}
    assert os.fsencode(new) in (new / ".venv" / "bin" / "activate").read_bytes()
    world.venvfs("umount", "proj")
    assert is_sealed(new / ".venv")


@pytest.mark.root
def test_bind_mounts(world):
    create(world, "proj")
    place = mount(world, "proj")
    bound = world.project / "bound"
    bound.mkdir()
    subprocess.run(["mount", "--bind", place, bound], check=True)
    assert (bound / "pyvenv.cfg").read_text() == (place / "pyvenv.cfg").read_text()
    assert status(world, "-n", "proj")["mount_point"] == str(place)
    world.venvfs("umount", ".venv")
    assert states(world)["proj"] == ("mounted", str(bound))
    world.venvfs("umount", "proj")
    assert world.mounts() == []


def test_mount_all(any_world):
    world = any_world
    for name in ("one", "two", "three", "never"):
        create(world, name)
    for name in ("one", "two", "three"):
        mount(world, name, name)
    world.venvfs("umount", "two")  # no longer wanted
    world.venvfs("umount", "--all")
    assert world.mounts() == []
    said = world.venvfs("mount", "--all").out.splitlines()
    assert sorted(line.split()[1] for line in said) == ["one", "three"]
    assert {state for state, _ in states(world).values()} == {"mounted", "unmounted"}
    assert world.venvfs("mount", "--all").out == ""


def test_mount_all_interrupted(world):
    """Ctrl-C while one waits for its turn at its place: what is mounted stays, and one line says so."""
    for name in ("one", "two"):
        create(world, name)
        mount(world, name, name)
    world.venvfs("umount", "--all")
    other = os.open(world.project / "two", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    process = world.popen(world.executable, "mount", "--all", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: "device=" in (world.store / "envs" / "one" / "mount.ini").read_text())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    os.close(other)
    assert (process.returncode, err) == (130, "venvfs: interrupted; venvfs mount --all mounts the others\n")
    assert out.startswith("Mounted one at ") and out.count("\n") == 1
    assert world.venvfs("mount", "--all").out.startswith("Mounted two at ")


def test_mount_all_goes_on_after_a_failure(world):
    for name in ("one", "two"):
        create(world, name)
        mount(world, name, name)
    world.venvfs("umount", "--all")
    world.venvfs("umount", "--remove", "./one")
    world.write("one", "a file now")
    done = world.venvfs("mount", "--all", check=1)
    lines = done.err.splitlines()
    assert lines[0].startswith("venvfs: warning: ") and "one: is not a directory" in lines[0]
    assert lines[1:] == ["venvfs: 1 of the environments could not be mounted"]
    assert states(world)["two"][0] == "mounted"


def test_mount_all_makes_no_project(any_world):
    """One that was moved while mounted and then restarted under, or that was removed."""
    world = any_world
    create(world, "proj")
    old, new = world.project / "old", world.project / "new"
    mount(world, "proj", "old/.venv")
    os.rename(old, new)
    command = ["umount"] if os.getuid() == 0 else ["fusermount3", "-u"]
    subprocess.run([*command, new / ".venv"], check=True)
    done = world.venvfs("mount", "--all", check=1)
    assert done.err.splitlines() == [
        f"venvfs: warning: proj: was mounted at {old}/.venv last, and {old} is gone; venvfs mount proj MOUNTPOINT "
        "mounts it elsewhere", "venvfs: 1 of the environments could not be mounted"]
    assert not old.exists()
    assert status(world, cwd=new)["name"] == "proj"  # the sentinel still tells
    mount(world, "proj", new / ".venv")


def test_current_environment(world):
    create(world, "proj")
    create(world, "other")
    place = mount(world, "proj")
    for folder in (world.project, place, place / "bin"):
        assert status(world, cwd=folder)["name"] == "proj"
    assert status(world, "-n", "other", cwd=place)["name"] == "other"
    world.venvfs("umount")
    assert status(world)["name"] == "proj"  # recorded
    nowhere = world.root / "empty"
    nowhere.mkdir()
    refused(world.venvfs("status", cwd=nowhere, check=None),
            f"{nowhere}: no environment is or was mounted at .venv here or above; name one with -n, or mount one "
            "with venvfs mount NAME")


def test_current_environment_is_that_of_the_directory_above(any_world):
    world = any_world
    create(world, "proj")
    create(world, "other")
    place = mount(world, "proj")
    below = world.project / "src" / "deep"
    world.run("mkdir", "-p", below)
    assert status(world, cwd=below)["name"] == "proj"
    said = world.venvfs("run", "python", "-c", "import os, sys; print(sys.prefix, os.getcwd())", cwd=below).out
    assert said == f"{place} {below}\n"
    # Another name for the directory, and a link to the mount point, are the same.
    link = world.root / "link"
    link.symlink_to(world.project)
    inside = world.shell(f"cd {link}/.venv/bin; venvfs status --json")
    assert inside.result["mount_point"] == str(place)
    (world.project / "src" / ".venv").symlink_to(place)
    assert status(world, cwd=below)["name"] == "proj"
    # A .venv of another kind that is nearer is the one that is meant.
    (below / ".venv").mkdir()
    refused(world.venvfs("status", cwd=below, check=None),
            f"{below}: no environment is or was mounted at .venv here or above; name one with -n, or mount one "
            "with venvfs mount NAME")
    # The nearest that was ever mounted counts, seen or not.
    (below / ".venv").rmdir()
    world.venvfs("mount", "other", cwd=below)
    world.venvfs("umount", cwd=below)
    assert status(world, cwd=below)["name"] == "other"
    assert world.venvfs("umount", cwd=world.project / "src").out == f"Unmounted proj from {place}\n"


def test_unmount_several(world):
    for name in ("one", "two", "three"):
        create(world, name)
        mount(world, name, name)
    said = world.venvfs("umount", "one", "two", "./three").out
    assert said == "".join(f"Unmounted {name} from {world.project}/{name}\n" for name in ("one", "two", "three"))
    mount(world, "one", "one")
    refused(world.venvfs("umount", "two", "one", check=None), f"{world.project}/two: nothing is mounted here")


def test_status(any_world):
    world = any_world
    create(world, "proj")
    assert status(world, "-n", "proj")["state"] == "unmounted"
    place = mount(world, "proj")
    world.run("sh", "-c", "head -c 100000 /dev/zero > .venv/data; rm .venv/bin/activate")
    result = status(world)
    version = "%d.%d.%d" % world.interpreters[-1].version
    assert result["mount_point"] == str(place) and result["state"] == "mounted"
    assert result["python_version"] == version and result["python_state"] == "ok"
    assert result["packages"] == 0 and result["generation"] == 1
    assert result["changed_files"] == 1 and result["removed_files"] == 1
    assert result["changes_bytes"] >= 100000
    assert result["requests"]["INIT"] == 1 and result["requests"]["WRITE"] >= 1
    text = world.venvfs("status").out.splitlines()
    assert text[0] == "proj" and text[1] == f"  mounted at   {place}"


def test_system_site_packages(world):
    """The base Python's packages show in one that is made so, and only there."""
    sites = world.run(world.interpreters[-1].path, "-I", "-c", "import site; print(*site.getsitepackages(), sep='\\n')")
    base = next(path for path in sites.out.splitlines() if os.path.isdir(path))
    for name, *options in (("open", "--system-site-packages"), ("shut",)):
        create(world, name, *options)
        place = mount(world, name, name)
        path = world.run(place / "bin" / "python", "-c", "import sys; print(*sys.path, sep='\\n')").out.splitlines()
        assert any(entry.startswith(f"{place}/lib/python") for entry in path)
        assert (base in path) == (name == "open"), path


def test_missing_interpreter(world):
    copied = world.home / "python" / "bin"
    copied.mkdir(parents=True)
    (copied / "python3").symlink_to(world.interpreters[-1].path)
    wrapper = world.home / "python"
    world.venvfs("create", "proj", "-q", "--without-pip", "--no-compile", "--python", copied / "python3")
    executable = status(world, "-n", "proj")["python"]
    if not executable.startswith(str(wrapper)):
        return  # it was resolved to the real one, which is not ours to remove
    shutil.rmtree(wrapper)
    assert status(world, "-n", "proj")["python_state"] == "gone"
    done = world.venvfs("mount", "proj")
    assert f"proj: its interpreter {executable} is gone; python will not start in it" in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_at_any_moment(any_world, number):
    world = any_world
    create(world, "proj")
    mount(world, "proj")
    world.venvfs("umount")
    for step in range(24):
        process = world.popen(world.executable, "mount", "-q", "proj", stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        time.sleep(step * 0.0005)
        process.send_signal(number)
        code = process.wait()
        # fusermount3 outlives a client that was killed, and may mount after it; it may not even bear its name yet.
        wait_for(lambda: set(world.processes()) <= set(world.daemons()))
        mounted = bool(world.mounts())
        if mounted and number != signal.SIGKILL:
            assert code == 0
            world.run("test", "-e", world.project / ".venv" / "pyvenv.cfg")
        if mounted:
            # Whole, or dead and repaired by the next one.
            assert status(world, "-n", "proj")["state"] == "mounted"
            world.venvfs("umount", "proj")
        # Killed at the wrong moment, it may still be open, but nothing else is in it.
        left = os.listdir(world.project / ".venv")
        assert is_sealed(world.project / ".venv") if number != signal.SIGKILL else left in ([], [SENTINEL])


def test_allow_other(world):
    if world.uid != 0:
        machine.skip("needs root")
    create(world, "closed")
    create(world, "open")
    user = machine.ordinary_user()
    for name, options in (("closed", ()), ("open", ("--allow-other",))):
        world.venvfs("mount", name, name, *options)
        done = subprocess.run(["cat", world.project / name / "pyvenv.cfg"], capture_output=True,
                              **machine.user_options(user))
        assert (done.returncode == 0) == (name == "open")


def test_allow_other_needs_leave(user_world):
    if user_world.uid == 0:
        machine.skip("needs an ordinary user")
    try:
        allowed = any(line.strip() == "user_allow_other" for line in open("/etc/fuse.conf"))
    except FileNotFoundError:
        allowed = False
    if allowed:
        machine.skip("user_allow_other is set here")
    create(user_world, "proj")
    refused(user_world.venvfs("mount", "proj", "--allow-other", check=None),
            f"{user_world.project}/.venv: --allow-other is not open to ordinary users here; root has to put the "
            "line user_allow_other into /etc/fuse.conf")
    assert not (user_world.project / ".venv").exists()


def test_delete_leaves_no_directory(any_world):
    world = any_world
    create(world, "proj")
    place = mount(world, "proj")
    world.venvfs("delete", "proj")
    assert not place.exists() and world.mounts() == []


def test_the_sentinel_says_what_to_type(any_world):
    world = any_world
    create(world, "proj")
    place = mount(world, "proj", "with space/.venv")
    world.venvfs("umount", "proj")
    text = (place / SENTINEL).read_text()
    (command,) = [line.strip() for line in text.splitlines() if line.startswith("    venvfs mount ")]
    world.shell(command, cwd="/")
    world.run("test", "-e", place / "pyvenv.cfg")
    assert world.mounts() == [str(place)]


def test_a_mount_that_cannot_be_noted_is_taken_back(world):
    """The verbs that come later would not know of it."""
    create(world, "proj")
    note = world.store / "envs" / "proj" / "mount.ini"
    note.mkdir()
    refused(world.venvfs("mount", "proj", check=None), f"{note}: cannot replace: Is a directory")
    assert world.mounts() == [] and not (world.project / ".venv").exists()
    note.rmdir()
    mount(world, "proj")
