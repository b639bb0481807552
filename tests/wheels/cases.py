"""A wheel for each rule that can be broken, and for each that is easily taken for broken."""

import stat
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from wheels.builder import DEFLATED, STORED, UTF8_FLAG, Entry, Wheel, Zip, record_hash


@dataclass
class Case:
    """A wheel, and the rule that it breaks; None when it keeps them all."""

    id: str
    rule: str | None
    wheel: Wheel
    change: object = None  # a function over the bytes

    def bytes(self):
        data = self.wheel.bytes()
        return self.change(data) if self.change else data

    def write(self, directory):
        directory = Path(directory) / self.id
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / self.wheel.filename()
        path.write_bytes(self.bytes())
        return path


INIT = "demo/__init__.py"
INFO = "demo-1.0.dist-info"
DATA = "demo-1.0.data"


def one(path, data=b"x = 1\n", **options):
    """A wheel whose only file is made of these options of Entry."""
    return Wheel({path: Entry(path, data, **options)})


def zipped(**options):
    return Wheel(zip_options=options)


def listed(change):
    """A wheel whose RECORD's rows are changed; the first is INIT's."""
    return Wheel(record=change)


def file_names():
    for id, name in (("none", "demo.whl"), ("three", "demo-1.0-py3.whl"), ("suffix", "demo-1.0-py3-none-any.zip"),
                     ("build", "demo-1.0-x1-py3-none-any.whl"), ("seven", "demo-1.0-1-2-py3-none-any.whl"),
                     ("empty", "-1.0-py3-none-any.whl"), ("space", "de mo-1.0-py3-none-any.whl")):
        yield Case(f"file-name-{id}", "file-name", Wheel(file_name=name))


