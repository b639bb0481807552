"""What people do to the files of a project: copy, pack, search, measure, clean, back up. In a mounted environment as
in one of venv; where it is different because it is a mount, the difference is stated here."""

import errno
import os
import shutil
import subprocess
import tarfile

import pytest

import machine
from local_wheels import write_wheel
from mounted import create, mount
from paired import Pair

pytestmark = pytest.mark.slow


def need(program):
    if not shutil.which(program):
        machine.skip(f"{program} is not installed")


@pytest.fixture
def pair(world):
    for name in ("one", "two"):
        write_wheel(world.wheelhouse, name, "1.0", scripts={name: f"{name}:main"})
    pair = Pair(world, "one", "two", pip=False)
    # Something of every kind that an upper has, too.
    pair.same("cd .venv/lib/python*/site-packages; echo mine >> one/__init__.py; rm two/__init__.py; mkdir -p new/sub;"
              "echo text > new/sub/file; ln -s sub/file new/link; chmod 640 new/sub/file; ln new/sub/file new/hard;"
              "truncate -s 1M new/sparse; touch -d @1000000000.123456789 new/sub/file; mv two moved")
    return pair


# The contents of a tree, without what only venvfs puts beside venv's files, and without what holds times or names
# of the environment (bytecode, activation scripts, pyvenv.cfg).
LISTING = ("find . -not -name '*.pyc' -not -name 'activate*' -not -name pyvenv.cfg -not -name CACHEDIR.TAG -not -name .gitignore"
           " -not -name INSTALLER -not -name RECORD -not -name REQUESTED -not -name direct_url.json -not -name 'one' -not -name 'two'"
           " -not -name Activate.ps1 -not -path '*/bin/*'")
CONTENT = f"{LISTING} -type f -exec md5sum {{}} + | sort -k 2; {LISTING} -printf '%P %y %m %l\\n' | sort"


@pytest.mark.parametrize("command", [
    "cp -a .venv copy", "cp -r .venv copy", "cp -a --reflink=auto --sparse=always .venv copy", "rsync -aHAX .venv/ copy/",
    "mkdir copy; tar -C .venv -cf - . | tar -C copy -xf -", "mkdir copy; (cd .venv; find . -depth | cpio -o --quiet) | (cd copy; cpio -idmu --quiet)",
    "python3 -c 'import shutil; shutil.copytree(\".venv\", \"copy\", symlinks=True)'",
], ids=lambda command: command.replace("mkdir copy; ", "").split(" .venv")[0].strip("("))
def test_copies(pair, command):
    for word in command.replace("(cd .venv;", "").split():
        if word in ("rsync", "cpio"):
            need(word)
    # What is copied is what the mount shows, to the byte; what was said while copying is nothing.
    assert pair.same(f"{command} 2>&1") == ""
    for project in pair.projects:
        done = subprocess.run(["diff", "-r", "--no-dereference", project / ".venv", project / "copy"], capture_output=True,
                              text=True)
        assert done.stdout == "" and done.returncode == 0, done.stderr
    told = pair.same(f"cd copy; {CONTENT}")
    assert "new/sub/file" in told and "new/link" in told
    assert pair.same("copy/bin/python -c 'import sys; print(sys.prefix)'") == "PROJECT/copy\n"


def test_measuring_and_searching(pair):
    pair.same(f"cd .venv; {CONTENT}")
    pair.same("find .venv -name '*.py' -newermt 2000-01-01 -path '*new*' | sort; grep -rl mine .venv --include=*.py | sort")
    pair.same("find .venv -samefile .venv/lib/python*/site-packages/new/hard | sort; stat -c '%h %s %.9Y' .venv/lib/python*/site-packages/new/hard")
    for side in pair:
        # The sum of what is read is the sum of what is said.
        total = sum(len(path.read_bytes()) for path in side.venv.rglob("*") if path.is_file() and not path.is_symlink()
                    and path.name != "hard")
        said = pair.shell_in(side, "du -b --apparent-size -s -l .venv | cut -f1; find .venv -type f -not -name hard -printf '%s\\n' |"
                                 " paste -sd+ | bc 2>/dev/null || true").split()
        assert int(said[0]) >= total
        if len(said) > 1:
            assert int(said[1]) == total
    # Blocks are accounted for: no file claims none, none claims more than it is long.
    assert pair.same("find .venv -type f -size +0 -not -name sparse -printf '%b\\n' | grep -c '^0$' || true") == "0\n"


def test_tools_that_stay_on_one_file_system(pair):
    """By design: a mount is a file system of its own, so that a backup can leave it out; and it has CACHEDIR.TAG, so
    that one that crosses can too. Told to cross, it gets everything."""
    crossing = pair.same("tar -cf all.tar .venv && tar -tf all.tar | grep -c new/sub/file")
    assert crossing == "1\n"
    plain, mounted = [pair.shell_in(side, "tar --one-file-system -cf one.tar . 2>/dev/null; tar -tf one.tar | grep -c site-packages || true;"
                                          "find . -xdev -name 'site-packages' | wc -l; du -x -s --inodes .venv/.. | cut -f1").split()
                      for side in pair]
    assert mounted[:2] == ["0", "0"] and plain[1] == "1"
    if shutil.which("rsync"):
        assert pair.shell_in(pair.mount, "rsync -ax ./ ../backup/; ls -A ../backup/.venv") == ""
    assert pair.shell_in(pair.mount, "tar --exclude-caches -cf - . | tar -tf - | grep site-packages || echo none") == "none\n"


