"""What all verbs have in common: help, options, output, exit statuses."""

import json
import os
import re
import signal
import subprocess

import pytest

import support
from local_wheels import write_wheel


def verbs(world):
    """The verbs that --help lists."""
    text = world.venvfs("--help").out
    listing = text.split("\nVerbs:\n")[1].split("\n\n")[0]
    return re.findall(r"(?m)^  ([a-z]+) ", listing)


def options(help_text):
    return set(re.findall(r"(?m)^  (?:-[a-z], )?(--[a-z-]+)", help_text))


def test_help_teaches_every_verb(world):
    listed = verbs(world)
    assert {"create", "delete", "export", "fsck", "gc", "store", "help"} <= set(listed)
    for verb in listed:
        text = world.venvfs(verb, "--help").out
        assert text.startswith(f"Usage: venvfs {verb}")
        assert f"venvfs {verb}" in text.split("\nExamples:\n")[1]
        assert {"--json", "--quiet", "--store", "--name", "--help"} <= options(text)
        assert world.venvfs("help", verb).out == text
        assert max(map(len, text.splitlines())) <= 80
    assert max(map(len, world.venvfs("--help").out.splitlines())) <= 80
    # What follows the command is the command's own.
    assert world.venvfs("run", "--help").out.startswith("Usage: venvfs run [OPTION…] COMMAND [ARGUMENT…]\n")


def test_version(world):
    assert re.fullmatch(r"venvfs \d+\.\d+\.\d+\n", world.venvfs("--version").out)


@pytest.mark.parametrize("args, words", [
    ([], "a verb is missing"),
    (["craete"], "did you mean 'create'"),
    (["xyzzy"], "'venvfs --help' lists them"),
    (["create", "--pyton", "3.13"], "did you mean --python"),
    (["gc", "--dryrun"], "did you mean --dry-run"),
    (["create"], "usage: venvfs create NAME"),
    (["gc", "what"], "'what' is one argument too many"),
    (["store", "sise"], "neither 'path' nor 'size'"),
    (["create", "x", "--python"], "Missing argument for --python"),
    (["create", "x", "--accept", "record-hsah"], "did you mean record-hash"),
    (["create", "x", "y", "--lock", "pylock.toml"], "--lock names every package"),
    (["-n", "x", "create", "y"], "the name is the first argument"),
])
def test_misuse_is_status_2_and_one_line(world, args, words):
    result = world.venvfs(*args, check=2)
    assert result.out == ""
    assert result.err.startswith("venvfs: ") and result.err.count("\n") == 1
    assert words in result.err
    assert not world.store.exists()


def test_errors_as_json(world):
    result = world.venvfs("delete", "absent", "--json", check=1)
    assert result.json["venvfs"] == 1
    assert result.json["verb"] == "delete"
    assert result.json["ok"] is False
    assert result.json["error"]["code"] == "not-found"
    assert result.json["error"]["message"].startswith("absent: ")
    assert result.err.startswith("venvfs: absent: ") and result.err.count("\n") == 1
    misuse = world.venvfs("--json", "deleet", check=2)
    assert misuse.json["verb"] is None
    assert misuse.json["error"]["code"] == "usage"


def test_store(world):
    assert world.venvfs("store").out == f"{world.store}\n"
    other = world.root / "other"
    assert world.venvfs("store", "path", "--store", other, "--json").json["result"] == {"path": str(other)}
    sizes = world.venvfs("store", "size", "--json").json["result"]
    assert sizes.pop("all") == sum(sizes.values())
    assert list(sizes) == ["objects", "images", "packages", "bytecode", "envs", "cache", "other"]
    support.remove_tree(other)


def test_empty_store_is_clean(world):
    assert world.venvfs("fsck", "--deep").out == f"{world.store}: nothing is wrong\n"
    assert world.venvfs("gc", "--json").json["result"]["bytes"] == 0


def test_a_closed_pipe_is_no_crash(world):
    reading, writing = os.pipe()
    os.close(reading)
    process = world.popen(world.executable, "--help", stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    process.wait(60)
    assert process.returncode in (1, -signal.SIGPIPE)
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize("args", [["--help"], ["store"], ["list", "--json"]])
def test_what_cannot_be_written_is_said(world, args):
    world.venvfs("store")
    said = world.shell(f"venvfs {' '.join(args)} > /dev/full", check=1)
    assert said.err == "venvfs: standard output: cannot be written: No space left on device\n"


def test_no_colour_without_a_terminal(world):
    assert "\033" not in world.venvfs("nonsense", check=2).err


def test_json_is_one_line(world):
    assert json.loads(world.venvfs("store", "--json", "-q").out)["ok"] is True
    assert world.venvfs("store", "--json").out.count("\n") == 1


def test_fsck_finds_and_repairs_a_damaged_object(seeded_world):
    world = seeded_world
    write_wheel(world.wheelhouse, "lib", "1.0", files={"lib.py": "value = 12345\n"})
    create = ["-q", "--python", world.python.path, "lib==1.0", "--without-pip"]
    world.venvfs("create", "one", *create)
    damaged = next(path for path in world.store.glob("objects/*/*") if path.read_bytes() == b"value = 12345\n")
    damaged.chmod(0o644)
    damaged.write_bytes(b"value = 54321\n")
    damaged.chmod(0o444)
    assert world.venvfs("fsck").out == f"{world.store}: nothing is wrong\n"
    found = world.venvfs("fsck", "--deep", "--json", check=1)
    assert found.json["error"]["code"] == "damaged"
    relative = str(damaged.relative_to(world.store))
    assert relative in [problem["path"] for problem in found.json["result"]["problems"]]
    rest = world.venvfs("fsck", "--deep", "--repair", check=1)
    assert "5 problems, of which 3 are repaired" in rest.err  # the image and the environment wait for them
    assert not damaged.exists()
    world.venvfs("delete", "one")
    world.venvfs("create", "two", *create)
    assert damaged.read_bytes() == b"value = 12345\n"
    assert world.venvfs("fsck", "--deep").out == f"{world.store}: nothing is wrong\n"
    damaged.chmod(0o644)
    assert world.venvfs("fsck", "--repair").out.endswith(f"{world.store}: repaired 1 problem\n")
    assert world.venvfs("export", "two", "out").status == 0
    assert (next(world.project.glob("out/lib/*/site-packages/lib.py"))).read_text() == "value = 12345\n"
