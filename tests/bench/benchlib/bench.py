"""What figures are made with: contenders with folders of their own, interleaved rounds, medians."""

import statistics
from dataclasses import dataclass, field
from pathlib import Path

from benchlib import machine
from benchlib.contenders import Uv, Venvfs

KEPT = "keep"  # the name, with the number of wheels after it, of environments that were there before


@dataclass
class Row:
    """One line of the table. @values: contender → median, in @unit. @target: what venvfs was to reach,
    None where nothing was demanded; @reached: whether it did."""

    what: str
    unit: str
    values: dict
    target: str = None
    reached: bool = None


@dataclass
class Bench:
    """What a figure is given."""

    folder: Path
    wheels: Path
    python: str
    programs: dict
    rounds: int
    slow_rounds: int
    requirements: dict = field(default_factory=dict)  # number of wheels → file
    raw: dict = field(default_factory=dict)
    known: dict = field(default_factory=dict)  # kind → contender that has everything

    @property
    def few(self):
        return min(self.requirements)

    @property
    def many(self):
        return max(self.requirements)

    def new(self, kind, name, *program):
        """A contender with a fresh folder of its own."""
        folder = self.folder / name
        machine.remove(folder)
        return kind(*program, folder, self.wheels, self.python)

    def venvfs(self, name):
        return self.new(Venvfs, name, self.programs["venvfs"])

    def uv(self, name):
        if not self.programs["uv"]:
            raise machine.Failed("uv is not here (pip install uv)")
        return self.new(Uv, name, self.programs["uv"])

    def knowing(self, kind):
        """A contender to whom all wheels are known, in its store or cache, with an environment of
        each number of them. Figures share it and leave it as they found it."""
        if kind not in self.known:
            contender = self.known[kind] = getattr(self, kind)(f"known-{kind}")
            for count, requirements in self.requirements.items():
                contender.create(f"{KEPT}-{count}", requirements)
        return self.known[kind]

    def interleave(self, label, measures, slow=()):
        """Calls each of @measures (name → function returning a dict of numbers) once a round, in
        turning order, those named in @slow in fewer rounds. Returns name → key → median."""
        samples = {name: [] for name in measures}
        names = list(measures)
        for number in range(self.rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                if name in slow and number >= self.slow_rounds:
                    continue
                machine.settle()
                samples[name].append(measures[name]())
        self.raw[label] = samples
        return {name: {key: statistics.median(value[key] for value in values) for key in values[0]}
                for name, values in samples.items()}


def wheels(count):
    return f"{count} wheel{'s' if count > 1 else ''}"


def requirement_of(requirements, package):
    """The lines of @requirements that pin @package, hashes included."""
    lines, taken = [], False
    for line in Path(requirements).read_text().splitlines():
        if not line.startswith(" "):
            taken = line.startswith(f"{package}==")
        if taken:
            lines.append(line)
    return "\n".join(lines) + "\n"
