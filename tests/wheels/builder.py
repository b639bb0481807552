"""Synthetic wheels, down to the bytes of the zip, and as wrong as one wants them.

    Wheel({"demo/__init__.py": b"x = 1\n"}).write(directory)      # a whole wheel
"""

import base64
import hashlib
import io
import stat
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

STORED, DEFLATED = 0, 8
DESCRIPTOR_FLAG, UTF8_FLAG = 1 << 3, 1 << 11


@dataclass
class Entry:
    """One entry. What is None is what a correct zip has there; anything else is written as it is."""

    name: str | bytes
    data: bytes = b""
    mode: int = stat.S_IFREG | 0o644
    method: int = DEFLATED
    flags: int | None = None
    descriptor: str | None = None  # "sig32", "plain32", "sig64", "plain64"
    descriptor_crc: int | None = None
    omit_descriptor: bool = False
    local: dict = field(default_factory=dict)  # name, flags, method, crc, compressed, size, extra
    central: dict = field(default_factory=dict)  # the same, and offset
    payload: bytes | None = None  # the compressed bytes
    before: bytes = b""  # bytes in front of the local header
    after: bytes = b""  # and behind the data
    in_central: bool = True
    in_local: bool = True

    def raw_name(self):
        return self.name.encode() if isinstance(self.name, str) else self.name

    def compressed(self):
        if self.payload is not None:
            return self.payload
        if self.method == DEFLATED:
            deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
            return deflate.compress(self.data) + deflate.flush()
        return self.data

    def general_flags(self):
        if self.flags is not None:
            return self.flags
        flags = 0 if self.raw_name().isascii() else UTF8_FLAG
        return flags | (DESCRIPTOR_FLAG if self.descriptor else 0)


@dataclass
class Zip:
    """A zip file of entries; the keyword arguments falsify its end."""

    entries: list
    comment: bytes = b""
    trailing: bytes = b""
    before_end: bytes = b""
    count: int | None = None
    disk_count: int | None = None
    disk: int = 0
    directory_offset: int | None = None
    directory_size: int | None = None
    zip64: bool = False
    zip64_size: int = 44
    zip64_sector: bytes = b""
    zip64_count: int | None = None
    omit_zip64_record: bool = False
    end_saturated: bool | None = None

    def local(self, out, entry):
        out.write(entry.before)
        offset = out.tell()
        data = entry.compressed()
        crc, sizes = zlib.crc32(entry.data), (len(data), len(entry.data))
        if entry.descriptor:
            crc_here, sizes_here = 0, (0, 0)
        else:
            crc_here, sizes_here = crc, sizes
        extra = entry.local.get("extra", b"")
        if entry.descriptor and entry.descriptor.endswith("64") and not extra:
            extra = struct.pack("<HHQQ", 1, 16, 0, 0)
            sizes_here = (0xFFFFFFFF, 0xFFFFFFFF)
        name = entry.local.get("name", entry.raw_name())
        out.write(struct.pack(
            "<IHHHHHIIIHH", entry.local.get("magic", 0x04034B50), 20,
            entry.local.get("flags", entry.general_flags()), entry.local.get("method", entry.method),
            0, 0x21, entry.local.get("crc", crc_here), entry.local.get("compressed", sizes_here[0]),
            entry.local.get("size", sizes_here[1]), len(name), len(extra)))
        out.write(name + extra + data)
        if entry.descriptor and not entry.omit_descriptor:
            if entry.descriptor.startswith("sig"):
                out.write(b"PK\x07\x08")
            layout = "<IQQ" if entry.descriptor.endswith("64") else "<III"
            shown = crc if entry.descriptor_crc is None else entry.descriptor_crc
            out.write(struct.pack(layout, shown, *sizes))
        out.write(entry.after)
        return offset

    def central(self, out, entry, offset):
        data, extra = entry.compressed(), entry.central.get("extra", b"")
        name = entry.central.get("name", entry.raw_name())
        out.write(struct.pack(
            "<IHHHHHHIIIHHHHHII", entry.central.get("magic", 0x02014B50), 3 << 8 | 20, 20,
            entry.central.get("flags", entry.general_flags()),
            entry.central.get("method", entry.method), 0, 0x21,
            entry.central.get("crc", zlib.crc32(entry.data)),
            entry.central.get("compressed", len(data)), entry.central.get("size", len(entry.data)),
            len(name), len(extra), 0, entry.central.get("disk", 0), 0, entry.mode << 16,
            entry.central.get("offset", offset)))
        out.write(name + extra)

    def bytes(self):
        out = io.BytesIO()
        offsets = [self.local(out, entry) if entry.in_local else 0 for entry in self.entries]
        start = out.tell()
        listed = [(entry, offset) for entry, offset in zip(self.entries, offsets) if entry.in_central]
        for entry, offset in listed:
            self.central(out, entry, offset)
        size = out.tell() - start
        out.write(self.before_end)
        count = len(listed) if self.count is None else self.count
        shown_offset = start if self.directory_offset is None else self.directory_offset
        shown_size = size if self.directory_size is None else self.directory_size
        saturated = self.zip64 if self.end_saturated is None else self.end_saturated
        if self.zip64:
            record = out.tell()
            count64 = count if self.zip64_count is None else self.zip64_count
            if not self.omit_zip64_record:
                out.write(struct.pack("<IQHHIIQQQQ", 0x06064B50, self.zip64_size, 45, 45, 0, 0,
                                      count64, count64, shown_size, shown_offset))
                out.write(self.zip64_sector)
            out.write(struct.pack("<IIQI", 0x07064B50, 0, record, 1))
        end = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF) if saturated else (
            count if self.disk_count is None else self.disk_count, count, shown_size, shown_offset)
        out.write(struct.pack("<IHHHHIIH", 0x06054B50, self.disk, self.disk, *end, len(self.comment)))
        out.write(self.comment + self.trailing)
        return out.getvalue()


