"""Small projects to build and install: one for each build backend, one that compiles C; and git."""

import tarfile

NATIVE = """\
#include <Python.h>

static PyObject *
answer (PyObject *self, PyObject *args)
{
  return PyLong_FromLong (42);
}

static PyMethodDef methods[] = { { "answer", answer, METH_NOARGS, "" }, { 0 } };
static struct PyModuleDef module = { PyModuleDef_HEAD_INIT, "native", 0, -1, methods };

PyMODINIT_FUNC
PyInit_native (void)
{
  return PyModule_Create (&module);
}
"""

BACKENDS = {
    "setuptools": ("setuptools", "setuptools.build_meta"),
    "hatchling": ("hatchling", "hatchling.build"),
    "flit": ("flit_core", "flit_core.buildapi"),
    "meson": ("meson-python", "mesonpy"),
    "poetry": ("poetry-core", "poetry.core.masonry.api"),
    "pdm": ("pdm-backend", "pdm.backend"),
}

MESON = """\
project('sample-meson', 'c', version: '1.0')
python = import('python').find_installation(pure: false)
python.install_sources('sample_meson/__init__.py', subdir: 'sample_meson')
python.extension_module('native', 'sample_meson/native.c', subdir: 'sample_meson', install: true)
"""

SETUP = """\
from setuptools import Extension, setup

setup(packages=["sample_c"], ext_modules=[Extension("sample_c.native", ["sample_c/native.c"])])
"""


def pyproject(name, backend, requires=(), scripts=True):
    module = name.replace("-", "_")
    requirement, path = BACKENDS[backend]
    text = f"""\
[build-system]
requires = ["{requirement}"]
build-backend = "{path}"

[project]
name = "{name}"
version = "1.0"
description = "A sample"
requires-python = ">=3.8"
dependencies = [{", ".join(f'"{one}"' for one in requires)}]
"""
    return text + f'\n[project.scripts]\n{name} = "{module}:main"\n' if scripts else text


def sample(backend, requires=()):
    """path → text of a project called sample-BACKEND, whose script of that name prints its value."""
    name, module = f"sample-{backend}", f"sample_{backend}"
    files = {"pyproject.toml": pyproject(name, backend, requires),
             f"{module}/__init__.py": "value = 1\n\n\ndef main():\n    print('value', value)\n"}
    if backend == "meson":
        files.update({"meson.build": MESON, f"{module}/native.c": NATIVE})
    if backend == "setuptools":
        files["pyproject.toml"] += f'\n[tool.setuptools]\npackages = ["{module}"]\n'
    return files


def c_sdist(folder):
    """sample_c-1.0.tar.gz in @folder, which setuptools compiles."""
    source = folder / "sample_c-1.0"
    files = {"pyproject.toml": pyproject("sample-c", "setuptools", scripts=False), "setup.py": SETUP,
             "sample_c/__init__.py": "from .native import answer\n", "sample_c/native.c": NATIVE,
             "PKG-INFO": "Metadata-Version: 2.1\nName: sample-c\nVersion: 1.0\n"}
    for path, text in files.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
    archive = folder / "sample_c-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, "sample_c-1.0")
    return archive


def commit_all(world, folder):
    """Makes @folder a git repository of all that is in it, on the branch main."""
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "--no-verify", "-m", "all"]):
        world.run("git", "-c", "user.name=tester", "-c", "user.email=tester@localhost", *command, cwd=folder)
