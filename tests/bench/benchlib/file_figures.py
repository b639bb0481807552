"""The figures of the file system, against ext4, the kernel's overlayfs and fuse-overlayfs."""

import json
import os
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from benchlib import machine, trace, workloads
from benchlib.bench import Row
from benchlib.places import FuseOverlay, Mounted, Overlay, Plain, drop_caches

NAME = "files"
PIP_WHEEL = "django-"
WORKLOADS = os.path.join(os.path.dirname(workloads.__file__), "workloads.py")

# Name of the workload, its argument, what the row says, and the most by ext4's figure that was
# demanded; None: fuse-overlayfs' figure.
WARM = [
    ("stat", "names", "stat of every entry", 1.3),
    ("find", None, "find, with sizes", 1.3),
    ("du", None, "du", 1.3),
    ("tar", None, "tar c", 1.3),
    ("grep", None, "grep -r", 1.3),
    ("git_status", None, "git status", 1.3),
    ("small_reads", None, "open, read, close of small files", 1.5),
    ("large_reads", None, "read of large files", 1.05),
    ("large_writes", None, "write of 256 MiB", 4),
    ("large_writes_synced", None, "write of 256 MiB, with fsync", 1.2),
    ("create", None, "create 3,000 small files", 3),
    ("rename", None, "rename them", 3),
    ("unlink", None, "unlink them", 3),
    ("sqlite", None, "150 transactions of sqlite (WAL, synchronous=FULL)", 1.3),
    ("pip_install", "wheel", "pip install of a large package", 1.3),
    ("compileall", None, "compileall of a package", 1.3),
    ("pytest", None, "pytest of a package", 1.3),
    ("git_clone", "repository", "git clone", 2),
]
FASTER_THAN_FUSE_OVERLAYFS = ("create", "rename", "unlink")
COLD = ["stat", "find", "du", "tar", "git_status"]


@dataclass
class Files:
    """The four places, and what workloads need."""

    bench: object
    places: dict
    arguments: dict
    unprofiled: Mounted

    def work(self, name, argument, place):
        """Seconds, measured inside of the process."""
        arguments = [self.arguments[argument]] if argument else []
        done = machine.run([place.python(), "-I", WORKLOADS, name, place.root, *arguments], place.environment)
        return {"seconds": float(done.out)}

    def interleave(self, label, measures, slow=False):
        return self.bench.interleave(label, measures, measures if slow else ())


def write_names(root, target, sources):
    """All entries, and those whose lookup starts no prefetch."""
    paths = [os.path.relpath(path, root) for path in workloads.walk(root)]
    target.write_text("".join(f"{path}\n" for path in paths))
    sources.write_text("".join(f"{path}\n" for path in paths if path.endswith(".py")))


def make_repository(folder, source):
    """A git repository of what is in @source."""
    repository = folder / "repository"
    subprocess.run(["cp", "-r", source, repository], check=True)
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-C", repository]
    for arguments in (["init", "-q"], ["add", "-A", "-f"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *arguments], check=True, stdout=subprocess.DEVNULL)
    return repository


_files = None


def prepared(bench):
    """What all figures share, made when the first of them is measured."""
    global _files
    if _files is None:
        _files = prepare(bench, bench.requirements[max(bench.requirements)])
    return _files


def prepare(bench, requirements):
    venvfs = bench.venvfs("files-venvfs")
    venvfs.environment["VENVFS_LINGER"] = "60"
    venvfs.create(NAME, requirements)
    # Another image, so that each has a read profile of its own.
    venvfs.create(f"{NAME}-unprofiled", requirements, "--without-pip")
    folder = bench.folder / "files"
    folder.mkdir()
    plain, below = Plain(folder / "plain", venvfs, NAME), Plain(folder / "below", venvfs, NAME)
    mounted = Mounted(venvfs, NAME)
    [packages] = plain.root.glob("lib/python3*/site-packages")
    repository = make_repository(folder, packages / "django")
    names = folder / "names.txt"
    sources = folder / "sources.txt"
    write_names(plain.root, names, sources)
    for place in (plain, below, mounted):
        subprocess.run(["git", "clone", "-q", repository, place.root / "clone"], check=True)
    places = {"venvfs": mounted, "ext4": plain, "overlayfs": Overlay(folder / "kernel", below),
              "fuse-overlayfs": FuseOverlay(folder / "fuse", below)}
    [wheel] = bench.wheels.glob(f"{PIP_WHEEL}*.whl")
    return Files(bench, places, {"names": names, "sources": sources, "wheel": wheel, "repository": repository},
                 Mounted(venvfs, f"{NAME}-unprofiled", forgets=True))


def end():
    global _files
    if _files is not None:
        for place in [*_files.places.values(), _files.unprofiled]:
            place.unmount()
        _files = None


FIGURES = {}


def figure(name):
    def register(function):
        FIGURES[name] = lambda bench: function(prepared(bench))
        return function
    return register


# Imports


