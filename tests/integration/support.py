"""What integration tests share: one private world per test, and what must be true when it ends.

A World is one user with a home, a runtime directory (so a daemon of its own), a store and a project
directory, all below one temporary directory. Nothing of the caller's environment reaches what runs
in it but what base_environment() lists. World.close() unmounts by path and then demands that nothing
is left: no mount, no process, a daemon that ended with status 0, a store in which
`venvfs fsck --deep` finds nothing wrong and `venvfs gc` works.

The test process makes itself a subreaper, so that a daemon, which outlives the command that
started it, becomes its child and its exit status can be seen.

Environment variables that tests obey are listed in docs/development.md.
"""

import ctypes
import json as json_module
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import machine
import processes

TREE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("VENVFS_BUILD") or TREE / "build").resolve()
DAEMON_EXIT_SECONDS = 60


def become_subreaper():
    PR_SET_CHILD_SUBREAPER = 36
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


# Running


@dataclass
class Result:
    args: list
    status: int
    out: str
    err: str
    seconds: float

    @property
    def json(self):
        """What a verb called with --json printed."""
        return json_module.loads(self.out)

    @property
    def result(self):
        """The "result" of the envelope that --json prints."""
        return self.json["result"]

    def describe(self):
        lines = [f"$ {' '.join(map(str, self.args))}", f"exit status {self.status}"]
        for name, text in (("stdout", self.out), ("stderr", self.err)):
            if text.strip():
                lines.append(f"--- {name}\n{text.rstrip()}")
        return "\n".join(lines)


class Unexpected(AssertionError):
    pass


