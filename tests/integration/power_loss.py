"""What a disk may hold after a power loss, from a record of the calls that changed it.

tests/recorder/ writes the record. Disk is a model of a file system: what is there now, and what is
sure to be there after a power loss. fsync makes a file's content durable, or the entries of one
directory; syncfs all. Nothing else is promised, so there are for one moment these KINDS of state:

- all that is there now (a killed process leaves this),
- durable: only what is,
- names: all of them, but of each file only the durable content (ext4 and xfs can do this),
- mixture, a random one: of each name that is not durable either the old or the new, of each content the
  durable one, none, half of the new one, or all of it.
"""

import copy
import functools
import hashlib
import os
from pathlib import Path

DIRECTORY, FILE, OTHER = "directory", "file", "other"
KINDS = ("all", "durable", "names", "mixture")


class Node:
    """A file, directory or other thing. @now, @durable: bytes, or names → nodes."""

    def __init__(self, kind, now=None, durable=None, mode=0o644):
        self.kind = kind
        self.mode = mode
        self.now = now
        self.durable = durable


def directory():
    return Node(DIRECTORY, {}, {}, 0o700)


class Disk:
    def __init__(self):
        self.root = directory()

    @classmethod
    def read(cls, path):
        """What is at @path, all of it durable."""
        disk = cls()
        disk.root = cls._read(Path(path))
        return disk

    @classmethod
    def _read(cls, path):
        if path.is_symlink():
            target = os.readlink(path)
            return Node(OTHER, target, target)
        if path.is_dir():
            names = {child.name: cls._read(child) for child in path.iterdir()}
            return Node(DIRECTORY, names, dict(names), path.stat().st_mode & 0o7777)
        data = path.read_bytes()
        return Node(FILE, data, data, path.stat().st_mode & 0o7777)

    def find(self, path):
        node = self.root
        for name in path.split("/") if path != "." else []:
            node = node.now[name]
        return node

    def _parent(self, path):
        folder, _, name = path.rpartition("/")
        return self.find(folder or ".").now, name

    def apply(self, call, log):
        """One line of the record, split."""
        getattr(self, f"_{call[0]}")(log, *call[1:])

    def _add(self, path, node):
        names, name = self._parent(path)
        names[name] = node

    def _create(self, log, path):
        self._add(path, Node(FILE, b"", b""))

    def _mkdir(self, log, path):
        self._add(path, directory())

    def _mknod(self, log, path):
        self._add(path, Node(OTHER, None, None))

    def _symlink(self, log, path, target):
        self._add(path, Node(OTHER, target, target))

    def _write(self, log, path):
        node = self.find(path)
        # What exactly it holds is noted when that matters; until then, something that is not durable.
        node.now = b"\0not synced\0"

    def _content(self, log, path, number, mode):
        node = self.find(path)
        node.now = (log / number).read_bytes()
        node.mode = int(mode, 8)

    def _unlink(self, log, path):
        names, name = self._parent(path)
        del names[name]

    _rmdir = _unlink

    def _rename(self, log, source, target):
        if source == "-":
            self._add(target, Node(FILE, b"\0from outside\0", b""))
            return
        names, name = self._parent(source)
        node = names.pop(name)
        if target != "-":
            self._add(target, node)

    def _link(self, log, source, target):
        self._add(target, self.find(source))

    def _fsync(self, log, path):
        node = self.find(path)
        node.durable = dict(node.now) if node.kind == DIRECTORY else node.now

    def _syncfs(self, log, path):
        self._settle(self.root)

    def _settle(self, node):
        if node.kind == DIRECTORY:
            for child in node.now.values():
                self._settle(child)
            node.durable = dict(node.now)
        else:
            node.durable = node.now

    # Trees: {name: ("directory", mode, tree) | ("file", mode, bytes) | ("other", mode, target)}

    def state(self, kind, random=None):
        """One of the KINDS."""
        if kind == "mixture":
            return self._mixture(random)
        if kind == "names":
            return _tree(self.root, lambda node: node.now if node.kind == DIRECTORY else node.durable)
        return _tree(self.root, lambda node: node.now if kind == "all" else node.durable)


    def _mixture(self, random):
        # The store relies on one thing more: nothing that changed before the name of an environment
        # is lost where that name is not.
        envs = self.root.now.get("envs")
        if not envs or envs.now == envs.durable:
            return _tree(self.root, lambda node: _mixed(node, random))
        if random.choice([True, False]):
            return _tree(self.root, lambda node: node.now if node.kind == DIRECTORY else _mixed(node, random))
        return _tree(self.root, lambda node: node.durable if node is envs else _mixed(node, random))


def _mixed(node, random):
    if node.now == node.durable:
        return node.now
    if node.kind != DIRECTORY:
        half = node.now[:len(node.now) // 2] if node.kind == FILE else node.now
        return random.choice([node.now, node.durable, half, b"" if node.kind == FILE else node.now])
    names = {}
    for name in sorted(node.now.keys() | node.durable.keys()):
        found = random.choice([node.now, node.durable]).get(name)
        if found is not None:
            names[name] = found
    return names


def _tree(node, choose):
    chosen = choose(node)
    if node.kind == DIRECTORY:
        chosen = {name: _tree(child, choose) for name, child in chosen.items()}
    return node.kind, node.mode, chosen


@functools.lru_cache(maxsize=None)
def _digest_of(data):
    return hashlib.sha256(data).digest()


def digest(tree):
    """The same for the same tree."""
    hasher = hashlib.sha256()

    def add(tree):
        kind, mode, content = tree
        hasher.update(f"{kind} {mode:o} ".encode())
        if kind == DIRECTORY:
            for name in sorted(content):
                hasher.update(f"[{name}]".encode())
                add(content[name])
            hasher.update(b"]")
        else:
            hasher.update(_digest_of(content if isinstance(content, bytes) else str(content).encode()))

    add(tree)
    return hasher.digest()


def write(path, tree, there=None):
    """Makes a state at @path. @there: the state that is there already, of which what is the same stays."""
    kind, mode, content = tree
    if there == tree:
        return
    if there and (kind != DIRECTORY or there[0] != DIRECTORY):
        _remove(path, there)
        there = None
    if kind == DIRECTORY:
        names = there[2] if there else {}
        if not there:
            path.mkdir()
        for name in names.keys() - content.keys():
            _remove(path / name, names[name])
        for name, child in content.items():
            write(path / name, child, names.get(name))
        path.chmod(mode)
    elif kind == FILE:
        path.write_bytes(content)
        path.chmod(mode)
    elif content is not None:
        path.symlink_to(content)


def _remove(path, tree):
    kind, _, content = tree
    if kind == DIRECTORY:
        for name, child in content.items():
            _remove(path / name, child)
        path.rmdir()
    elif content is not None:
        path.unlink()


class Record:
    """What the recorder wrote: the calls in their order, and the disk before the first."""

    def __init__(self, root, log):
        self.log = Path(log)
        self.before = Disk.read(root)

    def calls(self):
        return [line.split("\t") for line in (self.log / "log").read_text().splitlines()]

    def disks(self):
        """(number of calls done, disk) before the first call and after each. One object, that changes."""
        disk = copy.deepcopy(self.before)
        yield 0, disk
        for number, call in enumerate(self.calls(), 1):
            disk.apply(call, self.log)
            if call[0] != "content":
                yield number, disk