def test_a_docker_build_context(pair):
    """The client walks the project and packs it: every header's size has to be what is read then."""
    for project in pair.projects:
        with tarfile.open(project / "context.tar", "w") as context:
            for folder, folders, files in os.walk(project):
                for name in sorted(folders + files):
                    path = os.path.join(folder, name)
                    if name != "context.tar":
                        context.add(path, os.path.relpath(path, project), recursive=False)
    told = pair.same("mkdir unpacked; tar -C unpacked -xf context.tar; diff -r --no-dereference .venv unpacked/.venv && echo same;"
                     f"cd unpacked/.venv; {CONTENT}")
    assert told.startswith("same\n")


GIT = "git -c user.name=t -c user.email=t@t -c init.defaultBranch=main -c gc.auto=0"


def test_git_around(pair):
    for project in pair.projects:
        (project / "program.py").write_text("print(1)\n")
        if not (project / ".venv/.gitignore").exists():  # venv makes it from 3.13 on
            (project / ".venv/.gitignore").write_text("*\n")
    told = pair.same(f"{GIT} init -q .; {GIT} add -A; {GIT} commit -qm one; {GIT} status --porcelain --ignored | grep -v copy;"
                     f"{GIT} ls-files; {GIT} stash list; {GIT} clean -fdn; {GIT} check-ignore .venv/bin/python")
    assert told == "!! .venv/\nprogram.py\n.venv/bin/python\n"
    pair.same(f"echo 'print(2)' > program.py; {GIT} stash -q -u; {GIT} stash pop -q; {GIT} switch -qc other; {GIT} commit -qam two;"
              f"{GIT} switch -q main; .venv/bin/python program.py")


def test_git_inside(pair):
    told = pair.same(f"cd .venv; rm -f .gitignore; {GIT} init -q .; {GIT} add -A lib/python*/site-packages/new lib/python*/site-packages/one;"
                     f"{GIT} commit -qm one; {GIT} ls-files | grep -v pyc; echo more >> lib/python*/site-packages/one/__init__.py;"
                     f"{GIT} status --porcelain -uno; {GIT} checkout -q -- .; {GIT} status --porcelain -uno; {GIT} fsck; {GIT} gc -q; rm -rf .git")
    assert "site-packages/one/__init__.py\n" in told


def test_git_clean_empties_it(pair):
    """By design: the root of a mount cannot be removed, and git says so and goes on."""
    for side in pair:
        pair.shell_in(side, f"{GIT} init -q .; echo .venv > .gitignore; {GIT} add -A; {GIT} commit -qm one; touch junk")
    plain = pair.world.shell(f"{GIT} clean -fdxq", cwd=pair.plain.here)
    assert plain.err == "" and not pair.plain.venv.exists()
    mounted = pair.world.shell(f"{GIT} clean -fdxq", cwd=pair.mount.here, check=1)
    assert mounted.err == "warning: failed to remove .venv/: Device or resource busy\n"
    assert os.listdir(pair.mount.venv) == [] and not (pair.mount.here / "junk").exists()


@pytest.mark.parametrize("how", ["rm -rf .venv", "rm -rf .venv/* .venv/.[!.]*", "find .venv -mindepth 1 -delete",
                                 "python3 -c 'import shutil; shutil.rmtree(\".venv\", ignore_errors=True)'"])
def test_removed_and_made_anew(pair, how):
    """Conformance item 40: emptied it stays empty, over a remount too; whoever fills it finds nothing old in it."""
    world = pair.world
    for project in pair.projects:
        done = world.shell(how, cwd=project, check=None)
        if how.startswith("rm -rf .venv/") or project == pair.plain.here:
            assert done.status == 0 and done.err == ""
        elif how.startswith("rm"):
            # By design: the root of a mount cannot go.
            assert done.status == 1 and done.err == "rm: cannot remove '.venv': Device or resource busy\n"
    assert os.listdir(pair.mount.venv) == []
    world.venvfs("umount", "proj")
    world.venvfs("mount", "-q", "proj", pair.mount.venv)
    assert os.listdir(pair.mount.venv) == []
    told = pair.same(f"{world.python.path} -m venv --without-pip .venv; find .venv -not -path '*/bin/*' | sort; .venv/bin/python -c 'import sys;"
                     " print(sys.prefix)'; .venv/bin/python -c 'import one' 2>&1 | tail -n 1")
    assert told.endswith("PROJECT/.venv\nModuleNotFoundError: No module named 'one'\n")
    # The directory itself goes with the mount.
    world.venvfs("umount", "--remove", pair.mount.venv)
    assert not pair.mount.venv.exists()


@pytest.mark.root
def test_sudo(user_world):
    """By design: a mount of FUSE is closed to other users, to root too, unless it was opened with --allow-other."""
    world = user_world
    create(world, "proj")
    place = mount(world, "proj")
    with pytest.raises(PermissionError) as refused:
        os.stat(place / "bin" / "python")
    assert refused.value.errno == errno.EACCES
    with pytest.raises(PermissionError) as refused:
        subprocess.run([place / "bin" / "python", "-c", "0"])
    assert refused.value.errno == errno.EACCES
