"""venvfs create: from requirements to an environment, without a mount."""

import hashlib
import os
import shutil
import signal
import subprocess
import time

import pytest

from local_wheels import bundled_pip, newer_pip, write_wheel
from variants import first_quick


def created(world, name, *args, **options):
    return world.venvfs("create", name, "--json", "--python", world.python.path, *args, **options).json["result"]


def packages(result):
    return {package["name"]: package["version"] for package in result["packages"]}


@pytest.fixture
def house(seeded_world):
    """A wheelhouse: app needs lib, of which there are two versions."""
    world = seeded_world
    write_wheel(world.wheelhouse, "app", "1.0", scripts={"app": "app:main"}, requires=["lib"])
    write_wheel(world.wheelhouse, "lib", "1.0")
    write_wheel(world.wheelhouse, "lib", "2.0")
    write_wheel(world.wheelhouse, "my-tool", "0.1")
    return world


def test_packages_and_their_dependencies(house):
    result = created(house, "proj", "app")
    assert packages(result).items() >= {"app": "1.0", "lib": "2.0"}.items()
    assert {package["name"]: package["requested"] for package in result["packages"]} == {
        "app": True, "lib": False, "pip": True}
    assert result["python_version"] == "%d.%d.%d" % house.python.version
    assert result["remembered"] is False and result["new_bytes"] > 0


def test_what_is_said(house):
    house.write("requirements.txt", "app\nmy-tool\n")
    text = house.venvfs("create", "proj", "--python", house.python.path, "-r", "requirements.txt").out
    assert text.splitlines()[-1].startswith("Created proj (Python %d.%d.%d, 4 packages) in " % house.python.version)
    assert house.venvfs("create", "quiet", "-q", "--python", house.python.path, "app").out == ""


def test_requirements_constraints_and_inclusion(house):
    house.write("requirements.txt", "-r base.txt\nmy_tool\n")
    house.write("base.txt", "app\n")
    house.write("constraints.txt", "lib<2\n")
    result = created(house, "proj", "-r", "requirements.txt", "-c", "constraints.txt")
    assert packages(result).items() >= {"app": "1.0", "lib": "1.0", "my-tool": "0.1"}.items()


def test_wheel_files(house):
    result = created(house, "proj", house.wheelhouse / "lib-1.0-py3-none-any.whl")
    assert packages(result)["lib"] == "1.0"


def test_without_pip(house):
    assert set(packages(created(house, "proj", "lib", "--without-pip"))) == {"lib"}
    assert packages(created(house, "bare", "--without-pip")) == {}


def test_seed_of_every_python(world, each_python):
    result = world.venvfs("create", "proj", "--json", "--python", each_python.path).json["result"]
    expected = {"pip", "setuptools"} if each_python.version < (3, 12) else {"pip"}
    assert set(packages(result)) == expected
    assert result["python_version"] == "%d.%d.%d" % each_python.version


@pytest.mark.slow
def test_the_newest_seed_unless_another_is_asked_for(house):
    bundled = bundled_pip(house.python.path)
    shutil.copy(bundled, house.wheelhouse)
    newer_pip(house.wheelhouse, house.python.path, "99.0")
    assert packages(created(house, "newest"))["pip"] == "99.0"
    version = bundled.name.split("-")[1]
    assert packages(created(house, "asked", f"pip=={version}"))["pip"] == version


# Remembered answers


def executed(world, *args):
    """The programs that `venvfs ARGS` runs."""
    log = world.root / "strace.log"
    world.run("strace", "-f", "-qq", "-e", "trace=execve,connect", "-o", log, world.executable, *args)
    lines = log.read_text().splitlines()[1:]
    return [line for line in lines if "execve(" in line or "connect(" in line and "AF_INET" in line]


def test_a_pinned_answer_is_remembered_for_ever(house):
    house.write("requirements.txt", "app==1.0\nlib==2.0\n")
    first = created(house, "one", "-r", "requirements.txt")
    for folder in house.store.glob("resolutions/*"):  # as if it had been asked long ago
        if not folder.name.startswith("seed-"):
            folder.write_text(folder.read_text().replace("time 1", "time 0"))
    second = created(house, "two", "-r", "requirements.txt")
    assert second["remembered"] is True and second["new_bytes"] == 0
    assert second["image"] == first["image"]
    assert executed(house, "create", "three", "-q", "--python", house.python.path,
                    "-r", "requirements.txt") == []


