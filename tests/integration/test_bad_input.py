"""Bad input to create: one clear line, the right exit status, and everything as it was."""

import hashlib
import os
import re
import subprocess
import zipfile

import pytest

import machine
from local_wheels import write_wheel
from variants import first_quick
from wheels.builder import Wheel


@pytest.fixture(scope="module")
def house(module_world):
    """One for all, since what is refused leaves it as it was."""
    world = module_world
    world.templates.seed_store(world, world.python.path)
    world.venvfs("create", "seed", "-q", "--python", world.python.path)
    write_wheel(world.wheelhouse, "lib", "1.0")
    write_wheel(world.wheelhouse, "lib", "2.0")
    write_wheel(world.wheelhouse, "needs-lib-one", "1.0", requires=["lib==1.0"])
    write_wheel(world.wheelhouse, "needs-lib-two", "1.0", requires=["lib==2.0"])
    return world


def listing(store):
    """Every file of the store but what may vanish at any time."""
    caches = {"cache", "interpreters", "resolutions", "leases", "lock"}
    return sorted(str(path.relative_to(store)) for path in store.rglob("*")
                  if path.relative_to(store).parts[0] not in caches and not path.is_dir())


def refused(world, *args, words, status=1, code=None):
    """Runs create, which must fail, and checks that nothing but the message came of it."""
    before = listing(world.store)
    result = world.venvfs("create", "x", *args, "--json", check=status)
    message = result.json["error"]["message"]
    assert result.err == f"venvfs: {message}\n"
    assert words in message
    assert result.json["ok"] is False
    if code:
        assert result.json["error"]["code"] == code
    assert listing(world.store) == before
    assert list(world.store.glob("tmp/*")) == []
    assert not (world.store / "envs" / "x").exists()
    return message


def py(world):
    return ["--python", world.python.path]


def test_unknown_package(house):
    refused(house, *py(house), "no-such-thing", words="no-such-thing: nothing of this name", code="not-found")


def test_unknown_version(house):
    refused(house, *py(house), "lib==3.0", words="there are 1.0, 2.0", code="not-found")


def test_conflict(house):
    refused(house, *py(house), "needs-lib-one", "needs-lib-two", words="cannot be installed together: ",
            code="invalid")


def test_not_a_requirement(house):
    house.write("requirements.txt", "lib\nfoo bar baz\n")
    refused(house, *py(house), "-r", "requirements.txt",
            words="not a requirement, from line 2 of requirements.txt", code="invalid")


def test_missing_files(house):
    for args in (["-r", "absent.txt"], ["-c", "absent.txt", "lib"]):
        refused(house, *py(house), *args, words="absent.txt: ", code="system")
    refused(house, *py(house), "./absent-1.0-py3-none-any.whl", words="./absent-1.0-py3-none-any.whl: ",
            code="system")
    refused(house, *py(house), "./absent", words="./absent: No such file or directory", code="system")
    refused(house, *py(house), "--lock", "pylock.toml", words="pylock.toml: No such file or directory")


def test_editable(house):
    house.write("requirements.txt", "lib\n-e .\n")
    refused(house, *py(house), "-r", "requirements.txt", words="requirements.txt:2: -e .: an editable project")


def test_wrong_hash(house):
    house.write("requirements.txt", "lib==1.0 --hash=sha256:" + "0" * 64 + "\n")
    refused(house, *py(house), "-r", "requirements.txt", words="lib==1.0: wrong hash: ", code="invalid")