def import_in(place):
    done = machine.run([place.python(), os.path.join(os.path.dirname(WORKLOADS), "..", "import_set.py")],
                       place.environment)
    return {"wall": done.wall, "rest": done.wall - done.user}


def after(prepare_place, place):
    def measure():
        prepare_place()
        return import_in(place)
    return measure


@figure("hot-import")
def hot(files):
    for place in files.places.values():
        for _ in range(2):
            import_in(place)
    before = files.places["venvfs"].requests()
    measured = files.interleave("hot import", {
        name: lambda place=place: import_in(place) for name, place in files.places.items()})
    asked = {kind: count - before.get(kind, 0)
             for kind, count in files.places["venvfs"].requests().items() if count > before.get(kind, 0)}
    walls = {name: value["wall"] for name, value in measured.items()}
    others = sum(count for kind, count in asked.items() if kind not in ("IOCTL", "STATFS", "GETATTR"))
    return [Row("hot import", "s", walls, "ext4 × 1.02", walls["venvfs"] <= 1.02 * walls["ext4"]),
            Row("requests of a hot import, IOCTL apart", "requests",
                {"venvfs": sum(count for kind, count in asked.items() if kind != "IOCTL") / files.bench.rounds},
                "0", others == 0)]


@figure("fresh-import")
def first(files):
    """On a fresh mount; the page cache of what is below is warm. ext4's is hot."""
    places = files.places
    measured = files.interleave("first import", {
        "ext4": lambda: import_in(places["ext4"]),
        "venvfs": after(places["venvfs"].fresh, places["venvfs"]),
        "venvfs, image unknown": after(files.unprofiled.fresh, files.unprofiled),
        "overlayfs": after(places["overlayfs"].fresh, places["overlayfs"]),
        "fuse-overlayfs": after(places["fuse-overlayfs"].fresh, places["fuse-overlayfs"])})
    walls = {name: value["wall"] for name, value in measured.items()}
    rests = {name: value["rest"] for name, value in measured.items()}
    unknown = {**walls, "venvfs": walls["venvfs, image unknown"]}
    rest_unknown = {**rests, "venvfs": rests["venvfs, image unknown"]}
    for values in (walls, rests, unknown, rest_unknown):
        values.pop("venvfs, image unknown")
    native = rests["ext4"]
    return [
        Row("first import of an image on this machine", "s", unknown, "ext4 × 1.08, or 0.35 s more wall less user",
            unknown["venvfs"] <= 1.08 * unknown["ext4"] or rest_unknown["venvfs"] <= native + 0.35),
        Row("the same: wall less user time", "s", rest_unknown),
        Row("first import on a fresh mount later", "s", walls, "ext4 × 1.05",
            walls["venvfs"] <= 1.05 * walls["ext4"]),
        Row("the same: wall less user time", "s", rests),
    ]


PROFILE = "requests of an import"
LEAST_MS = 0.5


@figure("profile")
def profile(files):
    """Where the time of an import goes that is not Python's: no rows, but the table below."""
    known = files.places["venvfs"]
    if not trace.is_possible():
        return []
    found = files.bench.raw[PROFILE] = {}

    def traced(label, place):
        with trace.Trace(place.root) as requests:
            import_in(place)
        found[label] = requests.costs()
    files.unprofiled.fresh()
    traced("first import of an image on this machine", files.unprofiled)
    import_in(known)
    known.fresh()
    traced("first import on a fresh mount later", known)
    import_in(known)
    traced("hot import", known)
    return []


# Everything else


@figure("cold-import")
def cold(files):
    """After dropping all caches: everything comes from the disk."""
    def dropped(place):
        def measure():
            place.unmount()
            drop_caches()
            place.mount()
            return import_in(place)
        return measure
    measured = files.interleave("import after dropping all caches", {
        name: dropped(place) for name, place in files.places.items()}, slow=True)
    walls = {name: value["wall"] for name, value in measured.items()}
    return [Row("first import after dropping all caches", "s", walls, "ext4",
                walls["venvfs"] <= walls["ext4"])]


def can(files, name, argument, label):
    """Whether it works there, which it may not do on a peer: pip where a directory cannot be renamed.
    The first time, it also warms."""
    try:
        files.work(name, argument, files.places[label])
    except machine.Failed:
        if label in ("venvfs", "ext4"):
            raise
        return False
    return True


@figure("warm")
def warm(files):
    rows = []
    for name, argument, what, factor in WARM:
        able = {label: place for label, place in files.places.items() if can(files, name, argument, label)}
        values = in_milliseconds(files.interleave(f"warm {name}", {
            label: lambda place=place: files.work(name, argument, place)
            for label, place in able.items()}, slow=True))
        reached = values["venvfs"] <= factor * values["ext4"]
        target = f"ext4 × {factor:g}"
        if name in FASTER_THAN_FUSE_OVERLAYFS and "fuse-overlayfs" in values:
            reached = reached and values["venvfs"] < values["fuse-overlayfs"]
            target += ", less than fuse-overlayfs"
        rows.append(Row(what, "ms", values, target, reached))
    return rows


