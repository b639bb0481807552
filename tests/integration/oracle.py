"""pip as the oracle: an ordinary environment and a mounted one, put through the same steps, are the same.

compare() lists where two environments differ, file by file: types, modes, contents, RECORD by what it
means. What differs by design, and only that, is let pass here; docs/wheels.md lists it. check_record()
and check_bytecode() demand of the mounted one what an ordinary one is not asked for.
"""

import base64
import csv
import hashlib
import json
import os
import re
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

# What a mounted environment has and `python -m venv` has not, or not yet.
ADDED = {"CACHEDIR.TAG", ".gitignore", "bin/activate.nu", "bin/activate.xsh", "bin/activate_this.py",
         "bin/python3.8"}
# What pip compiles and venvfs does not: scripts are run, never imported.
LEFT_OUT = re.compile(r"bin/__pycache__(/.*)?")
# Files that say what and where an environment is: other texts, of the same type and mode.
OWN_TEXT = re.compile(r"pyvenv\.cfg|\.gitignore|bin/[Aa]ctivate[^/]*")

ENTRY_POINT = re.compile(
    r"#!(?P<interpreter>[^\n]+(?:\n'''exec' [^\n]+\n' ''')?)\n"
    r"(?:# -\*- coding: utf-8 -\*-\n)?(?:import re\n)?import sys\n"
    r"from (?P<module>\S+) import (?P<first>\S+)\nif __name__ == '__main__':\n"
    r"(?:    .*sys\.argv\[0\].*\n)+    sys\.exit\((?P<call>\S+)\(\)\)\n")


@dataclass
class Node:
    kind: str
    mode: int
    content: bytes


def read(path):
    """One file, directory or link, as an ordinary user would see it."""
    found = path.lstat()
    kind = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}.get(
        stat.S_IFMT(found.st_mode), "other")
    content = b""
    if kind == "file":
        content = path.read_bytes()
        assert found.st_size == len(content), path
    elif kind == "link":
        content = os.readlink(path).encode()
    return Node(kind, 0 if kind == "link" else stat.S_IMODE(found.st_mode), content)


def tree(root):
    """path → Node of all that is in @root."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = Path(folder) / name
            found[str(path.relative_to(root))] = read(path)
    return found


def places(root):
    """site-packages of an environment, relative to it."""
    (site,) = Path(root).glob("lib/*/site-packages")
    return site.relative_to(root)


def record_rows(text):
    """path → (hash, size) of a RECORD, whose paths stand once."""
    rows = list(csv.reader(text.decode().splitlines()))
    assert all(len(row) == 3 for row in rows), rows
    assert len({row[0] for row in rows}) == len(rows), "a path stands twice in RECORD"
    return {path: (digest, size) for path, digest, size in rows}


def is_recorded_otherwise(path):
    """Files whose content differs by design, and RECORD's row of them with it."""
    return path.startswith("../") and "/bin/" in path or path.endswith(
        tuple(f".dist-info/{name}" for name in ("INSTALLER", "RECORD", "direct_url.json")))


def record_meaning(text):
    """Without rows of bytecode of scripts, and those that pip leaves of scripts that it did not install."""
    return {path: None if is_recorded_otherwise(path) else row for path, row in record_rows(text).items()
            if "/bin/__pycache__/" not in path and ".data/scripts/" not in path}


def by_plain_name(content, python):
    """A script as it were if venv had been called by the name python: ensurepip's first lines have that name."""
    text = re.sub(re.escape(python) + rb"3(\.\d+)?(?=[\"\n ])", python, content, count=1)
    line, by_shell = b"#!%b\n" % python, b"#!/bin/sh\n'''exec' %b \"$0\" \"$@\"\n' '''\n" % python
    if text != content and len(line) <= 127 and b" " not in python:
        text = text.replace(by_shell, line, 1)
    return text


def script_meaning(content, root):
    """A script, independent of where it is; an entry point also of who wrote its text."""
    text = by_plain_name(content, bytes(root) + b"/bin/python").replace(bytes(root), b"ROOT")
    text = text.replace(b'exec\' "ROOT/bin/python"', b"exec' ROOT/bin/python")
    try:
        entry_point = ENTRY_POINT.fullmatch(text.decode())
    except UnicodeDecodeError:
        return text
    return entry_point.groupdict() if entry_point else text


def meaning(path, node, root):
    """What must be equal of a file's content."""
    if node.kind == "link":
        # Which of bin/python* leads to the interpreter, and by which name, follows how venv was called.
        return os.path.realpath(root / path) if path.startswith("bin/") else node.content
    name = path.rpartition("/")[2]
    if OWN_TEXT.fullmatch(path) or "/__pycache__/" in path:
        return None
    if ".dist-info/" in path:
        if name == "RECORD":
            return record_meaning(node.content)
        if name == "INSTALLER":
            return node.content.replace(b"venvfs", b"pip")
        if name == "direct_url.json":
            return json.loads(node.content)
    if path.startswith("bin/"):
        return script_meaning(node.content, root)
    return node.content


def difference(ordinary, mounted):
    if isinstance(ordinary, dict) and isinstance(mounted, dict):
        return {key: (ordinary.get(key, "absent"), mounted.get(key, "absent"))
                for key in {**ordinary, **mounted} if ordinary.get(key, "absent") != mounted.get(key, "absent")}
    return ordinary[:300], mounted[:300]


def compare(ordinary, mounted):
    """The differences between an ordinary environment and a mounted one, a list of texts."""
    found = []
    one, two = tree(ordinary), tree(mounted)
    for path in sorted({**one, **two}):
        if path not in two:
            if not LEFT_OUT.fullmatch(path):
                found.append(f"{path}: missing")
        elif path not in one:
            if path not in ADDED:
                found.append(f"{path}: should not be there")
        elif (one[path].kind, one[path].mode) != (two[path].kind, two[path].mode):
            found.append(f"{path}: {two[path].kind} {two[path].mode:o}, should be "
                         f"{one[path].kind} {one[path].mode:o}")
        else:
            expected, there = meaning(path, one[path], ordinary), meaning(path, two[path], mounted)
            if expected != there:
                found.append(f"{path}: (expected, there): {difference(expected, there)}")
    return found


def check_record(root):
    """Every RECORD below @root names what is there, with the right hashes. Returns how many it verified."""
    verified = 0
    site = Path(root) / places(root)
    for record in site.glob("*.dist-info/RECORD"):
        for path, (digest, size) in record_rows(record.read_bytes()).items():
            content = (site / path).read_bytes()
            if not digest:
                # Blank where the specification lets it be: RECORD itself, bytecode, and scripts,
                # which differ from mount point to mount point.
                assert (site / path) == record or path.endswith(".pyc") or "/bin/" in path, path
                assert size == "", path
                continue
            algorithm, _, value = digest.partition("=")
            actual = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).decode().rstrip("=")
            assert (algorithm, value, size) == ("sha256", actual, str(len(content))), path
            verified += 1
    return verified


def check_bytecode(root, tag):
    """Every module's bytecode is what Python takes as it is. Returns how many there are."""
    count = 0
    site = Path(root) / places(root)
    for path in site.rglob(f"__pycache__/*.{tag}.pyc"):
        source = path.parent.parent / (path.name[:-len(f".{tag}.pyc")] + ".py")
        flags, mtime, size = struct.unpack("<4xIII", path.open("rb").read(16))
        seen = source.stat()
        assert (flags, mtime, size) == (0, int(seen.st_mtime) & 0xFFFFFFFF, seen.st_size), path
        count += 1
    return count