def base_environment(search_path):
    kept = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "G_SLICE", "LD_LIBRARY_PATH",
            "VENVFS_DAEMON", "TERM")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment.update({
        "PATH": ":".join([*search_path, "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "G_DEBUG": "fatal-warnings",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    })
    return environment


# The world


@dataclass
class World:
    """One user's private world. Paths are absolute; the project directory is the default cwd."""

    root: Path
    build: Path
    user: object = None  # a pwd entry: run as that user; None: as whoever runs the suite
    interpreters: list = field(default_factory=list)
    templates: object = None  # what is copied instead of made: templates.py

    # A test that damages the store, or kills the daemon, says so.
    store_may_be_damaged: bool = False
    daemon_may_fail: bool = False

    def __post_init__(self):
        self.home = self.root / "home"
        self.runtime = self.root / "run"
        self.data = self.root / "data"
        self.store = self.root / "store"
        self.project = self.root / "project"
        self.wheelhouse = self.root / "wheelhouse"
        for folder in (self.home, self.runtime, self.data, self.project, self.wheelhouse):
            folder.mkdir(parents=True)
            self.give(folder)
        self.runtime.chmod(0o700)
        self.executable = self.build / "tools" / "venvfs"
        self.environment = base_environment([str(self.executable.parent)])
        self.environment.update({
            "HOME": str(self.home),
            "USER": self.user_name,
            "LOGNAME": self.user_name,
            "XDG_RUNTIME_DIR": str(self.runtime),
            "XDG_DATA_HOME": str(self.data),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "TMPDIR": str(self._temporary()),
            "VENVFS_STORE": str(self.store),
            "VENVFS_TEST_WORLD": str(self.root),
            # An idle daemon stays for seconds otherwise, and each test waits for its end.
            "VENVFS_LINGER": "0.3",
            # No network, no configuration of the caller's: packages come from the wheelhouse.
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheelhouse),
        })
        self._reaped = {}

    def _temporary(self):
        folder = self.root / "tmp"
        folder.mkdir()
        self.give(folder)
        return folder

    @property
    def user_name(self):
        return self.user.pw_name if self.user else pwd.getpwuid(os.getuid()).pw_name

    @property
    def uid(self):
        return self.user.pw_uid if self.user else os.getuid()

    def give(self, path):
        """Makes @path belong to the world's user."""
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid, follow_symlinks=False)

    def write(self, path, text, mode=0o644):
        """Writes a file, by default below the project directory, as the world's user's own."""
        path = self.project / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        self.give(path)
        return path

    @property
    def python(self):
        return machine.preferred(self.interpreters)

    def online(self):
        """Lets what runs from here on reach the index that the caller's pip is configured for."""
        for name in ("PIP_CONFIG_FILE", "PIP_NO_INDEX", "PIP_FIND_LINKS"):
            self.environment.pop(name, None)
        for name, value in os.environ.items():
            if name.startswith(("PIP_", "SSL_CERT", "REQUESTS_CA", "http_proxy", "https_proxy",
                                "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY")):
                self.environment[name] = value

    def run(self, *args, check=True, cwd=None, env=None, stdin=None, timeout=180):
        """Runs a program in this world. @check: the exit status that must come, True for 0, None or
        False for any. @env: changes to the environment, None removes a variable."""
        environment = dict(self.environment)
        for name, value in (env or {}).items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = str(value)
        args = [str(arg) for arg in args]
        start = time.monotonic()
        done = subprocess.run(args, cwd=cwd or self.project, env=environment, timeout=timeout,
                              input=stdin if stdin is not None else "", capture_output=True,
                              text=True, errors="surrogateescape", start_new_session=True,
                              **machine.user_options(self.user))
        result = Result(args, done.returncode, done.stdout, done.stderr, time.monotonic() - start)
        if check is not None and check is not False:
            wanted = 0 if check is True else check
            if result.status != wanted:
                raise Unexpected(f"expected exit status {wanted}\n{result.describe()}")
        return result

    def venvfs(self, *args, **options):
        return self.run(self.executable, *args, **options)

    def shell(self, script, shell="bash", **options):
        """Runs @script by a shell that stops at the first failing command where it can."""
        flags = [] if shell in ("fish", "csh", "tcsh") else ["-e"]
        if shell in ("csh", "tcsh"):
            flags = ["-e", "-f"]
        if shell == "zsh":
            flags = ["-f", *flags]
        return self.run(shell, *flags, "-c", script, **options)

    def popen(self, *args, **options):
        """A process of this world that the test ends itself."""
        environment = {**self.environment, **options.pop("env", {})}
        return subprocess.Popen([str(arg) for arg in args], cwd=options.pop("cwd", self.project),
                                env=environment, **machine.user_options(self.user), **options)

    # Mounts and processes

    def mounts(self):
        return machine.mounts_below(self.root)

    def processes(self, comm=None):
        """Living processes that were started in this world, all or those of this name."""
        mark = f"VENVFS_TEST_WORLD={self.root}".encode()
        found = [pid for pid in processes.all_pids() if mark in processes.environment_of(pid).split(b"\0")]
        return [pid for pid in found if comm in (None, (processes.stat_of(pid) or [""])[0])]

    def daemons(self):
        """Process ids of this world's daemons, zombies that nobody has waited for included."""
        living = set(self.processes())
        found = []
        for pid in processes.all_pids():
            fields = processes.stat_of(pid)
            if not fields or fields[0] != "venvfsd":
                continue
            if pid in living or fields[1] == "Z" and fields[2] == os.getpid():
                found.append(pid)
        return found

    def kill_daemon(self):
        """kill -9 of this world's daemons; their end is then not held against the test."""
        for pid in self.daemons():
            processes.kill(pid)
            self._wait(pid, DAEMON_EXIT_SECONDS)
            self._reaped.pop(pid, None)

    def _wait(self, pid, seconds):
        """Waits for a daemon to end; FALSE when it does not in time. Remembers its wait status."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                done, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                fields = processes.stat_of(pid)
                if fields is None or fields[1] == "Z":
                    return True
                done = 0
            if done:
                self._reaped[pid] = status
                return True
            time.sleep(0.01)
        return False

    def unmount_all(self):
        problems = []
        for path in self.mounts():
            done = self.venvfs("umount", path, check=None)
            if path not in self.mounts():
                continue
            problems.append(f"{path}: still mounted after venvfs umount\n{done.describe()}")
            command = ["umount", "-l"] if os.getuid() == 0 else ["fusermount3", "-uz"]
            subprocess.run([*command, path], capture_output=True)
        return problems

    def end_daemons(self):
        problems = []
        for pid in self.daemons():
            if not self._wait(pid, DAEMON_EXIT_SECONDS):
                problems.append(f"venvfsd {pid} still runs {DAEMON_EXIT_SECONDS} s after the last umount")
                processes.kill(pid)
                self._wait(pid, 5)
        for pid, status in self._reaped.items():
            code = os.waitstatus_to_exitcode(status)
            if code != 0 and not self.daemon_may_fail:
                how = f"signal {-code}" if code < 0 else f"status {code}"
                problems.append(f"venvfsd {pid} ended with {how}; its log:\n{self.daemon_log()}")
        self._reaped.clear()
        return problems

    def daemon_log(self):
        logs = sorted(self.runtime.rglob("*log*")) + sorted(self.home.rglob("venvfs*log*"))
        return "\n".join(f"{path}:\n{path.read_text(errors='replace')[-4000:]}" for path in logs
                         if path.is_file()) or "(none)"

    def _check_store(self):
        problems = []
        if not self.store.is_dir() or self.store_may_be_damaged:
            return problems
        for verb in (["fsck", "--deep"], ["gc"]):
            done = self.venvfs(*verb, check=None)
            if done.status != 0:
                problems.append(f"venvfs {verb[0]} after the test\n{done.describe()}")
        return problems

    def close(self):
        """Ends the world and returns what was wrong with it, a list of texts."""
        problems = self.unmount_all()
        problems += self._check_store()
        problems += self.end_daemons()
        deadline = time.monotonic() + 1  # for what is about to end
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.01)
        for pid in self.processes():
            command = processes.field_of(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")
            problems.append(f"process {pid} still runs: {command}")
            processes.kill(pid)
        problems += [f"{path}: still mounted" for path in self.mounts()]
        if not self.mounts():
            remove_tree(self.root)
        return problems


def remove_tree(path):
    """rm -rf, directories that are closed to everybody (sentinels of mount points, images) included, also those
    too deep for a path."""
    subprocess.run(["find", path, "-type", "d", "!", "-perm", "-700", "-execdir", "chmod", "700", "{}", ";"],
                   env={"PATH": "/usr/bin:/bin"}, stderr=subprocess.DEVNULL, check=False)
    subprocess.run(["rm", "-rf", path], stderr=subprocess.DEVNULL, check=False)


def install_binaries(target):
    """Copies the built programs to where any user can run them; returns a build-like directory."""
    for name in ("tools/venvfs", "tools/mount.fuse.venvfs", "fs/venvfsd"):
        source = BUILD / name
        if not source.exists():
            machine.skip(f"{source} is not built (meson setup build && ninja -C build)")
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, place)
        place.chmod(0o755)
    return target


def installed_paths():
    """All that `meson install` installs."""
    if not (BUILD / "build.ninja").exists():
        machine.skip(f"{BUILD} is no build directory")
    meson = shutil.which("meson")
    if not meson:
        machine.skip("meson is not here")
    listed = subprocess.run([meson, "introspect", "--installed", BUILD], capture_output=True, text=True, check=True)
    return list(json_module.loads(listed.stdout).values())


def new_root(prefix):
    """A short path that every user may walk through: unix sockets have 108 bytes for theirs."""
    root = Path(tempfile.mkdtemp(prefix=f"vf-{prefix}-", dir="/tmp"))
    root.chmod(0o755)
    return root
