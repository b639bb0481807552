"""The source tree keeps its own rules."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import machine
import support

TREE = support.TREE
FOLDERS = ("layers", "fs", "tools")
CLANG_FORMAT_MAJOR = "14"

# Sources without a unit test of their own, each with the reason. A path may leave this list, and
# one enters it only with a reason that a reader accepts.
WITHOUT_UNIT_TEST = {
    "fs/contents.c": "answers the kernel: test_filesystem_files.py",
    "fs/follow.c": "needs a mount that moves: test_filesystem_use.py",
    "fs/invalidate.c": "tells the kernel: test_switch.py",
    "fs/main.c": "the daemon: test_daemon.py",
    "fs/mounts.c": "a mount needs the kernel: test_daemon.py",
    "fs/operations.c": "answers the kernel: test_filesystem_names.py",
    "fs/prefetch.c": "needs the kernel: test_prefetch.py",
    "fs/pusher.c": "needs the kernel: test_prefetch.py",
    "fs/session.c": "needs the kernel: test_filesystem_use.py",
    "tools/base-python.c": "needs an environment: test_interpreters.py",
    "tools/borrowed-mount.c": "needs a mount: test_run.py",
    "tools/client.c": "needs the daemon: test_daemon.py",
    "tools/current.c": "needs a mount: test_mount.py",
    "tools/export-tree.c": "test_export.py",
    "tools/fetch.c": "pip and the ingest do the work: test_create.py",
    "tools/fuse-mount.c": "needs the kernel: test_mount.py",
    "tools/invocation.c": "opens the store, passes over failures: test_mount.py",
    "tools/main.c": "the program: test_command_line.py",
    "tools/mount-helper.c": "mount(8) runs it: test_stack.py",
    "tools/mounted.c": "needs a mount: test_mount.py",
    "tools/mounting.c": "needs a mount: test_mount.py",
    "tools/pip.c": "runs pip: test_create.py",
    "tools/resolve.c": "asks pip: test_create.py",
    "tools/seed.c": "asks pip: test_create.py",
    "tools/verb-complete.c": "test_completion.py",
    "tools/stack-mount.c": "needs a mount: test_stack.py",
    "tools/verb-create.c": "test_create.py",
    "tools/verb-debug.c": "test_switch.py",
    "tools/verb-doctor.c": "test_daemon.py",
    "tools/verb-delete.c": "test_create.py",
    "tools/verb-direnv.c": "test_direnv.py",
    "tools/verb-export.c": "test_export.py",
    "tools/verb-flatten.c": "test_flatten.py",
    "tools/verb-fsck.c": "test_command_line.py",
    "tools/verb-gc.c": "test_command_line.py",
    "tools/verb-help.c": "test_command_line.py",
    "tools/verb-list.c": "test_mount.py",
    "tools/verb-mount.c": "test_mount.py",
    "tools/verb-run.c": "test_run.py",
    "tools/verb-status.c": "test_mount.py",
    "tools/verb-store.c": "test_command_line.py",
    "tools/verb-umount.c": "test_mount.py",
    "tools/verbs.c": "a table: tests/unit/verb.c walks it",
}


def tracked(*patterns):
    """The files of the tree that git has or would take; in an unpacked archive, all but the built."""
    done = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others",
                           "--exclude-standard", *patterns], cwd=TREE, capture_output=True, text=True)
    if done.returncode != 0:
        return sorted(path for pattern in patterns or ["*"] for path in TREE.rglob(pattern)
                      if path.is_file()
                      and not path.relative_to(TREE).parts[0].startswith(("build", ".cache", ".git")))
    return [TREE / name for name in done.stdout.splitlines() if (TREE / name).is_file()]


def relative(path):
    return str(path.relative_to(TREE))


def without_comments(meson):
    return re.sub(r"#[^\n]*", "", meson)


def c_sources(folder):
    return [path for path in tracked("*.c") if relative(path).startswith(f"{folder}/")]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_source_is_listed_in_meson(folder):
    listed = set(re.findall(r"'([^']+\.c)'", without_comments((TREE / folder / "meson.build").read_text())))
    there = {relative(path).split("/", 1)[1] for path in c_sources(folder)}
    assert there - listed == set(), "in the folder but not in its meson.build"
    assert listed - there == set(), "in meson.build but not in the folder"


@pytest.mark.parametrize("folder", ["unit", "fuzz"])
def test_every_test_program_is_listed_in_meson(folder):
    build_file = TREE / "tests" / folder / "meson.build"
    there = {path.stem for path in c_sources(f"tests/{folder}") if path.parent == build_file.parent}
    if not there:
        return
    meson = without_comments(build_file.read_text())
    missing = {name for name in there
               if f"'{name}'" not in meson and f"'{name}.c'" not in meson}
    assert missing == set(), f"not in {relative(build_file)}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_source_has_a_unit_test(folder):
    tests = {path.stem for path in c_sources("tests/unit")}
    missing = [relative(path) for path in c_sources(folder)
               if path.stem not in tests and relative(path) not in WITHOUT_UNIT_TEST]
    assert missing == [], "no tests/unit/<name>.c, and no reason in WITHOUT_UNIT_TEST"


def test_the_list_of_sources_without_unit_test_is_current():
    tests = {path.stem for path in c_sources("tests/unit")}
    stale = [name for name in WITHOUT_UNIT_TEST
             if not (TREE / name).exists() or Path(name).stem in tests]
    assert stale == []
    named = {name for reason in WITHOUT_UNIT_TEST.values() for name in re.findall(r"test_\w+\.py", reason)}
    assert {name for name in named if not (TREE / "tests" / "integration" / name).exists()} == set()


def clang_format():
    candidates = [Path(sys.executable).parent / "clang-format", shutil.which("clang-format"),
                  shutil.which(f"clang-format-{CLANG_FORMAT_MAJOR}")]
    for candidate in candidates:
        if candidate and Path(candidate).exists():
            version = subprocess.run([candidate, "--version"], capture_output=True, text=True).stdout
            if f"version {CLANG_FORMAT_MAJOR}." in version:
                return str(candidate)
    machine.skip(f"clang-format {CLANG_FORMAT_MAJOR} is not here (other versions format differently);"
                 " tests/requirements.txt installs it")


def test_c_files_are_formatted():
    files = [str(path) for path in tracked("*.c", "*.h")]
    done = subprocess.run([clang_format(), "--dry-run", "--Werror", *files], cwd=TREE,
                          capture_output=True, text=True)
    unformatted = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", done.stderr, re.MULTILINE)))
    assert unformatted == [], "run clang-format -i on these"
    assert done.returncode == 0, done.stderr


def includes(path):
    return re.findall(r'^\s*#\s*include\s+([<"][^>"]+)[>"]', path.read_text(), re.MULTILINE)


ALLOWED_INCLUDES = {"layers": ("layers/",), "fs": ("fs/", "layers/"), "tools": ("tools/", "layers/")}


@pytest.mark.parametrize("folder", FOLDERS)
def test_includes_follow_the_direction_of_the_parts(folder):
    wrong = []
    for path in tracked("*.c", "*.h"):
        if not relative(path).startswith(f"{folder}/"):
            continue
        for name in includes(path):
            own = name.startswith('"')
            if own and not name[1:].startswith(ALLOWED_INCLUDES[folder]):
                wrong.append(f"{relative(path)} includes {name[1:]}")
    assert wrong == []


def overlay_sources():
    """What the library of the overlay's logic is made of, by fs/meson.build."""
    meson = without_comments((TREE / "fs" / "meson.build").read_text())
    library = re.search(r"static_library\('overlay',(.*?)\n\s*(?:c_args|include_directories|dependencies)",
                        meson, re.DOTALL)
    assert library or not c_sources("fs"), "fs/meson.build defines no static_library('overlay', …)"
    return [TREE / "fs" / name for name in re.findall(r"'([^']+\.c)'", library[1])] if library else []