def ends():
    yield Case("zip-end-empty", "zip-end", Wheel(), lambda data: b"")
    yield Case("zip-end-none", "zip-end", Wheel(), lambda data: b"no zip at all, but long enough for one")
    yield Case("zip-end-cut", "zip-end", Wheel(), lambda data: data[:len(data) // 2])
    yield Case("zip-end-disk", "zip-end", zipped(disk=1))
    yield Case("zip-end-offset", "zip-end", zipped(directory_offset=1))
    yield Case("zip-end-offset-huge", "zip-end", zipped(directory_offset=0xFFFFFFF0))
    yield Case("zip-end-size", "zip-end", zipped(directory_size=1))
    yield Case("zip-end-between", "zip-end", zipped(before_end=b"between"))
    yield Case("zip-trailing", "zip-trailing", zipped(trailing=b"\0"))
    yield Case("zip-trailing-cut", "zip-trailing", zipped(comment=b"comment"), lambda data: data[:-1])
    yield Case("zip-trailing-zip", "zip-end", Wheel(), lambda data: data + Zip([Entry("a", b"b")]).bytes())
    yield Case("zip-comment-plain", None, zipped(comment=b"a comment"))
    yield Case("zip-comment-end", "zip-comment", zipped(comment=b"PK\x05\x06" + bytes(30)))
    yield Case("zip-comment-local", "zip-comment", zipped(comment=b"..PK\x03\x04.."))


def zip64s():
    yield Case("zip-64-whole", None, zipped(zip64=True))
    yield Case("zip-64-unsaturated", None, zipped(zip64=True, end_saturated=False))
    yield Case("zip-64-sector", "zip-64", zipped(zip64=True, zip64_size=48, zip64_sector=b"data"))
    yield Case("zip-64-sector-hidden", "zip-64", zipped(zip64=True, zip64_sector=b"data"))
    yield Case("zip-64-size", "zip-64", zipped(zip64=True, zip64_size=45))
    yield Case("zip-64-missing", "zip-64", zipped(end_saturated=True))
    yield Case("zip-64-no-record", "zip-64", zipped(zip64=True, omit_zip64_record=True))
    yield Case("zip-64-disagrees", "zip-64", zipped(zip64=True, end_saturated=False, zip64_count=7))
    field = struct.pack("<HHQQ", 1, 16, 6, len(Entry("", b"x = 1\n").compressed()))
    yield Case("zip-64-field", None, one(INIT, local={"extra": field, "size": 0xFFFFFFFF, "compressed": 0xFFFFFFFF}))
    yield Case("zip-64-field-repeats", None, one(INIT, local={"extra": field}))
    yield Case("zip-64-field-differs", "zip-local", one(INIT, local={"extra": struct.pack("<HHQQ", 1, 16, 7, 8)}))
    yield Case("zip-64-field-central", None,
               one(INIT, central={"extra": struct.pack("<HHQ", 1, 8, 6), "size": 0xFFFFFFFF}))
    yield Case("zip-64-field-short", "zip-extra",
               one(INIT, central={"extra": struct.pack("<HHI", 1, 4, 6), "size": 0xFFFFFFFF}))
    yield Case("zip-64-field-none", "zip-extra", one(INIT, central={"size": 0xFFFFFFFF}))
    yield Case("zip-64-field-unneeded", "zip-extra", one(INIT, central={"extra": struct.pack("<HHQ", 1, 8, 6)}))
    yield Case("zip-64-field-twice", "zip-extra",
               one(INIT, central={"extra": struct.pack("<HHQ", 1, 8, 6) * 2, "size": 0xFFFFFFFF}))


def directories():
    yield Case("zip-directory-magic", "zip-directory", one(INIT, central={"magic": 0x02014B51}))
    yield Case("zip-directory-disk", "zip-directory", one(INIT, central={"disk": 1}))
    yield Case("zip-count-more", "zip-count", zipped(count=5))
    yield Case("zip-count-fewer", "zip-count", zipped(count=2))
    yield Case("zip-count-huge", "zip-count", zipped(count=0xFFFE))
    yield Case("zip-count-disk", "zip-count", zipped(disk_count=2))
    yield Case("zip-extra-cut", "zip-extra", one(INIT, central={"extra": b"\x99\x99\x08\x00abc"}))
    yield Case("zip-extra-odd", "zip-extra", one(INIT, central={"extra": b"\x99\x99"}))
    yield Case("zip-extra-other", None, one(INIT, central={"extra": b"UT\x05\x00\x01abcd"},
                                            local={"extra": b"UT\x09\x00\x03abcdefgh"}))
    unicode_path = struct.pack("<HHBI", 0x7075, 13, 1, zlib.crc32(INIT.encode())) + b"evil.py\0"
    yield Case("zip-extra-unicode-path", "zip-extra", one(INIT, central={"extra": unicode_path}))


def names():
    for id, name in (("empty", b""), ("newline", b"demo/a\nb.py"), ("nul", b"demo/a\0b.py"),
                     ("delete", b"demo/a\x7fb.py"), ("c1", "demo/a\x85b.py".encode()), ("latin1", b"demo/\xe9.py"),
                     ("surrogate", b"demo/\xed\xa0\x80.py"), ("overlong", b"demo/\xc0\xaf.py")):
        yield Case(f"zip-name-{id}", "zip-name", Wheel(extra_entries=[Entry(name, b"x", flags=UTF8_FLAG)]))
    yield Case("zip-name-utf8", None, one("demo/é𝜋.py"))
    yield Case("zip-name-unmarked", "zip-name", one("demo/é.py", flags=0))
    for id, mode in (("fifo", stat.S_IFIFO), ("device", stat.S_IFCHR), ("socket", stat.S_IFSOCK), ("dir", stat.S_IFDIR)):
        yield Case(f"zip-type-{id}", "zip-type", one(INIT, mode=mode | 0o644))
    yield Case("zip-type-full-directory", "zip-type",
               Wheel(extra_entries=[Entry("demo/x/", b"data", mode=stat.S_IFDIR | 0o755)]))
    yield Case("zip-type-file-directory", "zip-type", Wheel(extra_entries=[Entry("demo/x/", b"")]))
    for id, path in (("parent", "../evil.py"), ("inside", "demo/../../evil.py"), ("absolute", "/etc/evil"),
                     ("dot", "demo/./x.py"), ("double", "demo//x.py"), ("dots", ".."), ("prefix", f"{INFO}/../../x"),
                     ("long", "demo/" + "x" * 256), ("deep", "a/" * 128 + "x"),
                     ("data", f"{DATA}/data/../../../evil")):
        yield Case(f"path-traversal-{id}", "path-traversal", Wheel({INIT: b"", path: b"x"}))
    yield Case("path-traversal-deepest", None, Wheel({INIT: b"", "a/" * 127 + "x": b"x"}))


def data():
    yield Case("zip-stored", None, one(INIT, method=STORED))
    yield Case("zip-encrypted", "zip-encrypted", one(INIT, flags=1))
    yield Case("zip-encrypted-strong", "zip-encrypted", one(INIT, flags=1 << 6))
    for method in (1, 6, 9, 12, 14, 93, 95, 98):
        yield Case(f"zip-method-{method}", "zip-method", one(INIT, method=method))
    yield Case("zip-method-patched", "zip-method", one(INIT, flags=1 << 5))
    yield Case("zip-ratio", "zip-ratio", one(INIT, central={"size": 1 << 30}, local={"size": 1 << 30}))
    yield Case("zip-ratio-best", None, Wheel({INIT: b"", "demo/zeros": bytes(3 << 20)}))
    yield Case("zip-data-stored-size", "zip-data", one(INIT, method=STORED, central={"size": 7}))
    yield Case("zip-data-garbage", "zip-data", one(INIT, payload=b"\xff\xff\xff\xff\xff"))
    yield Case("zip-data-behind", "zip-data", one(INIT, payload=Entry("", b"x = 1\n").compressed() + b"more"))
    yield Case("zip-data-longer", "zip-data", one(INIT, payload=Entry("", b"x = 12\n").compressed()))
    yield Case("zip-data-shorter", "zip-data", one(INIT, payload=Entry("", b"x = 1").compressed()))
    yield Case("zip-data-crc", "zip-data", one(INIT, local={"crc": 1}, central={"crc": 1}))


def locals():
    yield Case("zip-local-magic", "zip-local", one(INIT, local={"magic": 0x04034B51}))
    yield Case("zip-local-name", "zip-local", one(INIT, local={"name": b"demo/__init__.pz"}))
    yield Case("zip-local-flags", "zip-local", one(INIT, local={"flags": 2}))
    yield Case("zip-local-method", "zip-local", one(INIT, method=STORED, local={"method": DEFLATED}))
    yield Case("zip-local-crc", "zip-local", one(INIT, local={"crc": 1}))
    yield Case("zip-local-crc-zero", "zip-local", one(INIT, local={"crc": 0}))
    yield Case("zip-local-size", "zip-local", one(INIT, local={"size": 7}))
    yield Case("zip-local-compressed", "zip-local", one(INIT, local={"compressed": 7}))
    yield Case("zip-local-extra", "zip-local", one(INIT, local={"extra": b"\x99\x99\x08\x00abc"}))
    yield Case("zip-hidden-before", "zip-hidden", one(INIT, before=b"#!/bin/sh\n"))
    yield Case("zip-hidden-after", "zip-hidden", one(INIT, after=b"hidden"))
    hidden = Entry("demo/hidden.py", b"evil", in_central=False)
    yield Case("zip-hidden-entry", "zip-hidden", Wheel({INIT: b"", "demo/hidden.py": hidden}, record=lambda rows: [rows[0], *rows[2:]]))
    yield Case("zip-hidden-large", "zip-hidden", one(INIT, after=bytes(300_000)))
    yield Case("zip-hidden-first", "zip-hidden", Wheel({"demo/hidden.py": hidden, INIT: b""}))
    yield Case("zip-overlap-missing", "zip-overlap",
               Wheel(extra_entries=[Entry("demo/none.py", b"evil", in_local=False)]))
    yield Case("zip-overlap-same", "zip-overlap", Wheel({INIT: b"", "demo/b.py": Entry("demo/b.py", b"", central={"offset": 16})}))
    yield Case("zip-overlap-beyond", "zip-overlap", one(INIT, central={"offset": 0x7FFFFFFF}))
    yield Case("zip-overlap-into-directory", "zip-overlap", one(INIT, central={"compressed": 1 << 20, "size": 1 << 20}))
    yield Case("zip-overlap-extra", "zip-overlap", Wheel(), cut_extra)
    quine = [Entry(f"demo/{i}.py", b"same", in_local=i == 0, central={"offset": 0}) for i in range(3)]
    yield Case("zip-overlap-bomb", "zip-overlap", Wheel({entry.name: entry for entry in quine}))


def cut_extra(data):
    """The first local header claims an extra field that reaches over its own data."""
    return data[:28] + struct.pack("<H", 60000) + data[30:]


def descriptors():
    for kind in ("sig32", "plain32", "sig64", "plain64"):
        yield Case(f"zip-descriptor-{kind}", None, one(INIT, descriptor=kind))
    yield Case("zip-descriptor-missing", "zip-descriptor", one(INIT, descriptor="sig32", omit_descriptor=True))
    yield Case("zip-descriptor-crc", "zip-descriptor", one(INIT, descriptor="sig32", descriptor_crc=1))
    yield Case("zip-descriptor-plain-crc", "zip-descriptor", one(INIT, descriptor="plain32", descriptor_crc=1))
    yield Case("zip-descriptor-unexpected", "zip-descriptor", one(INIT, after=b"PK\x07\x08" + bytes(12)))
    yield Case("zip-descriptor-more", "zip-descriptor", one(INIT, descriptor="sig32", after=b"x"))
    yield Case("zip-descriptor-unannounced", "zip-local", one(INIT, descriptor="sig32", local={"flags": 0}))


def duplicates():
    def twice(second):
        return Wheel({INIT: b"x = 1\n"}, extra_entries=[second])

    yield Case("zip-duplicate-same", None, twice(Entry(INIT, b"x = 1\n")))
    yield Case("zip-duplicate-content", "zip-duplicate", twice(Entry(INIT, b"x = 2\n")))
    yield Case("zip-duplicate-mode", "zip-duplicate", twice(Entry(INIT, b"x = 1\n", mode=stat.S_IFREG | 0o755)))
    yield Case("zip-duplicate-link", "zip-duplicate", twice(Entry(INIT, b"x = 1\n", mode=stat.S_IFLNK | 0o777)))
    yield Case("zip-duplicate-record", "zip-duplicate", Wheel(extra_entries=[Entry(f"{INFO}/RECORD", b"")]))
    yield Case("zip-duplicate-directory", None, Wheel(extra_entries=[Entry("demo/d/", mode=stat.S_IFDIR | 0o755)] * 2))
    yield Case("path-conflict-prefix", "path-conflict", Wheel({"demo": b"", "demo/x.py": b""}))
    yield Case("path-conflict-purelib", "path-conflict", Wheel({INIT: b"1", f"{DATA}/purelib/{INIT}": b"2"}))
    yield Case("path-conflict-platlib", "path-conflict", Wheel({INIT: b"1", f"{DATA}/platlib/{INIT}": b"2"}))
    yield Case("path-conflict-same", None, Wheel({INIT: b"1", f"{DATA}/platlib/{INIT}": b"1"}))
    yield Case("path-conflict-other-scheme", None, Wheel({INIT: b"1", f"{DATA}/data/{INIT}": b"2"}))


def info():
    right = Wheel()
    two = {INIT: b"", "other-1.0.dist-info/METADATA": b"Name: other\n"}
    yield Case("dist-info-none", "dist-info", Wheel({INIT: b""}, dist_info="demo-1.0.egg-info"))
    yield Case("dist-info-two", "dist-info", Wheel(two))
    yield Case("dist-info-nested", None, Wheel({INIT: b"", "demo/other-1.0.dist-info/METADATA": b""}))
    yield Case("dist-info-name", "dist-info-name", Wheel(dist_info="dem-1.0.dist-info"))
    yield Case("dist-info-name-longer", "dist-info-name", Wheel(dist_info="demo_x-1.0.dist-info"))
    yield Case("dist-info-version", "dist-info-name", Wheel(dist_info="demo-1.1.dist-info"))
    yield Case("dist-info-spelling", None, Wheel(dist_info="Demo-1.0.0.dist-info"))
    yield Case("dist-info-escaped", None, Wheel(name="Demo.Pkg_x", version="1.0+cpu.1", dist_info="demo_pkg_x-1.0+cpu.1.dist-info",
                                                metadata=b"Name: demo-pkg-x\nVersion: 1.0+cpu-1\n"))
    yield Case("wheel-version-missing", "wheel-version", Wheel(wheel=b"Root-Is-Purelib: true\n"))
    yield Case("wheel-version-no-file", "wheel-version", Wheel(wheel=b""))
    for version in ("2.0", "0.9", "x", "1x", "11.0"):
        yield Case(f"wheel-version-{version}", "wheel-version", Wheel(wheel=f"Wheel-Version: {version}\n".encode()))
    yield Case("wheel-version-1.9", None, Wheel(wheel=b"Wheel-Version: 1.9\nRoot-Is-Purelib: true\n"))
    yield Case("metadata-none", "metadata", Wheel(metadata=b""))
    yield Case("metadata-no-name", "metadata", Wheel(metadata=b"Version: 1.0\n"))
    yield Case("metadata-no-version", "metadata", Wheel(metadata=b"Name: demo\n"))
    yield Case("metadata-in-body", "metadata", Wheel(metadata=b"Name: demo\n\nVersion: 1.0\n"))
    yield Case("metadata-link", "metadata", Wheel({INIT: b"", f"{INFO}/METADATA": Entry(
        f"{INFO}/METADATA", b"/etc/passwd", mode=stat.S_IFLNK | 0o777)}, metadata=b""))
    yield Case("metadata-name", "metadata-name", Wheel(metadata=b"Name: demo2\nVersion: 1.0\n"))
    yield Case("metadata-version", "metadata-version", Wheel(metadata=b"Name: demo\nVersion: 1.0.1\n"))
    yield Case("metadata-version-spelling", None, Wheel(metadata=b"Name: DEMO\nVersion: v1.0.0\n"))
    yield Case("plain", None, right)
    yield Case("build-number", None, Wheel(build="1abc"))


def records():
    yield Case("record-none", "record", listed(lambda rows: None))
    yield Case("record-syntax", "record", listed(lambda rows: b'"open,,\n'))
    yield Case("record-columns", "record", listed(lambda rows: [(*rows[0], "x"), *rows[1:]]))
    yield Case("record-twice", "record", listed(lambda rows: [rows[0], (INIT, "sha256=x", "6"), *rows[1:]]))
    yield Case("record-twice-same", None, listed(lambda rows: [rows[0], *rows]))
    for id, path in (("parent", "../../../bin/evil"), ("absolute", "/etc/passwd"), ("dot", "./demo/x.py")):
        yield Case(f"record-path-{id}", "record-path", listed(lambda rows, path=path: [*rows, (path, "", "")]))
    yield Case("record-unlisted", "record-unlisted", listed(lambda rows: rows[1:]))
    yield Case("record-unlisted-cache", "record-unlisted",
               Wheel(extra_entries=[Entry("demo/__pycache__/x.cpython-313.pyc", b"evil")]))
    yield Case("record-absent", "record-absent", listed(lambda rows: [*rows, ("demo/none.py", "sha256=x", "1")]))
    yield Case("record-no-hash", "record-no-hash", listed(lambda rows: [(INIT, "", ""), *rows[1:]]))
    for algorithm in ("md5", "sha1", "sha224", "blake2s"):
        yield Case(f"record-no-hash-{algorithm}", "record-no-hash", listed(
            lambda rows, algorithm=algorithm: [(INIT, record_hash(b"x = 1\n", algorithm), "6"), *rows[1:]]))
    for algorithm in ("sha384", "sha512"):
        yield Case(f"record-{algorithm}", None, listed(
            lambda rows, algorithm=algorithm: [(INIT, record_hash(b"x = 1\n", algorithm), "6"), *rows[1:]]))
        yield Case(f"record-hash-{algorithm}", "record-hash", listed(
            lambda rows, algorithm=algorithm: [(INIT, record_hash(b"x = 2\n", algorithm), "6"), *rows[1:]]))
    yield Case("record-hash", "record-hash", listed(lambda rows: [(INIT, record_hash(b"x = 2\n"), "6"), *rows[1:]]))
    yield Case("record-hash-cut", "record-hash", listed(lambda rows: [(INIT, rows[0][1][:-1], "6"), *rows[1:]]))
    yield Case("record-size", "record-size", listed(lambda rows: [(INIT, rows[0][1], "7"), *rows[1:]]))
    yield Case("record-no-size", None, listed(lambda rows: [(INIT, rows[0][1], ""), *rows[1:]]))
    yield Case("record-padded", None, listed(lambda rows: [(INIT, rows[0][1] + "=", "6"), *rows[1:]]))
    yield Case("record-signatures", None, Wheel(extra_entries=[
        Entry(f"{INFO}/RECORD.jws", b"{}"), Entry(f"{INFO}/RECORD.p7s", b"x")]))


def places():
    yield Case("data-all", None, Wheel({
        INIT: b"", f"{DATA}/purelib/p.py": b"1", f"{DATA}/platlib/q.so": b"2", f"{DATA}/headers/h.h": b"3",
        f"{DATA}/scripts/tool": b"#!python\nprint(1)\n", f"{DATA}/scripts/shell": b"#!/bin/sh\n",
        f"{DATA}/data/share/d": b"4"}))
    yield Case("data-directory", "data-directory", Wheel({INIT: b"", "other-1.0.data/purelib/x.py": b""}))
    yield Case("data-key", "data-key", Wheel({INIT: b"", f"{DATA}/stdlib/x.py": b""}))
    yield Case("data-key-case", "data-key", Wheel({INIT: b"", f"{DATA}/Scripts/x": b""}))
    yield Case("data-key-file", "data-key", Wheel({INIT: b"", f"{DATA}/x": b""}))
    yield Case("script-file-nested", "script-file", Wheel({INIT: b"", f"{DATA}/scripts/a/b": b""}))
    link = Entry(f"{DATA}/scripts/link", b"/bin/sh", mode=stat.S_IFLNK | 0o777)
    yield Case("script-file-link", "script-file", Wheel({INIT: b"", link.name: link}))
    for name in ("python", "python3", "python3.13", "python3.13t", "Python.EXE", "pypy3", "graalpy", "python3.py"):
        yield Case(f"reserved-name-script-{name}", "reserved-name", Wheel({INIT: b"", f"{DATA}/scripts/{name}": b"x"}))
        yield Case(f"reserved-name-data-{name}", "reserved-name", Wheel({INIT: b"", f"{DATA}/data/bin/{name}": b"x"}))
        yield Case(f"reserved-name-entry-{name}", "reserved-name",
                   Wheel(entry_points=f"[console_scripts]\n{name} = demo:main\n".encode()))
    yield Case("reserved-name-directory", "reserved-name", Wheel({INIT: b"", f"{DATA}/data/bin/python3/x": b"x"}))
    yield Case("reserved-name-cfg", "reserved-name", Wheel({INIT: b"", f"{DATA}/data/pyvenv.cfg": b"x"}))
    yield Case("reserved-name-free", None, Wheel({INIT: b"", f"{DATA}/scripts/python-config": b"x",
                                                  f"{DATA}/data/share/bin/python": b"x"}))
    yield Case("cache-dropped", None, Wheel({
        INIT: b"", "demo/__pycache__/__init__.cpython-313.pyc": b"evil", "demo/old.pyc": b"kept",
        f"{DATA}/purelib/__pycache__/x.pyc": b"evil"}))
    yield Case("environment-files-dropped", None, Wheel({
        INIT: b"", f"{INFO}/INSTALLER": b"evil\n", f"{INFO}/REQUESTED": b"", f"{INFO}/direct_url.json": b"{}"}))
    yield Case("modes", None, Wheel({
        INIT: Entry(INIT, b"", mode=stat.S_IFREG | 0o600), "demo/run": Entry("demo/run", b"1", mode=stat.S_IFREG | 0o4711),
        "demo/none": Entry("demo/none", b"2", mode=0), "demo/untyped": Entry("demo/untyped", b"4", mode=0o777),
        "demo/group": Entry("demo/group", b"3", mode=stat.S_IFREG | 0o654)}))
    yield Case("links", None, Wheel({
        INIT: b"", "demo/link": Entry("demo/link", b"../../etc/passwd", mode=stat.S_IFLNK | 0o777)}))
    yield Case("empty-directory", None, Wheel({INIT: b"", "demo/d/": Entry("demo/d/", mode=stat.S_IFDIR | 0o755)}))
    yield Case("platlib", None, Wheel(purelib=False, tag="cp313-cp313-linux_x86_64"))


def entry_points():
    def scripts(text):
        return Wheel(entry_points=text.encode())

    for id, line in (("no-callable", "x = demo"), ("no-equals", "x"), ("call", "x = demo:main()"), ("code", "x = demo;os:a")):
        yield Case(f"entry-point-{id}", "entry-point", scripts(f"[console_scripts]\n{line}\n"))
    for id, name in (("parent", "../../evil"), ("slash", "a/b"), ("dots", ".."), ("backslash", "..\\evil")):
        yield Case(f"entry-point-name-{id}", "entry-point-name", scripts(f"[console_scripts]\n{name} = demo:main\n"))
    yield Case("entry-points", None, scripts("[console_scripts]\nDemo = demo:main [x]\ndemo=demo:a.b\n"
                                             "[gui_scripts]\nwindow = demo.gui:main\n[other]\nwhatever\n"))
    yield Case("script-replaced", None, Wheel({
        INIT: b"", f"{DATA}/scripts/tool": b"#!python\n", f"{DATA}/scripts/tool-script.py": b"#!python\n",
        f"{DATA}/scripts/other": b"#!python\n"}, entry_points=b"[console_scripts]\ntool = demo:main\n"))


def cases():
    """All of them; ids are unique."""
    for group in (file_names, ends, zip64s, directories, names, data, locals, descriptors, duplicates, info,
                  records, places, entry_points):
        yield from group()