def test_missing_hash(house):
    digest = hashlib.sha256((house.wheelhouse / "lib-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    house.write("requirements.txt", f"lib==1.0 --hash=sha256:{digest}\nneeds-lib-one==1.0\n")
    message = refused(house, *py(house), "-r", "requirements.txt", words="", code="invalid")
    assert "needs-lib-one" in message or "hash" in message


def test_truncated_wheel(house):
    whole = write_wheel(house.root, "broken", "1.0")
    wheel = house.root / "cut" / whole.name
    wheel.parent.mkdir()
    wheel.write_bytes(whole.read_bytes()[:-30])
    refused(house, *py(house), wheel, words="broken-1.0-py3-none-any.whl: ")


def test_a_wheel_that_breaks_a_rule(house):
    wheel = write_wheel(house.root, "broken", "1.0")
    wheel.write_bytes(wheel.read_bytes() + b"trailing")
    message = refused(house, *py(house), wheel, words="rule ", code="rule")
    assert "broken-1.0-py3-none-any.whl" in message


@pytest.mark.slow
def test_decompression_bomb(house):
    """64 MiB from 64 KiB, in files that are read whole: by us, and by pip."""
    bomb = Wheel({"bomb.py": b""}, name="bomb", entry_points=b"[x]\n#" + b"x" * (64 << 20))
    refused(house, *py(house), bomb.write(house.root), words="rule zip-ratio: bomb-1.0.dist-info/entry_points.txt",
            code="rule")
    bomb = Wheel({"bomb.py": b""}, name="bomb", metadata=b"Name: bomb\nVersion: 1.0\n\n" + bytes(64 << 20))
    refused(house, *py(house), bomb.write(house.root), words="pip's report: larger than 268435456 bytes; leave out",
            code="invalid")


def test_accepting_a_rule(house):
    whole = write_wheel(house.root, "odd", "1.0")
    wheel = house.root / "changed" / whole.name
    wheel.parent.mkdir()
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(wheel, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("/RECORD"):
                data = re.sub(rb"sha256=..", b"sha256=AA", data, count=1)
            target.writestr(name, data)
    refused(house, *py(house), wheel, words="rule record-hash: ", code="rule")
    house.venvfs("create", "odd", "-q", *py(house), "--accept", "record-hash", wheel)


def test_unsupported_tag(house):
    wheel = write_wheel(house.root, "other", "1.0")
    renamed = wheel.rename(wheel.with_name("other-1.0-cp27-none-win32.whl"))
    refused(house, *py(house), renamed, words="its tag is not among those", code="invalid")


def test_no_network(house, monkeypatch):
    for name, value in (("NO_INDEX", "0"), ("INDEX_URL", "http://127.0.0.1:9/simple"), ("RETRIES", "0")):
        monkeypatch.setitem(house.environment, f"PIP_{name}", value)
    refused(house, *py(house), "anything", words="no package index can be reached", code="failed")


@pytest.mark.parametrize("python, words", [
    ("3.99", "3.99: no such Python was found"),
    ("no-such-python", "no-such-python: no such Python was found"),
    ("./nothing", "./nothing: no Python here"),
    ("/dev/null", "/dev/null: no Python here"),
    (".", ".: no Python here"),
])
def test_missing_interpreter(house, python, words):
    refused(house, "--python", python, "lib", words=words, code="not-found")


@pytest.mark.parametrize("version", ["2", "2.7", "3.7", "3.7.16", "python3.6"])
def test_too_old_interpreter(house, version):
    """Whether one is there or not: no other is taken, and what is needed is said."""
    message = refused(house, "--python", version, "lib", words="8 or newer is needed", code="invalid")
    assert message.startswith(f"{version}: Python 3.8 or newer is needed; there ")


def test_broken_interpreter(house):
    broken = house.write("python3", "#!/bin/sh\nexit 3\n", 0o755)
    refused(house, "--python", broken, "lib", words=f"{broken}: ", code="invalid")


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "-x", "", "a b", "x" * 200, "a\nb", "a:b", "."])
def test_names(house, name):
    before = listing(house.store)
    result = house.venvfs("create", *py(house), "--", name, check=1)
    assert result.out == "" and result.err.count("\n") == 1
    shown = name.replace("\n", r"\012") or "''"
    assert result.err.startswith(f"venvfs: {shown}: not a name for an environment: 1 to 128 letters, ")
    assert listing(house.store) == before


def test_a_name_that_is_taken(house):
    house.venvfs("create", "taken", "-q", *py(house), "lib")
    result = house.venvfs("create", "taken", *py(house), check=1)
    assert result.err.startswith("venvfs: taken: there is an environment of this name already")


def test_store_of_a_newer_format(house):
    (house.store / "format").write_text("venvfs store 99\n")
    result = house.venvfs("create", "x", *py(house), "--json", check=1)
    assert result.json["error"]["code"] == "newer"
    (house.store / "format").write_text("venvfs store 1\n")


def test_store_that_is_something_else(house):
    file = house.write("something/file", "x")
    result = house.venvfs("create", "x", *py(house), "--store", file.parent, "--json", check=1)
    assert result.json["error"]["code"] == "invalid"
    assert list(file.parent.iterdir()) == [file]


def test_store_that_cannot_be_written(user_world):
    place = user_world.root / "closed"
    place.mkdir(mode=0o555)
    user_world.give(place)
    result = user_world.venvfs("create", "x", "--store", place / "store", "--json", check=1)
    assert result.json["error"]["code"] == "system"
    assert result.json["error"]["errno"] == "EACCES"
    assert list(place.iterdir()) == []


@pytest.mark.root
@pytest.mark.parametrize("size", first_quick(["600k", "2m", "6m"]))
def test_full_disk(house, size):
    """Wherever it hits, resolving, unpacking or publishing: ENOSPC, and no environment."""
    disk = house.root / "disk"
    disk.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", disk], capture_output=True)
    if mounted.returncode != 0:
        machine.skip("tmpfs cannot be mounted here")
    try:
        write_wheel(house.wheelhouse, "large", "1.0",
                    files={f"large/{i}.bin": os.urandom(1 << 20) for i in range(8)})
        result = house.venvfs("create", "x", *py(house), "large", "--store", disk / "store", "--json", check=1)
        assert result.json["error"]["code"] == "system"
        assert result.json["error"]["errno"] == "ENOSPC"
        assert result.err.count("\n") == 1
        assert list((disk / "store").glob("envs/*")) == []
        assert list((disk / "store").glob("tmp/*")) == []
    finally:
        subprocess.run(["umount", disk], check=True)
