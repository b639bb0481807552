"""The figures: each one function that measures one thing side by side and says what was demanded.

A figure interleaves its contenders round by round, in turning order, and reports medians, so that a
noisy minute hits all of them. Slow peers run fewer rounds (Bench.slow_rounds)."""

import os
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchlib import machine
from benchlib.contenders import Uv, Venvfs, VenvPip, Virtualenv

HERE = Path(__file__).parents[1]
MANY_MOUNTS = 10
PIP_PACKAGE = "django"  # 24 MB in 3,700 files once unpacked


@dataclass
class Row:
    """One line of the table. @values: contender → median, in @unit. @target: what venvfs was to reach,
    None where nothing was demanded; @reached: whether it did."""

    what: str
    unit: str
    values: dict
    target: str = None
    reached: bool = None


@dataclass
class Bench:
    """What a figure is given."""

    folder: Path
    wheels: Path
    python: str
    programs: dict
    rounds: int
    slow_rounds: int
    requirements: dict = field(default_factory=dict)  # number of wheels → file
    raw: dict = field(default_factory=dict)

    def new(self, kind, name, *program):
        """A contender with a fresh folder of its own."""
        folder = self.folder / name
        machine.remove(folder)
        return kind(*program, folder, self.wheels, self.python)

    def venvfs(self, name):
        return self.new(Venvfs, name, self.programs["venvfs"])

    def uv(self, name):
        return self.new(Uv, name, self.programs["uv"])

    def interleave(self, label, measures, rounds=None):
        """Calls each of @measures (name → function returning a number or a dict of numbers) once a
        round, in turning order. Returns name → median (of each key)."""
        rounds = rounds or self.rounds
        samples = {name: [] for name in measures}
        names = list(measures)
        for number in range(rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                machine.settle()
                samples[name].append(measures[name]())
        self.raw[label] = samples
        return {name: median(values) for name, values in samples.items()}


def median(values):
    if isinstance(values[0], dict):
        return {key: statistics.median(value[key] for value in values) for key in values[0]}
    return statistics.median(values)


FIGURES = {}


def figure(name):
    def register(function):
        FIGURES[name] = function
        return function
    return register


@figure("create")
def create_and_mount(bench):
    """Everything is in the store or in the cache already; the daemon runs."""
    venvfs, uv = bench.venvfs("create"), bench.uv("create-uv")
    measures = {}
    for count, requirements in bench.requirements.items():
        keeper = f"keep-{count}"
        venvfs.create(keeper, requirements)
        uv.create(keeper, requirements)

        def measure_venvfs(requirements=requirements):
            made = venvfs.make("one", requirements)
            mounted = venvfs.mount("one")
            first = venvfs.pass_in("one")
            venvfs.umount("one")
            return {"both": made + mounted, "pass": made + mounted + first,
                    "delete": venvfs.venvfs("--quiet", "delete", "one")}

        def measure_uv(requirements=requirements):
            made = uv.create("one", requirements)
            first = uv.pass_in("one")
            start = time.perf_counter()
            uv.delete("one")
            return {"both": made, "pass": made + first,
                    "delete": time.perf_counter() - start}

        measures[f"venvfs {count}"] = measure_venvfs
        measures[f"uv {count}"] = measure_uv
    medians = bench.interleave("create", measures)
    venvfs.end()
    rows = []
    for count in bench.requirements:
        ours, theirs = medians[f"venvfs {count}"], medians[f"uv {count}"]
        values = {"venvfs": ours["both"] * 1000, "uv": theirs["both"] * 1000}
        rows.append(Row(f"create and mount, {wheels(count)}, all known already", "ms", values,
                        "≤ 15 ms", values["venvfs"] <= 15))
    many = max(bench.requirements)
    ours, theirs = medians[f"venvfs {many}"], medians[f"uv {many}"]
    rows.append(Row(f"the same and `python -c pass`, {wheels(many)}", "ms",
                    {"venvfs": ours["pass"] * 1000, "uv": theirs["pass"] * 1000},
                    "uv ÷ 25", theirs["pass"] / ours["pass"] >= 25))
    rows.append(Row(f"delete it, {wheels(many)}", "ms",
                    {"venvfs": ours["delete"] * 1000, "uv": theirs["delete"] * 1000},
                    "≤ 20 ms", ours["delete"] * 1000 <= 20))
    return rows


def wheels(count):
    return f"{count} wheel{'s' if count > 1 else ''}"


@figure("image")
def without_image(bench):
    """The packages are in the store and compiled, but were never merged."""
    venvfs = bench.venvfs("image")
    requirements = bench.requirements[max(bench.requirements)]
    venvfs.create("keep", requirements)
    venvfs.umount("keep")

    def measure():
        venvfs.forget_images()
        seconds = venvfs.make("one", requirements)
        venvfs.venvfs("--quiet", "delete", "one")
        return seconds

    seconds = bench.interleave("image", {"venvfs": measure})["venvfs"]
    return [Row(f"create, {wheels(max(bench.requirements))} in the store, never merged before", "ms",
                {"venvfs": seconds * 1000}, "≤ 80 ms", seconds * 1000 <= 80)]


@figure("daemon-start")
def daemon_start(bench):
    venvfs = bench.venvfs("daemon-start")
    requirements = bench.requirements[min(bench.requirements)]
    venvfs.make("one", requirements)
    venvfs.make("other", requirements)

    def cold():
        wait_for_no_daemon(venvfs)
        seconds = venvfs.mount("one")
        venvfs.umount("one")
        return seconds

    def warm():
        venvfs.mount("other")
        seconds = venvfs.mount("one")
        venvfs.umount("one")
        venvfs.umount("other")
        return seconds

    medians = bench.interleave("daemon-start", {"cold": cold, "warm": warm})
    more = (medians["cold"] - medians["warm"]) * 1000
    return [Row("mount that has to start the daemon: more than one that has not", "ms",
                {"venvfs": more}, "≤ 20 ms", more <= 20)]


def wait_for_no_daemon(venvfs):
    deadline = time.monotonic() + 30
    while machine.daemons(venvfs.runtime):
        if time.monotonic() > deadline:
            raise machine.Failed("the idle daemon does not leave")
        time.sleep(0.02)


@figure("import")
def first_import(bench):
    """From nothing but a warm store or cache to the end of the first import of the whole set."""
    requirements = bench.requirements[max(bench.requirements)]
    venvfs, uv, plain = bench.venvfs("import"), bench.uv("import-uv"), bench.uv("import-plain")
    for contender in (venvfs, uv):
        contender.create("keep", requirements)
    plain.environment["UV_LINK_MODE"] = "copy"
    plain.create("plain", requirements, "--compile-bytecode")
    for contender, name in ((plain, "plain"), (venvfs, "keep")):
        contender.import_in(name)

    def fresh(contender, *options):
        def measure():
            made = contender.create("one", requirements, *options)
            imported = contender.import_in("one")
            contender.delete("one")
            return {"all": made + imported.wall, "import": imported.wall,
                    "rest": imported.wall - imported.user}
        return measure

    def hot(contender, name):
        def measure():
            imported = contender.import_in(name)
            return {"all": imported.wall, "import": imported.wall,
                    "rest": imported.wall - imported.user}
        return measure

    medians = bench.interleave("import", {
        "plain": hot(plain, "plain"), "venvfs": fresh(venvfs), "venvfs hot": hot(venvfs, "keep")},
        rounds=max(bench.rounds, 5 if bench.slow_rounds > 1 else 1))
    slow = bench.interleave("import-uv", {
        "uv": fresh(uv), "uv compile": fresh(uv, "--compile-bytecode")}, bench.slow_rounds)
    venvfs.end()
    native, ours, theirs = medians["plain"]["all"], medians["venvfs"], slow["uv"]
    count = wheels(max(bench.requirements))
    return [
        Row(f"create, mount and first import, {count}; ext4: hot import alone", "s",
            {"venvfs": ours["all"], "ext4": native, "uv": theirs["all"],
             "uv, compiling": slow["uv compile"]["all"]},
            "ext4 × 1.2", ours["all"] <= 1.2 * native),
        Row("the same against uv", "s", {"venvfs": ours["all"], "uv": theirs["all"]},
            "uv ÷ 3", theirs["all"] / ours["all"] >= 3),
        Row("first import: wall less user time", "s",
            {"venvfs": ours["rest"], "ext4": medians["plain"]["rest"], "uv": theirs["rest"]}),
        Row("hot import", "s", {"venvfs": medians["venvfs hot"]["import"], "ext4": native}),
    ]


@figure("cold")
def cold(bench):
    """From wheel files in a local folder; store and cache are empty."""
    count = max(bench.requirements)
    requirements = bench.requirements[count]

    def ours(*options):
        def measure():
            venvfs = bench.venvfs("cold")
            seconds = venvfs.create("one", requirements, *options)
            venvfs.delete("one")
            machine.remove(venvfs.folder)
            return seconds
        return measure

    def theirs(*options):
        def measure():
            uv = bench.uv("cold-uv")
            seconds = uv.create("one", requirements, *options)
            machine.remove(uv.folder)
            return seconds
        return measure

    def compileall():
        uv = bench.uv("cold-compileall")
        uv.create("one", requirements)
        machine.settle()
        seconds = machine.run([bench.python, "-m", "compileall", "-q", "-j", "0",
                               uv.place("one") / "lib"], uv.environment).wall
        machine.remove(uv.folder)
        return seconds

    medians = bench.interleave("cold", {
        "venvfs": ours("--no-compile"), "venvfs compiling": ours(), "uv": theirs(),
        "uv compiling": theirs("--compile-bytecode"), "compileall": compileall}, bench.slow_rounds)
    compiling = medians["venvfs compiling"] - medians["venvfs"]
    return [
        Row(f"from local wheels, nothing known, no bytecode, {wheels(count)}", "s",
            {"venvfs": medians["venvfs"], "uv": medians["uv"]}, "uv",
            medians["venvfs"] <= medians["uv"]),
        Row("the same, compiling", "s",
            {"venvfs": medians["venvfs compiling"], "uv, compiling": medians["uv compiling"]}),
        Row("what compiling adds; ext4: `compileall -j 0` of the same files", "s",
            {"venvfs": compiling, "ext4": medians["compileall"]}, "ext4",
            compiling <= medians["compileall"]),
    ]


@figure("slow-peers")
def slow_peers(bench):
    """python -m venv and virtualenv, with pip, from local wheels: once, since they take minutes."""
    requirements = bench.requirements[max(bench.requirements)]
    values = {}
    for label, kind, *program in (("venv + pip", VenvPip),
                                  ("virtualenv + pip", Virtualenv, bench.programs["virtualenv"])):
        if program and not program[0]:
            continue
        contender = bench.new(kind, "slow-peer", *program)
        machine.settle()
        values[label] = contender.create("one", requirements)
        machine.remove(contender.folder)
    bench.raw["slow-peers"] = values
    return [Row(f"an environment of {wheels(max(bench.requirements))}, from local wheels, once", "s", values)]


@figure("one-more")
def one_more(bench):
    """What one more environment of the same packages takes on disk."""
    requirements = bench.requirements[max(bench.requirements)]
    venvfs, uv = bench.venvfs("one-more"), bench.uv("one-more-uv")
    used = {}
    for label, contender in (("venvfs", venvfs), ("uv", uv)):
        contender.create("first", requirements)
        contender.import_in("first")
        before = machine.disk_usage(contender.folder)
        contender.create("second", requirements)
        made = machine.disk_usage(contender.folder)
        contender.import_in("second")
        imported = machine.disk_usage(contender.folder)
        used[label] = {"bytes": made[0] - before[0], "inodes": made[1] - before[1],
                       "bytes imported": imported[0] - before[0],
                       "inodes imported": imported[1] - before[1]}
    bench.raw["one-more"] = used
    venvfs.end()
    rows = []
    for key, what in (("", "before its first import"), (" imported", "after its first import")):
        size = {label: values["bytes" + key] / 1024 for label, values in used.items()}
        inodes = {label: values["inodes" + key] for label, values in used.items()}
        rows.append(Row(f"one more environment, {what}", "KiB", size, "≤ 64 KiB", size["venvfs"] <= 64))
        rows.append(Row(f"one more environment, {what}", "inodes", inodes, "≤ 25", inodes["venvfs"] <= 25))
    return rows


def walk(folder):
    entries = 0
    for path, _, names in os.walk(folder):
        entries += 1 + len(names)
        for name in names:
            os.lstat(os.path.join(path, name))
    return entries


@figure("memory")
def daemon_memory(bench):
    requirements = bench.requirements[max(bench.requirements)]
    venvfs = bench.venvfs("memory")
    names = [f"mount-{number}" for number in range(MANY_MOUNTS)]
    for name in names:
        venvfs.create(name, requirements)
    daemon = venvfs.daemon()
    before = machine.anonymous_kilobytes(daemon)
    entries = [walk(venvfs.place(name)) for name in names]
    after = machine.anonymous_kilobytes(daemon)
    bench.raw["memory"] = {"before": before, "after": after, "entries": entries}
    venvfs.end()
    # Allocator noise, a page or two a thread, is no growth by entry.
    return [
        Row(f"daemon with {MANY_MOUNTS} mounts: anonymous memory", "KiB", {"venvfs": before},
            "≤ 4,096 KiB", before <= 4096),
        Row(f"the same after walking all {entries[0]:,} entries of each", "KiB", {"venvfs": after},
            "unchanged (± 256)", abs(after - before) <= 256),
    ]


@figure("pip")
def pip_inside(bench):
    """pip installs and uninstalls a large package inside; and uninstalls one that the store gave."""
    many = bench.requirements[max(bench.requirements)]
    venvfs, plain = bench.venvfs("pip"), bench.new(VenvPip, "pip-plain")
    empty = bench.folder / "empty.txt"
    empty.write_text("")
    plain.create("one", empty)
    venvfs.create("one", empty)
    package = ("--no-deps", pinned_from(many, PIP_PACKAGE))

    def measure(contender):
        return lambda: {"install": contender.install("one", *package),
                        "uninstall": contender.uninstall("one", PIP_PACKAGE)}

    versions = {contender.run(contender.python_in("one"), "-m", "pip", "--version").out.split()[1]
                for contender in (venvfs, plain)}
    if len(versions) != 1:
        raise machine.Failed(f"pip differs ({', '.join(sorted(versions))}): its own speed would be compared")
    medians = bench.interleave("pip", {"ext4": measure(plain), "venvfs": measure(venvfs)})

    only = bench.folder / "only.txt"
    only.write_text(requirement_of(many, PIP_PACKAGE))
    environment = venvfs.store / "envs" / "lower"

    def lower():
        venvfs.make("lower", only, "--no-deps")
        venvfs.mount("lower")
        written = machine.written_bytes(venvfs.daemon())
        seconds = venvfs.uninstall("lower", PIP_PACKAGE)
        written = machine.written_bytes(venvfs.daemon()) - written
        upper = machine.disk_usage(environment / "upper")[0]
        venvfs.delete("lower")
        return {"seconds": seconds, "written": written, "upper": upper}

    removed = bench.interleave("pip-lower", {"venvfs": lower})["venvfs"]
    venvfs.end()
    rows = [Row(f"pip {verb} inside ({PIP_PACKAGE}, 24 MB)", "s",
                {"venvfs": medians["venvfs"][verb], "ext4": medians["ext4"][verb]}, "ext4 × 1.5",
                medians["venvfs"][verb] <= 1.5 * medians["ext4"][verb])
            for verb in ("install", "uninstall")]
    kept = max(removed["written"], removed["upper"]) / 1024
    rows.append(Row("pip uninstall of the same from the store", "s",
                    {"venvfs": removed["seconds"], "ext4": medians["ext4"]["uninstall"]}, "ext4 × 1.5",
                    removed["seconds"] <= 1.5 * medians["ext4"]["uninstall"]))
    rows.append(Row("what that wrote (file data would be 24,000 KiB)", "KiB", {"venvfs": kept},
                    "no file data (≤ 1,024)", kept <= 1024))
    return rows


def requirement_of(requirements, package):
    """The lines of @requirements that pin @package, hashes included."""
    lines, taken = [], False
    for line in Path(requirements).read_text().splitlines():
        if not line.startswith(" "):
            taken = line.startswith(f"{package}==")
        if taken:
            lines.append(line)
    return "\n".join(lines) + "\n"


def pinned_from(requirements, package):
    return requirement_of(requirements, package).split()[0]