def test_only_the_front_of_the_file_system_knows_fuse():
    core = overlay_sources()
    core += [path.with_suffix(".h") for path in core if path.with_suffix(".h").exists()]
    core += [path for path in tracked("*.c", "*.h") if relative(path).startswith(("layers/", "tools/"))]
    wrong = [f"{relative(path)} includes {name[1:]}" for path in core for name in includes(path)
             if re.match(r'[<"](fuse|linux/fuse)', name)]
    assert wrong == []


# In filesystem.md fs/fuse/ is the kernel's; the others stand for any such name.
NO_NAMES = re.compile(r"fs/fuse/|.*NAME|vf_noun_verb$")


def test_documents_name_what_there_is():
    sources = "".join(path.read_text(errors="replace") for path in tracked("*.c", "*.h", "*.py", "check"))
    lost = []
    for path in tracked("*.md", "*.1"):
        text = path.read_text()
        files = re.findall(r"(?<![\w/.-])((?:fs|layers|tools|tests|docs|scripts|examples)/[\w./-]*[^\W_])(?!\w)", text)
        lost += [f"{relative(path)}: {name}" for name in files
                 if not NO_NAMES.match(name) and not (TREE / name).exists()]
        lost += [f"{relative(path)}: {name}" for name in re.findall(r"\]\(([\w./-]+)\)", text)
                 if not (path.parent / name).exists()]
        lost += [f"{relative(path)}: {name}" for name in re.findall(r"\b(?:vf|VF|VENVFS)_\w+", text)
                 if not NO_NAMES.match(name) and not re.search(rf"\b{name}\b", sources)]
    assert lost == []


# Spelt so that this file does not contain them.
UNFINISHED = ["TO" + "DO", "FIX" + "ME", "X" * 3, "for " + "now"]


def test_nothing_is_left_unfinished():
    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            for word in UNFINISHED:
                if re.search(rf"\b{word}\b", line):
                    found.append(f"{relative(path)}:{number}: {line.strip()}")
    assert found == []


def test_files_have_a_readable_length():
    # One reason to exist per file: a file that outgrows this has two.
    longest = 650
    too_long = [f"{relative(path)}: {lines} lines" for path in tracked("*.c", "*.h")
                if (lines := len(path.read_text().splitlines())) > longest]
    assert too_long == []


@pytest.mark.parametrize("name", ["check", "quickstart", ".ci/run"])
def test_scripts_are_executable(name):
    path = TREE / name
    assert path.stat().st_mode & 0o111 == 0o111
    assert subprocess.run(["bash", "-n", path]).returncode == 0
