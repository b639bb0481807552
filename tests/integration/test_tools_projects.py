"""poetry, pdm, pipenv, hatch, tox, nox and pre-commit, with the environment they use mounted."""

import pytest

import projects
from paired import Pair, tool

pytestmark = [pytest.mark.network, pytest.mark.slow]


def write_project(pair, backend, requires=("vf-app",), more=""):
    pair.write("pyproject.toml", projects.pyproject("proj", backend, requires) + more)
    pair.write("proj/__init__.py", "def main():\n    print('proj runs')\n")


WHERE = "import sys, proj; print(sys.prefix, proj.__file__)"


def test_poetry(tool_world):
    pair = Pair(tool_world)
    write_project(pair, "poetry", more=f"""
[[tool.poetry.source]]
name = "local"
url = "{tool_world.index.url}"
priority = "primary"
""")
    env = {"POETRY_VIRTUALENVS_IN_PROJECT": "true", "POETRY_NO_INTERACTION": "1"}

    def poetry(*args, same="out", **options):
        return pair.run(tool("poetry"), "--no-ansi", *args, env=env, same=same, **options)

    assert poetry("env", "info", "--path")[1].out == f"{pair.mount.venv}\n"
    poetry("install", same="")
    poetry("run", "python", "-c", WHERE)
    poetry("run", "proj")
    pair.demand_same()
    poetry("add", "vf-tool", "vf-lib@1.0", same="")
    poetry("run", "vf-tool")
    poetry("show", "--tree")
    poetry("check")
    poetry("remove", "vf-tool", same="")
    poetry("sync", same="")
    poetry("env", "list")
    pair.demand_same()
    plain, mounted = [(side.here / "poetry.lock").read_text() for side in pair]
    assert mounted == plain


def test_pdm(tool_world):
    pair = Pair(tool_world)
    write_project(pair, "pdm")

    def pdm(*args, same="out", **options):
        return pair.run(tool("pdm"), *args, env={"PDM_CHECK_UPDATE": "false"}, same=same, **options)

    pdm("use", "-q", ".venv", same="")
    pdm("install", "-q", same="")
    pdm("run", "python", "-c", WHERE)
    pdm("run", "proj")
    pair.demand_same()
    pdm("add", "-q", "vf-tool", "vf-lib==1.0", same="")
    pdm("run", "vf-tool")
    pdm("list", "--freeze")
    pdm("info", "--packages")
    pdm("remove", "-q", "vf-tool", same="")
    pdm("sync", "-q", "--clean", same="")
    pair.demand_same()


def test_pipenv(tool_world):
    pair = Pair(tool_world)
    pair.write("Pipfile", f"""\
[[source]]
url = "{tool_world.index.url}"
verify_ssl = false
name = "local"

[packages]
vf-app = "*"
""")
    env = {"PIPENV_VENV_IN_PROJECT": "1", "PIPENV_NOSPIN": "1", "PIPENV_IGNORE_VIRTUALENVS": "1",
           "PIPENV_YES": "1"}

    def pipenv(*args, same="out", **options):
        return pair.run(tool("pipenv"), *args, env=env, same=same, **options)

    assert pipenv("--venv")[1].out == f"{pair.mount.venv}\n"
    pipenv("install", same="")
    pipenv("run", "vf-app")
    pair.demand_same()
    pipenv("install", "vf-tool", "vf-lib==1.0", same="")
    pipenv("run", "pip", "freeze")
    pipenv("uninstall", "vf-tool", same="")
    pipenv("sync", same="")
    pipenv("clean", same="")
    pair.demand_same()
    pipenv("--rm", status=None, same="")
    pipenv("sync", same="")
    pair.demand_same()


def test_hatch(tool_world):
    pair = Pair(tool_world)
    write_project(pair, "hatchling", more="""
[tool.hatch.envs.default]
path = ".venv"
dependencies = ["vf-tool"]
""")

    def hatch(*args, same="out", **options):
        return pair.run(tool("hatch"), "--no-color", *args, same=same, **options)

    hatch("run", "python", "-c", WHERE)
    hatch("run", "proj")
    hatch("run", "vf-tool")
    hatch("env", "find")
    hatch("dep", "show", "requirements")
    pair.demand_same()


def test_tox(tool_world):
    pair = Pair(tool_world)
    write_project(pair, "hatchling")
    pair.write("tox.ini", """\
[testenv:own]
envdir = {toxinidir}/.venv
deps = vf-tool
commands =
    vf-tool
    proj
    python -c "import sys; print(sys.prefix)"
""")

    def tox(*args, **options):
        return pair.run(tool("tox"), "run", "-q", "-e", "own", *args, **options)

    tox()
    tox("--skip-pkg-install", same="")
    pair.demand_tree()
    tox("--recreate")
    pair.demand_tree()


def test_nox(tool_world):
    """An environment that is mounted where a session has its own: used again, and made anew."""
    pair = Pair(tool_world, "vf-app", where=".nox/own")
    pair.write("noxfile.py", """\
import sys
import nox

@nox.session(python=sys.executable)
def own(session):
    session.install("vf-app", "vf-tool")
    session.run("vf-tool")
    session.run("python", "-c", "import sys; print(sys.prefix)")

@nox.session(venv_backend="none")
def outer(session):
    session.run("python", "-c", "import sys; print(sys.prefix)", external=True)
""")
    assert pair.run(tool("nox"), "-s", "outer", env=pair.activated, same="out")[1].out == f"{pair.mount.venv}\n"
    pair.run(tool("nox"), "-r", "-s", "own", same="out")
    pair.demand_tree()
    pair.run(tool("nox"), "-s", "own", same="out")
    pair.demand_tree()


def test_pre_commit(tool_world):
    """Hooks that run in the project's environment, and one that has an environment of its own, made by
    what the project's python is made from."""
    pair = Pair(tool_world, "vf-tool")
    hook = pair.plain.here.parent / "hook"
    for path, text in {**projects.sample("setuptools"), ".pre-commit-hooks.yaml": """\
- id: sample
  name: sample
  entry: sample-setuptools
  language: python
  pass_filenames: false
"""}.items():
        tool_world.write(hook / path, text)
    projects.commit_all(tool_world, hook)
    revision = tool_world.run("git", "rev-parse", "HEAD", cwd=hook).out.strip()
    pair.write(".pre-commit-config.yaml", f"""\
repos:
- repo: {hook}
  rev: {revision}
  hooks:
  - id: sample
    verbose: true
- repo: local
  hooks:
  - id: own
    name: own
    language: system
    entry: python -c "import sys, vf_tool; print(sys.prefix)"
    pass_filenames: false
    verbose: true
""")
    pair.write(".gitignore", ".venv\n")
    for side in pair:
        projects.commit_all(tool_world, side.here)
        side_env = {"PRE_COMMIT_HOME": str(side.here / "cache")}
        for args in (["install"], ["run", "--all-files"]):
            done = tool_world.run(tool("pre-commit"), *args, cwd=side.here,
                                  env={**side_env, "PATH": f"{side.venv}/bin:{tool_world.environment['PATH']}"})
        assert "value 1\n" in done.out and f"{side.venv}\n" in done.out, done.describe()
        (made,) = side.here.glob("cache/repo*/py_env-*")
        base = tool_world.run(made / "bin" / "python", "-c", "import sys; print(sys.base_prefix)").out
        side.base = base
    assert pair.mount.base == pair.plain.base
    pair.demand_same()
