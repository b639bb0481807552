"""The figures: each one function that measures one thing side by side and says what was demanded.

A figure interleaves its contenders round by round, in turning order, and reports medians, so that a
noisy minute hits all of them. What takes minutes runs fewer rounds (Bench.slow_rounds)."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

from benchlib import machine
from benchlib.bench import KEPT, Row, requirement_of, wheels
from benchlib.contenders import VenvPip, Virtualenv

MANY_MOUNTS = 10
IDLE_SECONDS = 4  # after three, further workers leave and buffers are given back
PIP_PACKAGE = "django"  # 24 MB in 3,700 files once unpacked

FIGURES = {}


def figure(name):
    def register(function):
        FIGURES[name] = function
        return function
    return register


def ms(values):
    return {name: 1000 * seconds for name, seconds in values.items()}


# Making one


@figure("create")
def create_and_mount(bench):
    """Everything is in the store or in the cache already."""
    venvfs, uv = bench.knowing("venvfs"), bench.knowing("uv")
    measures = {}
    for count, requirements in bench.requirements.items():
        measures[f"venvfs {count}"] = lambda requirements=requirements: life(venvfs, requirements)
        measures[f"uv {count}"] = lambda requirements=requirements: life(uv, requirements)
    many = bench.requirements[bench.many]

    def unmerged():
        venvfs.forget_image(f"{KEPT}-{bench.many}")
        return life(venvfs, many)

    def without_daemon():
        # In a runtime directory of its own there is no daemon, and it ends with this mount.
        with venvfs.elsewhere("run-alone"):
            return life(venvfs, many)

    measures.update({"unmerged": unmerged, "without daemon": without_daemon})
    medians = bench.interleave("create", measures)
    rows = []
    for count in bench.requirements:
        values = ms({name: medians[f"{name} {count}"]["made"] for name in ("venvfs", "uv")})
        rows.append(Row(f"create and mount, {wheels(count)}, all known", "ms", values, "≤ 15 ms",
                        values["venvfs"] <= 15))
    ours, theirs = medians[f"venvfs {bench.many}"], medians[f"uv {bench.many}"]
    values = ms({"venvfs": ours["used"], "uv": theirs["used"]})
    rows.append(Row(f"the same and `python -c pass`, {wheels(bench.many)}", "ms", values, "uv ÷ 25",
                    values["uv"] / values["venvfs"] >= 25))
    more = 1000 * (medians["without daemon"]["mounted"] - ours["mounted"])
    rows.append(Row("a mount that has to start the daemon: takes more", "ms", {"venvfs": more}, "≤ 20 ms",
                    more <= 20))
    values = ms({"venvfs": medians["unmerged"]["made"], "uv": theirs["made"]})
    rows.append(Row(f"create and mount, {wheels(bench.many)} known, but never together", "ms", values,
                    "≤ 80 ms", values["venvfs"] <= 80))
    values = ms({"venvfs": ours["deleted"], "uv": theirs["deleted"]})
    rows.append(Row(f"delete it while it is mounted; uv: `rm -rf`, {wheels(bench.many)}", "ms", values,
                    "≤ 20 ms", values["venvfs"] <= 20))
    return rows


def life(contender, requirements):
    """Times of an environment's making, first use and end."""
    created, mounted = contender.create_in_steps("one", requirements)
    return {"created": created, "mounted": mounted, "made": created + mounted,
            "used": created + mounted + contender.pass_in("one"), "deleted": contender.delete("one")}


@figure("import")
def first_import(bench):
    """From nothing but a warm store or cache to the end of the first import of the whole set."""
    requirements, kept = bench.requirements[bench.many], f"{KEPT}-{bench.many}"
    venvfs, uv, plain = bench.knowing("venvfs"), bench.knowing("uv"), bench.uv("import-plain")
    plain.environment["UV_LINK_MODE"] = "copy"
    plain.create(kept, requirements, "--compile-bytecode")
    plain.forget_cache()
    for contender in (plain, venvfs):
        contender.import_in(kept)

    def fresh(contender, *options):
        def measure():
            made = contender.create("one", requirements, *options)
            machine.settle()
            imported = contender.import_in("one")
            contender.delete("one")
            return {"all": made + imported.wall, "rest": imported.wall - imported.user}
        return measure

    def hot(contender):
        def measure():
            imported = contender.import_in(kept)
            return {"all": imported.wall, "rest": imported.wall - imported.user}
        return measure

    medians = bench.interleave("import", {
        "plain": hot(plain), "venvfs": fresh(venvfs), "venvfs hot": hot(venvfs), "uv": fresh(uv),
        "uv compiling": fresh(uv, "--compile-bytecode")}, slow=("uv", "uv compiling"))
    native, ours, theirs = medians["plain"], medians["venvfs"], medians["uv"]
    machine.remove(plain.folder)
    return [
        Row(f"create, mount and first import, {wheels(bench.many)}; ext4: hot import alone", "s",
            {"venvfs": ours["all"], "ext4": native["all"]}, "ext4 × 1.2", ours["all"] <= 1.2 * native["all"]),
        Row("the same", "s", {"venvfs": ours["all"], "uv": theirs["all"],
                              "uv, compiling": medians["uv compiling"]["all"]},
            "uv ÷ 3", theirs["all"] / ours["all"] >= 3),
        Row("the first import's time that is not python's own (wall less user)", "s",
            {"venvfs": ours["rest"], "ext4": native["rest"], "uv": theirs["rest"]}),
        Row("hot import", "s", {"venvfs": medians["venvfs hot"]["all"], "ext4": native["all"]}),
    ]