def record_hash(data, algorithm="sha256"):
    digest = hashlib.new(algorithm, data).digest()
    return f"{algorithm}={base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


@dataclass
class Wheel:
    """A wheel: @files by path (bytes, or an Entry), and what stands in .dist-info."""

    files: dict = field(default_factory=lambda: {"demo/__init__.py": b"x = 1\n"})
    name: str = "demo"
    version: str = "1.0"
    tag: str = "py3-none-any"
    build: str | None = None
    dist_info: str | None = None
    wheel: bytes | None = None  # None: right; b"": no such file
    metadata: bytes | None = None
    entry_points: bytes = b""
    purelib: bool = True
    record: object = None  # a function from rows to bytes or rows
    extra_entries: list = field(default_factory=list)  # not in RECORD
    zip_options: dict = field(default_factory=dict)
    file_name: str | None = None

    def filename(self):
        if self.file_name:
            return self.file_name
        build = f"-{self.build}" if self.build else ""
        return f"{self.name}-{self.version}{build}-{self.tag}.whl"

    def info(self):
        return self.dist_info or f"{self.name}-{self.version}.dist-info"

    def entries(self):
        contents = dict(self.files)
        wheel = self.wheel
        if wheel is None:
            wheel = (f"Wheel-Version: 1.0\nGenerator: builder\nRoot-Is-Purelib: "
                     f"{str(self.purelib).lower()}\nTag: {self.tag}\n").encode()
        metadata = self.metadata
        if metadata is None:
            metadata = (f"Metadata-Version: 2.1\nName: {self.name}\nVersion: {self.version}\n"
                        "\nThe description.\n").encode()
        for file, data in (("METADATA", metadata), ("WHEEL", wheel),
                           ("entry_points.txt", self.entry_points)):
            if data:
                contents[f"{self.info()}/{file}"] = data
        entries = [item if isinstance(item, Entry) else Entry(path, item)
                   for path, item in contents.items()]
        rows = [(entry.name, record_hash(entry.data), str(len(entry.data)))
                for entry in entries if not entry.raw_name().endswith(b"/")]
        record = f"{self.info()}/RECORD"
        rows.append((record, "", ""))
        if self.record:
            rows = self.record(rows)
        if rows is not None:
            text = rows if isinstance(rows, bytes) else b"".join(
                b",".join(part if isinstance(part, bytes) else part.encode() for part in row) + b"\n"
                for row in rows)
            entries.append(Entry(record, text))
        return entries + self.extra_entries

    def bytes(self):
        return Zip(self.entries(), **self.zip_options).bytes()

    def write(self, directory):
        path = Path(directory) / self.filename()
        path.write_bytes(self.bytes())
        return path