def in_milliseconds(measured):
    return {label: value["seconds"] * 1000 for label, value in measured.items()}


@figure("fresh")
def fresh(files):
    rows = []
    for name, argument, what, _ in WARM:
        if name not in COLD:
            continue

        def measure(place):
            place.fresh()
            return files.work(name, argument, place)
        values = in_milliseconds(files.interleave(f"fresh {name}", {
            label: lambda place=place: measure(place) for label, place in files.places.items()
            if label != "ext4"}, slow=True))
        rows.append(Row(f"{what}, on a fresh mount", "ms", values, "fuse-overlayfs ÷ 2",
                        values["venvfs"] <= 0.5 * values["fuse-overlayfs"]))
    return rows


def pin(threads, processors):
    for thread in threads:
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread, processors)


@contextmanager
def one_processor(pid):
    """This process, what it starts, and all threads of @pid."""
    threads = [0, *(int(thread) for thread in os.listdir(f"/proc/{pid}/task"))]
    processors = os.sched_getaffinity(0)
    pin(threads, {min(processors)})
    try:
        yield
    finally:
        pin(threads, processors)


@figure("lookup")
def lookup(files):
    """One uncached LOOKUP seen from the caller: a stat on a fresh mount, less the same again."""
    place = files.places["venvfs"]

    def measure():
        first_time = files.work("one_stat", "sources", place)["seconds"]
        again = files.work("one_stat", "sources", place)["seconds"]
        return {"each": (first_time - again) * 1e6}

    def apart():
        place.fresh()
        return measure()

    def together():
        place.fresh()
        with one_processor(place.venvfs.daemon()):
            return measure()
    found = files.interleave("lookup", {"apart": apart, "together": together}, slow=True)
    each = found["apart"]["each"]
    return [Row("one LOOKUP that is not cached, seen from the caller", "µs", {"venvfs": each}, "13 µs", each <= 13),
            Row("the same where caller and daemon share one processor", "µs", {"venvfs": found["together"]["each"]})]


# What is told of them besides the table


def profile_table(bench):
    """Each kind of request that an import waits for: how many, how long one takes, all of them."""
    if PROFILE not in bench.raw:
        return "This kernel has no tracepoints for the requests of FUSE."
    lines = ["Requests that an import waits for, by the kernel's tracepoints: from the request to its answer; that the asking",
             "process wakes up comes on top. \"Ahead\" are those that the daemon makes itself, to look ahead, while nobody waits.",
             f"Kinds that take less than {LEAST_MS:g} ms in all are left out.", "",
             "| | request | waited for | one takes | all take | ahead |", "|---|---|---:|---:|---:|---:|"]
    for label, costs in bench.raw[PROFILE].items():
        for kind, cost in sorted(costs.items(), key=lambda item: -item[1]["all"]):
            if cost["all"] < LEAST_MS:
                continue
            lines.append(f"| {label} | {kind} | {cost['waited']:,} | {cost['each']:.0f} µs | {cost['all']:.1f} ms | "
                         f"{cost['ahead'] or ''} |")
    return "\n".join(lines)


PLOT = """
import json, sys
import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot
rows, target = json.load(sys.stdin), sys.argv[1]
colours = {"venvfs": "#1b6ca8", "overlayfs": "#8a8a8a", "fuse-overlayfs": "#d08c3c"}
figure, axes = pyplot.subplots(figsize=(9, 0.42 * len(rows) + 1.2))
height = 0.8 / len(colours)
for i, (name, colour) in enumerate(colours.items()):
    values = [row["values"][name] / row["values"]["ext4"] for row in rows]
    axes.barh([place + i * height for place in range(len(rows))], values, height, color=colour, label=name)
axes.axvline(1, color="black", linewidth=0.8)
axes.set_yticks([place + height for place in range(len(rows))], [row["what"] for row in rows], fontsize=8)
axes.invert_yaxis()
axes.set_xscale("log")
ticks = [0.5, 1, 2, 4, 8, 16, 32]
low, high = axes.get_xlim()
axes.set_xticks([tick for tick in ticks if low <= tick <= high], [f"{tick:g}" for tick in ticks if low <= tick <= high])
axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
axes.set_xlabel("time by that of ext4 (less is better)")
axes.legend(loc="lower right", fontsize=8)
figure.tight_layout()
figure.savefig(target, dpi=110)
"""


def plot(bench, rows, target):
    """By the matplotlib of the environment that was measured; it may be unmounted by now."""
    shown = [vars(row) for row in rows if {"venvfs", "ext4", "overlayfs", "fuse-overlayfs"} <= set(row.values)]
    python = bench.folder / "files" / "plain" / "bin" / "python"
    subprocess.run([python, "-I", "-c", PLOT, target], input=json.dumps(shown), text=True, check=True,
                   env={**os.environ, "MPLCONFIGDIR": str(bench.folder)})