@figure("cold")
def cold(bench):
    """From wheel files in a local folder; store and cache are empty."""
    requirements = bench.requirements[bench.many]

    def ours():
        venvfs = bench.venvfs("cold")
        unpacked = venvfs.create("one", requirements, "--no-compile")
        machine.settle()
        compiled = venvfs.make("two", requirements)  # what is in the store by now
        venvfs.delete("one")
        machine.remove(venvfs.folder)
        return {"unpacked": unpacked, "compiled": compiled, "both": unpacked + compiled}

    def theirs():
        uv = bench.uv("cold-uv")
        unpacked = uv.create("one", requirements)
        machine.settle()
        compiled = machine.run([bench.python, "-m", "compileall", "-q", "-j", "0", uv.place("one") / "lib"],
                               uv.environment).wall
        machine.remove(uv.folder)
        return {"unpacked": unpacked, "compiled": compiled}

    def theirs_compiling():
        uv = bench.uv("cold-uv")
        seconds = uv.create("one", requirements, "--compile-bytecode")
        machine.remove(uv.folder)
        return {"both": seconds}

    medians = bench.interleave("cold", {"venvfs": ours, "uv": theirs, "uv compiling": theirs_compiling},
                               slow=("venvfs", "uv", "uv compiling"))
    ours, theirs = medians["venvfs"], medians["uv"]
    return [
        Row(f"from local wheels, nothing known, no bytecode, {wheels(bench.many)}", "s",
            {"venvfs": ours["unpacked"], "uv": theirs["unpacked"]}, "uv", ours["unpacked"] <= theirs["unpacked"]),
        Row("then compiling it (with create's other steps); ext4: `compileall -j 0` of the same files", "s",
            {"venvfs": ours["compiled"], "ext4": theirs["compiled"]}, "ext4",
            ours["compiled"] <= theirs["compiled"]),
        Row("both", "s", {"venvfs": ours["both"], "uv, compiling": medians["uv compiling"]["both"]}),
    ]


@figure("slow-peers")
def slow_peers(bench):
    """python -m venv and virtualenv, with pip, from the same local wheels: once, since they take
    minutes. pip compiles what it installs; nothing of that is shared by the next environment."""
    requirements = bench.requirements[bench.many]
    kinds = {"venv + pip": (VenvPip,)}
    if bench.programs["virtualenv"]:
        kinds["virtualenv + pip"] = (Virtualenv, bench.programs["virtualenv"])
    results = {}
    for label, (kind, *program) in kinds.items():
        contender = bench.new(kind, "slow-peer", *program)
        few = contender.create("few", bench.requirements[bench.few])
        machine.settle()
        made = contender.create("one", requirements)
        used, inodes = machine.disk_usage(contender.place("one"))
        imported = contender.import_in("one")
        results[label] = {"few": few, "made": made, "used": made + contender.pass_in("one"), "all": made + imported.wall,
                          "deleted": contender.delete("one"), "bytes": used / 1024, "inodes": inodes}
        machine.remove(contender.folder)
    bench.raw["slow-peers"] = results
    venvfs = bench.knowing("venvfs")
    ours = bench.interleave("slow-peers-venvfs", {
        "few": lambda: life(venvfs, bench.requirements[bench.few]), "many": lambda: life(venvfs, requirements)})
    results["venvfs"] = {**ours["many"], "few": ours["few"]["made"]}

    def values(key, factor=1):
        return {label: factor * result[key] for label, result in results.items() if key in result}

    return [
        Row(f"create (and mount), {wheels(bench.few)}; peers: from the local wheel", "ms", values("few", 1000)),
        Row(f"create (and mount), {wheels(bench.many)}; peers: from local wheels", "ms", values("made", 1000)),
        Row("the same and `python -c pass`", "ms", values("used", 1000)),
        Row("the same until the first import of the set is done", "s", values("all")),
        Row("delete it", "ms", values("deleted", 1000)),
        Row("each more of them, on disk", "KiB", values("bytes")),
        Row("each more of them", "inodes", values("inodes")),
    ]