@pytest.mark.slow
def test_an_open_answer_is_remembered_for_minutes(house):
    created(house, "one", "lib==2.0", "app")
    assert created(house, "two", "lib==2.0", "app")["remembered"] is True
    for answer in house.store.glob("resolutions/*"):
        lines = answer.read_text().splitlines(keepends=True)
        lines[1] = f"time {int(time.time()) - 601}\n"
        if not answer.name.startswith("seed-"):
            answer.write_text("".join(lines))
    assert created(house, "three", "lib==2.0", "app")["remembered"] is False


@pytest.mark.slow
def test_how_pip_goes_about_it_is_no_input(house):
    created(house, "one", "lib==2.0")
    house.environment.update({"PIP_RETRIES": "0", "PIP_TIMEOUT": "3", "PIP_PROXY": "localhost:1", "PIP_NO_INPUT": "1"})
    assert created(house, "two", "lib==2.0")["remembered"] is True


@pytest.mark.parametrize("change", first_quick(["requirement", "included file", "variable", "file of a variable",
                                                   "file of the configuration", "wheelhouse", "option"]))
@pytest.mark.slow
def test_any_input_makes_another_question(house, change):
    house.write("requirements.txt", "-r base.txt\napp\n")
    house.write("base.txt", "lib\n")
    args = ["-r", "requirements.txt"]
    if change == "file of a variable":
        house.environment["PIP_CONSTRAINT"] = str(house.write("constraints.txt", "lib==2.0\n"))
    if change == "file of the configuration":
        constraints = house.write("constraints.txt", "lib==2.0\n")
        house.environment["PIP_CONFIG_FILE"] = str(house.write("pip.conf", f"[global]\nconstraint =\n    {constraints}\n"))
    created(house, "one", *args)
    if change == "requirement":
        house.write("requirements.txt", "-r base.txt\napp\nmy-tool\n")
    if change == "included file":
        house.write("base.txt", "lib<2\n")
    if change == "variable":
        house.environment["PIP_CONSTRAINT"] = str(house.write("constraints.txt", "lib==1.0\n"))
    if change in ("file of a variable", "file of the configuration"):
        house.write("constraints.txt", "lib==1.0\n")
    if change == "wheelhouse":
        write_wheel(house.wheelhouse, "lib", "3.0")
    if change == "option":
        args += ["--pre"]
    result = created(house, "two", *args)
    assert result["remembered"] is False
    expected = {"included file": "1.0", "variable": "1.0", "file of a variable": "1.0",
                "file of the configuration": "1.0", "wheelhouse": "3.0"}.get(change, "2.0")
    assert packages(result)["lib"] == expected


@pytest.mark.slow
def test_an_answer_whose_packages_were_collected_is_asked_again(house):
    created(house, "one", "app==1.0", "lib==2.0")
    house.venvfs("delete", "one")
    house.venvfs("gc")
    again = created(house, "two", "app==1.0", "lib==2.0")
    assert packages(again)["lib"] == "2.0"


def test_same_packages_same_image(house):
    one = created(house, "one", "app", "my-tool")
    two = created(house, "two", "my-tool", "app")
    assert one["image"] == two["image"]
    plain = created(house, "plain", "app", "my-tool", "--no-compile")
    assert plain["image"] != one["image"]


# Sources


def project(world, name="proj-src", version="1.0"):
    folder = world.root / name
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n")
    (folder / "backend.py").write_text(f"""
import zipfile, hashlib, base64
def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "source_dist-{version}-py3-none-any.whl"
    files = {{"source_dist.py": b"value = 1\\n",
             "source_dist-{version}.dist-info/METADATA": b"Metadata-Version: 2.1\\nName: source-dist\\nVersion: {version}\\n",
             "source_dist-{version}.dist-info/WHEEL": b"Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"}}
    record = ""
    with zipfile.ZipFile(directory + "/" + name, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record += f"{{path}},sha256={{digest}},{{len(data)}}\\n"
        record += "source_dist-{version}.dist-info/RECORD,,\\n"
        archive.writestr("source_dist-{version}.dist-info/RECORD", record)
    return name
""")
    for path in [folder, *folder.iterdir()]:
        world.give(path)
    return folder


@pytest.mark.slow
def test_a_local_project_is_built_and_never_remembered(house):
    source = project(house)
    assert packages(created(house, "one", source))["source-dist"] == "1.0"
    assert created(house, "two", source)["remembered"] is False
    house.write("pylock.toml", 'lock-version = "1.0"\n[[packages]]\nname = "source-dist"\n'
                f'directory = {{ path = "{source}" }}\n')
    assert packages(created(house, "three", "--lock", "pylock.toml"))["source-dist"]
    assert created(house, "four", "--lock", "pylock.toml")["remembered"] is False


