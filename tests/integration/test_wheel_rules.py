"""Every rule of wheels: what breaks one is refused by its name, and what keeps them all becomes the
package it says. The wheels are those of tests/wheels/cases.py."""

import hashlib
import os
import subprocess
import zipfile

import pytest

import support
from wheels.builder import STORED, Entry, Wheel
from wheels.cases import cases

CHECK = support.BUILD / "tests" / "wheels" / "wheel-check"
CASES = list(cases())


def check(*arguments, timeout=60, **options):
    return subprocess.run([CHECK, *arguments], capture_output=True, text=True, timeout=timeout, **options)


def rules():
    lines = check("--rules").stdout.splitlines()
    return {line.split("\t")[0]: line.split("\t")[1] == "acceptable" for line in lines}


def dump(output):
    """The lines of a package as {kind: [fields]}."""
    found = {}
    for line in output.splitlines():
        kind, *fields = line.split("\t")
        found.setdefault(kind, []).append(tuple(fields))
    return found


def files(output):
    """{(scheme, path): (mode, content's SHA-256, flag)}"""
    return {(scheme, path): (mode, digest, flag)
            for scheme, mode, size, digest, flag, path in dump(output).get("file", [])}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def judge(tmp_path, wheel, *arguments):
    path = wheel.write(tmp_path)
    done = check(*arguments, path)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects_in(store):
    return [path for folder in ("objects", "packages", "wheels", "tmp")
            for path in (store / folder).rglob("*") if not path.is_dir()]


def test_ids_are_unique_and_every_rule_has_a_case():
    ids = [case.id for case in CASES]
    assert len(ids) == len(set(ids))
    assert {case.rule for case in CASES} - {None} == set(rules())


def test_the_document_lists_every_rule():
    lines = (line.split("\t") for line in check("--rules").stdout.splitlines())
    rows = [f"| `{name}` | {summary} | {'`--accept`' if kind == 'acceptable' else ''} |"
            for name, kind, summary in lines]
    document = (support.TREE / "docs" / "wheels.md").read_text().splitlines()
    assert [line for line in document if line.startswith("| `")] == rows


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(tmp_path, case):
    path = case.write(tmp_path)
    done = check(path)
    if case.rule is None:
        assert (done.returncode, done.stderr) == (0, "")
        return
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"{path}: rule {case.rule}: ")
    assert done.stderr.count("\n") == 1
    assert done.stderr[:-1].isprintable()


