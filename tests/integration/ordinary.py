"""A mounted environment beside one of `python -m venv`: what the tests of tools compare."""

import difflib
import json
from dataclasses import dataclass
from pathlib import Path

import support


@dataclass
class Pair:
    """Two environments of one Python with the same packages, each in a project directory of its own
    at .venv, so that the same steps can be taken in both."""

    world: support.World
    mounted: Path
    plain: Path

    def both(self, script, **options):
        """Runs @script by a shell in both project directories; what it says of mounted and plain, with
        the project's path as PROJECT."""
        return [self.run_in(project, script, **options) for project in (self.mounted, self.plain)]

    def run_in(self, project, script, **options):
        done = self.world.shell(script, cwd=project, **options)
        return done.out.replace(str(project), "PROJECT")

    def same(self, script, **options):
        """Runs @script in both, demands that both say the same, and returns that."""
        mounted, plain = self.both(script, **options)
        if mounted != plain:
            lines = difflib.unified_diff(plain.splitlines(), mounted.splitlines(), "ordinary", "mounted", lineterm="")
            raise support.Unexpected("\n".join([f"$ {script}", *lines]))
        return mounted

    def same_json(self, script, **options):
        return json.loads(self.same(script, **options))


def make_pair(world, python, *packages, pip=True, options=()):
    """Two environments of @python; @packages are what pip would be given, @options what both `create`
    and venv know."""
    pair = Pair(world, world.project / "mounted", world.project / "plain")
    for project in (pair.mounted, pair.plain):
        project.mkdir()
        world.give(project)
    options = [*options, *([] if pip else ["--without-pip"])]
    world.venvfs("create", "proj", "-q", "--python", python, *packages, *options, timeout=600)
    world.venvfs("mount", "-q", "proj", pair.mounted / ".venv")
    world.run(python, "-m", "venv", *options, pair.plain / ".venv", timeout=600)
    if packages:
        world.run(python, "-m", "pip", "--python", pair.plain / ".venv/bin/python", "install", "-q", *packages,
                  timeout=600)
    return pair