# What it occupies


@figure("one-more")
def one_more(bench):
    """What one more environment of the same packages takes on disk."""
    requirements = bench.requirements[bench.many]
    used = {}
    for label in ("venvfs", "uv"):
        contender = bench.knowing(label)
        contender.import_in(f"{KEPT}-{bench.many}")
        before = machine.disk_usage(contender.folder)
        contender.create("one", requirements)
        made = machine.disk_usage(contender.folder)
        contender.import_in("one")
        imported = machine.disk_usage(contender.folder)
        contender.delete("one")
        used[label] = {"bytes": made[0] - before[0], "inodes": made[1] - before[1],
                       "bytes imported": imported[0] - before[0], "inodes imported": imported[1] - before[1]}
    bench.raw["one-more"] = used
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
    venvfs = bench.knowing("venvfs")
    names = [f"mount-{number}" for number in range(MANY_MOUNTS)]
    with venvfs.elsewhere("run-memory"):
        for name in names:
            venvfs.create(name, bench.requirements[bench.many])
        daemon = venvfs.daemon()
        time.sleep(IDLE_SECONDS)
        before = machine.anonymous_kilobytes(daemon)
        entries = [walk(venvfs.place(name)) for name in names]
        time.sleep(IDLE_SECONDS)
        after = machine.anonymous_kilobytes(daemon)
        for name in names:
            venvfs.delete(name)
    bench.raw["memory"] = {"before": before, "after": after, "entries": entries}
    # A thread's first work leaves a few pages; an entry that was remembered would take 100 bytes of
    # each of these, 40 MB in all.
    return [
        Row(f"daemon with {MANY_MOUNTS} mounts: anonymous memory", "KiB", {"venvfs": before},
            "≤ 4,096 KiB", before <= 4096),
        Row(f"the same after walking all {entries[0]:,} entries of each", "KiB", {"venvfs": after},
            "unchanged (± 256)", abs(after - before) <= 256),
    ]


# Changing it


@figure("pip")
def pip_inside(bench):
    """pip installs and uninstalls a large package inside; and uninstalls one that the store gave."""
    many = bench.requirements[bench.many]
    venvfs, plain = bench.venvfs("pip"), bench.new(VenvPip, "pip-plain")
    empty = bench.folder / "empty.txt"
    empty.write_text("")
    for contender in (plain, venvfs):
        contender.create("one", empty)
    only = bench.folder / "only.txt"
    only.write_text(requirement_of(many, PIP_PACKAGE))
    package = ("--no-deps", only.read_text().split()[0])
    versions = {contender.run(contender.python_in("one"), "-m", "pip", "--version").out.split()[1]
                for contender in (venvfs, plain)}
    if len(versions) != 1:
        raise machine.Failed(f"pip differs ({', '.join(sorted(versions))}): its own speed would be compared")

    def measure(contender):
        return lambda: {"install": contender.install("one", *package),
                        "uninstall": contender.uninstall("one", PIP_PACKAGE)}

    def lower(uninstall):
        venvfs.create("lower", only, "--no-deps")
        result = uninstall(venvfs, "lower")
        venvfs.delete("lower")
        return result

    medians = bench.interleave("pip", {
        "ext4": measure(plain), "venvfs": measure(venvfs),
        "lower": lambda: {"uninstall": lower(lambda venvfs, name: venvfs.uninstall(name, PIP_PACKAGE))}})
    copied = lower(copied_by_uninstall) / 1024
    bench.raw["copied"] = copied
    venvfs.end()
    rows = []
    for what, verb, ours in ((f"pip install inside ({PIP_PACKAGE}, 24 MB)", "install", "venvfs"),
                             ("pip uninstall of it", "uninstall", "venvfs"),
                             ("pip uninstall of it where it came from the store", "uninstall", "lower")):
        values = {"venvfs": medians[ours][verb], "ext4": medians["ext4"][verb]}
        rows.append(Row(what, "s", values, "ext4 × 1.5", values["venvfs"] <= 1.5 * values["ext4"]))
    rows.append(Row("file data that this copied meanwhile, of 24,000 KiB", "KiB", {"venvfs": copied}, "≤ 64 KiB",
                    copied <= 64))
    return rows


def copied_by_uninstall(venvfs, name):
    """The most bytes that files of the upper had at any time. pip renames all first and then removes it:
    what was copied for that would stay in between."""
    environment = venvfs.store / "envs" / name
    most = 0
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(venvfs.uninstall, name, PIP_PACKAGE)
        while not running.done():
            most = max(most, machine.data_bytes(environment / "upper") + machine.data_bytes(environment / "work"))
            time.sleep(0.02)
        running.result()
    return most