@pytest.mark.parametrize("case", [case for case in CASES if case.rule], ids=lambda case: case.id)
def test_refused_leaves_nothing(tmp_path, case):
    good = Wheel({"fine/__init__.py": b"y = 2\n"}, name="fine").write(tmp_path)
    path, store = case.write(tmp_path), tmp_path / "store"
    done = check("--store", store, good, path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{path}: rule {case.rule}: ")
    assert objects_in(store) == []


def test_accept_overrides_where_it_may(tmp_path):
    for rule, acceptable in rules().items():
        case = next(case for case in CASES if case.rule == rule)
        path = case.write(tmp_path)
        done = check("--accept", rule, path)
        if acceptable:
            assert (rule, done.returncode, done.stderr) == (rule, 0, "")
        else:
            assert (rule, done.returncode) == (rule, 1)
            assert done.stderr.startswith(f"{rule}: this rule cannot be overridden")


def test_accept_of_another_rule_does_not_help(tmp_path):
    path = next(case for case in CASES if case.rule == "record-hash").write(tmp_path)
    done = check("--accept", "record-size", path)
    assert done.returncode == 1 and ": rule record-hash: " in done.stderr
    assert check("--accept", "nonsense", path).stderr == "nonsense: no such rule of wheels\n"


def test_places_modes_and_flags(tmp_path):
    case = {case.id: case for case in CASES}
    found = files(judge(tmp_path, case["data-all"].wheel))
    data = {key: value for key, value in found.items() if ".dist-info" not in key[1]}
    script = b"#!python\nprint(1)\n"
    assert data == {
        ("purelib", "demo/__init__.py"): ("644", sha256(b""), "-"),
        ("purelib", "p.py"): ("644", sha256(b"1"), "-"),
        ("platlib", "q.so"): ("644", sha256(b"2"), "-"),
        ("headers", "h.h"): ("644", sha256(b"3"), "-"),
        ("scripts", "tool"): ("755", sha256(script), "python"),
        ("scripts", "shell"): ("755", sha256(b"#!/bin/sh\n"), "-"),
        ("data", "share/d"): ("644", sha256(b"4"), "-"),
    }
    assert {path for scheme, path in found if ".dist-info" in path} == {
        "demo-1.0.dist-info/METADATA", "demo-1.0.dist-info/WHEEL"}
    modes = files(judge(tmp_path, case["modes"].wheel))
    assert [modes["purelib", f"demo/{name}"][0] for name in ("__init__.py", "run", "none", "untyped", "group")] == [
        "644", "755", "644", "644", "755"]


def test_links_become_files_with_the_target(tmp_path):
    case = next(case for case in CASES if case.id == "links")
    assert files(judge(tmp_path, case.wheel))["purelib", "demo/link"] == (
        "644", sha256(b"../../etc/passwd"), "-")


@pytest.mark.parametrize("id, gone", [
    ("cache-dropped", "__pycache__"), ("environment-files-dropped", "INSTALLER"),
    ("environment-files-dropped", "REQUESTED"), ("environment-files-dropped", "direct_url.json"),
    ("plain", "RECORD"), ("empty-directory", "demo/d")])
def test_left_out(tmp_path, id, gone):
    case = next(case for case in CASES if case.id == id)
    paths = [path for scheme, path in files(judge(tmp_path, case.wheel))]
    assert not [path for path in paths if gone in path]
    assert "demo/__init__.py" in paths
    if id == "cache-dropped":
        assert "demo/old.pyc" in paths


def test_duplicates_become_one(tmp_path):
    for id in ("zip-duplicate-same", "path-conflict-same"):
        case = next(case for case in CASES if case.id == id)
        paths = [path for scheme, path in files(judge(tmp_path, case.wheel))]
        assert paths.count("demo/__init__.py") == 1


def test_entry_points(tmp_path):
    case = {case.id: case for case in CASES}
    assert dump(judge(tmp_path, case["entry-points"].wheel))["script"] == [
        ("console", "Demo", "demo", "main"), ("console", "demo", "demo", "a.b"),
        ("gui", "window", "demo.gui", "main")]
    replaced = judge(tmp_path, case["script-replaced"].wheel)
    assert [path for scheme, path in files(replaced) if scheme == "scripts"] == ["other"]


def test_accepted_entry_point_is_left_out(tmp_path):
    wheel = Wheel(entry_points=b"[console_scripts]\nbad = demo\ngood = demo:main\n")
    found = dump(judge(tmp_path, wheel, "--accept", "entry-point"))
    assert found["script"] == [("console", "good", "demo", "main")]


def test_names_come_from_metadata(tmp_path):
    wheel = Wheel(name="Demo.Pkg_x", version="1.0", metadata=b"Name: demo-PKG.x\nVersion: 1.0.0\n")
    assert dump(judge(tmp_path, wheel))["package"][0][:4] == (
        "demo-PKG.x", "1.0.0", "Demo.Pkg_x-1.0.dist-info", "purelib")
    platlib = Wheel(purelib=False)
    assert dump(judge(tmp_path, platlib))["package"][0][3] == "platlib"
    assert ("platlib", "demo/__init__.py") in files(judge(tmp_path, platlib))


def test_newer_minor_version_warns(tmp_path):
    case = next(case for case in CASES if case.id == "wheel-version-1.9")
    path = case.write(tmp_path)
    done = check(path)
    assert done.returncode == 0
    assert dump(done.stdout)["warning"] == [
        (f"{path}: Wheel-Version 1.9 is newer than 1.0; what is new in it is not known here",)]


def test_expected_digest(tmp_path):
    path = Wheel().write(tmp_path)
    right = sha256(path.read_bytes())
    done = check("--expect", right, path)
    assert done.returncode == 0 and dump(done.stdout)["package"][0][4] == right
    wrong = sha256(b"")
    done = check("--expect", wrong, path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{path}: its SHA-256 is {right}, expected was {wrong}")
    store = tmp_path / "store"
    assert check("--store", store, "--expect", wrong, path).returncode == 1
    assert objects_in(store) == []


@pytest.mark.slow
def test_every_prefix_is_refused(tmp_path):
    path = Wheel({"demo/a.py": b"a = 1\n" * 9}).write(tmp_path)
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        done = check(path)
        assert (length, done.returncode) == (length, 1)
        assert ": rule zip-" in done.stderr


def test_not_a_file(tmp_path):
    absent = tmp_path / "demo-1.0-py3-none-any.whl"
    assert check(absent).stderr == f"{absent}: cannot open: No such file or directory\n"
    absent.mkdir()
    assert check(absent).stderr == f"{absent}: not a regular file\n"
    absent.rmdir()
    os.mkfifo(absent)
    assert check(absent).stderr == f"{absent}: not a regular file\n"


def test_bombs_take_no_memory(tmp_path):
    """1 GiB from 1 MiB is allowed by deflate's ratio, but not for the files that are read whole."""
    bomb = Wheel({"demo/__init__.py": b""}, metadata=b"Name: demo\nVersion: 1.0\n" + bytes(64 << 20))
    path = bomb.write(tmp_path)
    done = check(path, preexec_fn=lambda: limit_memory(256 << 20))
    assert done.returncode == 1
    assert ": rule zip-ratio: demo-1.0.dist-info/METADATA: " in done.stderr


def limit_memory(limit):
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def test_the_store_knows_a_wheel_again(tmp_path):
    store, path = tmp_path / "store", Wheel().write(tmp_path)
    first = check("--store", store, path)
    again = check("--store", store, path)
    assert dump(first.stdout)["known"] == [("no",)]
    assert dump(again.stdout)["known"] == [("yes",)]
    assert again.stdout.splitlines()[1:] == first.stdout.splitlines()[1:]
    digest = sha256(path.read_bytes())
    path.unlink()
    assert dump(check("--store", store, "--expect", digest, path).stdout)["known"] == [("yes",)]


def test_two_processes_ingest_the_same(tmp_path):
    store = tmp_path / "store"
    wheels = [Wheel({f"pkg{i}/m{k}.py": b"shared %d\n" % k for k in range(40)}, name=f"pkg{i}").write(tmp_path)
              for i in range(4)]
    both = [subprocess.Popen([CHECK, "--store", store, *wheels], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    strip = [[line for line in out.splitlines() if not line.startswith(b"known")] for out, _ in outputs]
    assert strip[0] == strip[1]
    for path in (store / "objects").rglob("*"):
        if path.is_file():
            assert sha256(path.read_bytes()) == path.parent.name + path.name


@pytest.mark.slow
def test_large_contents(tmp_path):
    data = os.urandom(1 << 20) * 20
    wheel = Wheel({"demo/__init__.py": b"", "demo/big": Entry("demo/big", data, mode=0o100755),
                   "demo/stored": Entry("demo/stored", data[::-1], method=STORED)})
    store, path = tmp_path / "store", wheel.write(tmp_path)
    done = check("--store", store, path)
    assert done.returncode == 0, done.stderr
    found = files(done.stdout)
    assert found["purelib", "demo/big"][:2] == ("755", sha256(data))
    digest = found["purelib", "demo/stored"][1]
    assert (store / "objects" / digest[:2] / digest[2:]).read_bytes() == data[::-1]
    assert (store / "objects" / digest[:2] / digest[2:]).stat().st_mode & 0o7777 == 0o444


def test_python_agrees(tmp_path):
    """What is taken is what zipfile sees: the builder's whole wheels are whole."""
    for case in CASES:
        if case.rule is None:
            with zipfile.ZipFile(case.write(tmp_path)) as archive:
                assert (case.id, archive.testzip()) == (case.id, None)
