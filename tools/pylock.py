"""What a pylock.toml (PEP 751) means for this interpreter, in the form of pip's installation report.

Run by the interpreter that the environment is for, with pip importable: its copies of packaging and
tomli read markers, tags and TOML. argv: the lock file. A complaint is the last line of stderr."""
import json
import os
import re
import sys
from urllib.parse import unquote, urlsplit
from urllib.request import pathname2url

try:
    import tomllib
except ImportError:
    from pip._vendor import tomli as tomllib
from pip._vendor.packaging.markers import InvalidMarker, Marker, default_environment
from pip._vendor.packaging.specifiers import InvalidSpecifier, SpecifierSet
from pip._vendor.packaging.tags import sys_tags
from pip._vendor.packaging.utils import (InvalidSdistFilename, InvalidWheelFilename,
                                         canonicalize_name, parse_wheel_filename)

SOURCES = ("vcs", "directory", "archive")


class Refused(Exception):
    pass


def require(condition, message):
    if not condition:
        raise Refused(message)


def typed(table, key, kind, where, default=None):
    value = table.get(key, default)
    require(value is None or isinstance(value, kind), f"{where}: {key} is not of the right type")
    return value


class Lock:
    def __init__(self, path):
        self.path = os.path.abspath(path)
        require(re.fullmatch(r"pylock\.([^.]+\.)?toml", os.path.basename(path)),
                "a lock file is called pylock.toml or pylock.NAME.toml; rename it")
        with open(path, "rb") as file:
            self.data = tomllib.load(file)
        self.environment = default_environment()
        self.environment.update({
            "extras": frozenset(),
            "dependency_groups": frozenset(typed(self.data, "default-groups", list, "the lock", [])),
        })
        self.tags = {}
        for rank, tag in enumerate(sys_tags()):
            self.tags.setdefault(tag, rank)

    def holds(self, marker, where):
        if marker is None:
            return True
        try:
            parsed = Marker(marker)
            try:
                return parsed.evaluate(self.environment, context="lock_file")
            except TypeError:  # an older packaging, which has no contexts
                return parsed.evaluate(self.environment)
        except InvalidMarker:
            raise Refused(f"{where}: {marker!r} is not a marker that this pip knows") from None

    def accepts_python(self, specifier, where):
        try:
            return specifier is None or SpecifierSet(specifier).contains(
                self.environment["python_full_version"], prereleases=True)
        except InvalidSpecifier:
            raise Refused(f"{where}: requires-python {specifier!r} is not a version specifier") from None

    def check_head(self):
        version = typed(self.data, "lock-version", str, "the lock")
        require(version, "lock-version is missing; this is not a lock file of PEP 751")
        require(re.fullmatch(r"1(\.[0-9]+)*", version),
                f"lock-version {version} is newer than 1; make it again with a tool that writes 1.0")
        running = self.environment["python_full_version"]
        wanted = typed(self.data, "requires-python", str, "the lock")
        require(self.accepts_python(wanted, "the lock"),
                f"made for Python {wanted}, this is {running}; choose another with --python")
        environments = typed(self.data, "environments", list, "the lock")
        require(not environments or any(self.holds(one, "environments") for one in environments),
                f"made for other environments than this one (Python {running} on {sys.platform})")

    def location(self, entry, where):
        """The URL of an archive entry."""
        url, path = typed(entry, "url", str, where), typed(entry, "path", str, where)
        require(url or path, f"{where}: has neither url nor path")
        if path and not url:
            path = os.path.join(os.path.dirname(self.path), path)
            return "file://" + pathname2url(os.path.normpath(path))
        return url

    def archive(self, entry, where):
        hashes = typed(entry, "hashes", dict, where)
        require(hashes and all(isinstance(v, str) for v in hashes.values()), f"{where}: has no hashes")
        known = {key: value.lower() for key, value in hashes.items()
                 if key in ("sha256", "sha384", "sha512")}
        require(known, f"{where}: has no hash of sha256, sha384 or sha512")
        return {"url": self.location(entry, where), "archive_info": {"hashes": known},
                "size": typed(entry, "size", int, where)}

    def choose_wheel(self, wheels, where):
        best = None
        for wheel in wheels:
            url = wheel.get("url") or wheel.get("path") or ""
            name = wheel.get("name") or unquote(urlsplit(url).path).rsplit("/", 1)[-1]
            try:
                tags = parse_wheel_filename(name)[3]
            except InvalidWheelFilename:
                raise Refused(f"{where}: {name!r} is not a wheel's file name") from None
            ranks = [self.tags[tag] for tag in tags if tag in self.tags]
            if ranks and (best is None or min(ranks) < best[0]):
                best = min(ranks), wheel
        return best and best[1]

    def direct(self, kind, entry, where):
        """(download_info, editable) of an entry that is no file of an index."""
        info = {}
        if kind == "vcs":
            require(isinstance(entry.get("type"), str) and isinstance(entry.get("commit-id"), str),
                    f"{where}: its vcs entry lacks type or commit-id")
            info = {"url": self.location(entry, where),
                    "vcs_info": {"vcs": entry["type"], "commit_id": entry["commit-id"]}}
        elif kind == "directory":
            require(isinstance(entry.get("path"), str), f"{where}: its directory entry lacks path")
            info = {"url": self.location(entry, where),
                    "dir_info": {"editable": True} if entry.get("editable") else {}}
        else:
            info = self.archive(entry, where)
        if entry.get("subdirectory"):
            info["subdirectory"] = entry["subdirectory"]
        return info

    def download(self, package, where):
        """(download_info, is_direct) of what is to be installed for a package."""
        kinds = [kind for kind in SOURCES if kind in package]
        files = "wheels" in package or "sdist" in package
        require(len(kinds) + files == 1, f"{where}: needs exactly one of vcs, directory, archive, "
                "or sdist and wheels")
        if kinds:
            return self.direct(kinds[0], typed(package, kinds[0], dict, where), where), True
        wheel = self.choose_wheel(typed(package, "wheels", list, where, []), where)
        if wheel:
            return self.archive(wheel, where), False
        require("sdist" in package, f"{where}: no wheel for this Python and machine in the lock")
        return self.archive(typed(package, "sdist", dict, where), where), False

    def items(self):
        found = {}
        for package in typed(self.data, "packages", list, "the lock", []):
            require(isinstance(package, dict) and isinstance(package.get("name"), str),
                    "a package without a name")
            where = package["name"]
            if not self.holds(typed(package, "marker", str, where), where):
                continue
            wanted = typed(package, "requires-python", str, where)
            require(self.accepts_python(wanted, where), f"{where}: needs Python {wanted}")
            name = canonicalize_name(where)
            require(name not in found, f"{where}: two entries are for this environment")
            info, is_direct = self.download(package, where)
            size = info.pop("size", None)
            found[name] = {
                "download_info": info, "is_direct": is_direct, "requested": True, "size": size,
                "metadata": {"name": where, "version": typed(package, "version", str, where) or ""},
            }
        return list(found.values())


def main(path):
    try:
        lock = Lock(path)
        lock.check_head()
        json.dump({"version": "1", "install": lock.items()}, sys.stdout)
    except (Refused, OSError, tomllib.TOMLDecodeError, UnicodeDecodeError,
            InvalidSdistFilename) as complaint:
        text = complaint.strerror if isinstance(complaint, OSError) else str(complaint)
        sys.exit(f"{path}: {' '.join(text.split())}")


main(sys.argv[1])
