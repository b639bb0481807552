"""A small program that uses real packages: `venvfs run -n NAME python examples/report.py`."""

import sys

import numpy
import pandas
import requests
from rich.console import Console
from rich.table import Table

days = pandas.date_range("2024-01-01", periods=366, freq="D")
wave = 10 - 12 * numpy.cos(2 * numpy.pi * (numpy.arange(366) - 20) / 366)
noise = numpy.random.default_rng(seed=7).normal(scale=3, size=366)
seasons = pandas.DataFrame({"season": (days.month % 12) // 3, "degrees": wave + noise})
summary = seasons.groupby("season")["degrees"].agg(["mean", "min", "max"])

table = Table(title="A year of made-up weather, degrees")
for heading in ("season", "mean", "lowest", "highest"):
    table.add_column(heading, justify="left" if heading == "season" else "right")
for name, (_, row) in zip(("winter", "spring", "summer", "autumn"), summary.iterrows()):
    table.add_row(name, *(f"{value:.1f}" for value in row))
Console(width=72).print(table)

print("python   ", sys.version.split()[0], "in", sys.prefix)
print("packages ", ", ".join(f"{module.__name__} {module.__version__}"
                             for module in (numpy, pandas, requests)))
