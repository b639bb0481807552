"""tests/bench: that it measures, and what it writes."""

import json
import sys

import pytest
from local_wheels import write_wheel
from support import TREE

sys.path.insert(0, str(TREE / "tests" / "bench"))

from benchlib import report  # noqa: E402
from benchlib.bench import Bench, Row  # noqa: E402


@pytest.mark.slow
@pytest.mark.usefixtures("mountable")
def test_figures_of_a_small_set(world):
    names = ["one", "two", "three"]
    for name in names:
        write_wheel(world.wheelhouse, name, "1.0")
    pinned = world.write("set.txt", "".join(f"{name}==1.0\n" for name in names))
    results = world.root / "results.json"
    done = world.run(sys.executable, TREE / "tests" / "bench" / "run_bench", "--quick", "--no-write",
                     "--set", pinned, "--few", "one", "--wheels", world.wheelhouse, "--build", world.build,
                     "--python", world.python.path, "--work", world.root, "--results", results,
                     "--only", "memory")
    found = json.loads(results.read_text())
    memory = found["raw"]["memory"]
    assert len(set(memory["entries"])) == 1 and memory["entries"][0] > 500  # pip's own, most of them
    assert 0 < memory["before"] <= 4096 and abs(memory["after"] - memory["before"]) <= 256
    assert [row["unit"] for row in found["rows"]] == ["KiB", "KiB"]
    assert "walking all" in done.out
    assert not (world.root / "work").exists()


def test_rounds_take_turns():
    order = []

    def measure(name):
        return lambda: order.append(name) or {"seconds": len(order)}

    bench = Bench(None, None, None, {}, rounds=3, slow_rounds=1)
    medians = bench.interleave("label", {name: measure(name) for name in "abc"}, slow="c")
    assert "".join(order) == "abcbaab"
    assert medians == {"a": {"seconds": 5}, "b": {"seconds": 4}, "c": {"seconds": 3}}
    assert len(bench.raw["label"]["c"]) == 1


def test_the_table():
    rows = [Row("fast", "ms", {"venvfs": 10.0, "uv": 400.0}, "≤ 15 ms", True),
            Row("small", "KiB", {"venvfs": 1234.0}, "≤ 64 KiB", False)]
    text = report.section({"machine": "one"}, rows, 7, 3)
    assert "- machine: one\n" in text
    assert "| fast | 10.0 ms | 400 ms | uv × 40 | ≤ 15 ms | reached |" in text
    assert "| small | 1,234 KiB |  |  | ≤ 64 KiB | **missed** |" in text
    document = report.insert("head\n<!-- x: begin -->\nold\n<!-- x: end -->\nremarks\n", "x", text)
    assert document.startswith("head\n") and document.endswith("\nremarks\n") and "old" not in document
    assert report.insert(document, "x", text) == document