@pytest.mark.slow
def test_a_git_requirement(house):
    source = project(house)
    house.run("git", "init", "-q", source)
    house.run("git", "-C", source, "add", ".")
    house.run("git", "-C", source, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x")
    result = created(house, "one", f"source-dist @ git+file://{source}")
    assert packages(result)["source-dist"] == "1.0"


# Lock files


def lock_entry(wheel, name, version, more=""):
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return (f'[[packages]]\nname = "{name}"\nversion = "{version}"\n{more}'
            f'wheels = [{{ path = "{wheel}", size = {wheel.stat().st_size}, hashes = {{ sha256 = "{digest}" }} }}]\n')


def test_a_lock_file(house):
    wheels = house.wheelhouse
    house.write("pylock.toml", 'lock-version = "1.0"\ncreated-by = "test"\n'
                + lock_entry(wheels / "lib-1.0-py3-none-any.whl", "lib", "1.0")
                + lock_entry(wheels / "lib-2.0-py3-none-any.whl", "lib", "2.0",
                             "marker = \"python_version < '3'\"\n"))
    assert packages(created(house, "one", "--lock", "pylock.toml"))["lib"] == "1.0"
    assert created(house, "two", "--lock", "pylock.toml")["remembered"] is True


@pytest.mark.parametrize("head, words", [
    ('lock-version = "2.0"\n', "lock-version 2.0 is newer"),
    ("created-by = 'x'\n", "lock-version is missing"),
    ('lock-version = "1.0"\nrequires-python = ">=4"\n', "made for Python >=4"),
    ('lock-version = "1.0"\nenvironments = ["sys_platform == \'win32\'"]\n', "made for other environments"),
    ('lock-version = "1.0"\n[[packages]]\nname = "a"\n', "exactly one of vcs, directory, archive"),
    ('lock-version = "1.0"\n[[packages]]\nname = "a"\nwheels = []\n', "no wheel for this Python"),
    ('lock-version = \n', "pylock.toml: "),
    (None, "lock-version = "),
])
def test_lock_files_that_cannot_be_used(house, head, words):
    entry = lock_entry(house.wheelhouse / "lib-1.0-py3-none-any.whl", "lib", "1.0")
    if head is None:
        head, words = 'lock-version = "1.0"\n' + entry + entry, "two entries are for this environment"
    house.write("pylock.toml", head)
    result = house.venvfs("create", "x", "-q", "--lock", "pylock.toml", "--python", house.python.path, check=1)
    assert words in result.err and result.err.count("\n") == 1


# Interruption


def test_interrupted_while_resolving(house):
    """Ctrl-C: status 130, one line, nothing left behind."""
    slow = house.root / "slow"
    slow.mkdir()
    house.give(slow)
    (slow / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n")
    (slow / "backend.py").write_text(
        f"import time, pathlib\npathlib.Path({str(house.root / 'started')!r}).touch()\ntime.sleep(60)\n")
    created(house, "first")
    process = house.popen(house.executable, "create", "x", "-q", "--python", house.python.path, slow,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (house.root / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "venvfs: interrupted; nothing was changed\n"
    assert house.venvfs("create", "x", "-q", "--python", house.python.path).status == 0
    assert list(house.store.glob("tmp/*")) == []


def test_every_way_to_name_a_python(house):
    """A version, a name on PATH, a path, a directory, an environment, a version of pyenv."""
    python = house.python
    folder = house.root / "pyenv" / "versions" / "mine" / "bin"
    folder.mkdir(parents=True)
    (folder / "python3").symlink_to(python.path)
    (house.root / "bin").mkdir()
    (house.root / "bin" / f"python{python.minor}").symlink_to(python.path)
    house.environment["PATH"] = f"{house.root}/bin:{house.environment['PATH']}"
    house.environment["PYENV_ROOT"] = str(house.root / "pyenv")
    version = "%d.%d.%d" % python.version
    house.run(python.path, "-m", "venv", "--without-pip", "venv")
    names = [python.minor, version, f"python{python.minor}", python.path, "./venv", "venv/bin/python", "mine"]
    for number, name in enumerate(names):
        result = house.venvfs("create", f"env-{number}", "--without-pip", "--json", "--python", name).result
        assert result["python_version"] == version, name


# Where there is an index


@pytest.mark.network
def test_from_the_index(world):
    world.online()
    result = created(world, "proj", "colorama==0.4.6")
    assert packages(result)["colorama"] == "0.4.6"
    again = created(world, "again", "colorama==0.4.6")
    assert again["remembered"] is True
