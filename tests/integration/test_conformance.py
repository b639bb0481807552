"""docs/conformance.md has a row for every rule, and every test that it names is there."""

import re

import support

TESTS = support.TREE / "tests"
N_RULES = 56


def rows():
    """(number, rule, the tests named)."""
    text = (support.TREE / "docs" / "conformance.md").read_text()
    found = re.findall(r"(?m)^\| (\d+) \| (.+) \| (.*) \|$", text)
    return [(int(number), rule, re.findall(r"`([^`]+)`", tests)) for number, rule, tests in found]


def test_every_rule_has_a_row_and_a_test():
    assert [number for number, _, _ in rows()] == list(range(1, N_RULES + 1))
    assert [number for number, _, tests in rows() if not tests] == []


def test_every_test_named_is_there():
    missing = []
    for number, _, tests in rows():
        for name in tests:
            file, function = name.split("::")
            path = TESTS / file if file.startswith("unit/") else TESTS / "integration" / file
            pattern = rf"(?m)^{function} \(" if file.endswith(".c") else rf"(?m)^def {function}\("
            if not path.exists() or not re.search(pattern, path.read_text()):
                missing.append(f"{number}: {name}")
    assert missing == []


def test_tests_that_name_a_rule_are_named_by_it():
    """A test says "Conformance item N"; the row of N leads to it."""
    named = {number: {name.split("::")[1] for name in tests} for number, _, tests in rows()}
    lost = []
    for path in sorted((TESTS / "integration").glob("test_*.py")):
        for function, numbers in re.findall(r'(?m)^def (test_\w+)\(.*\):\n    """Conformance items? ([\d, ]+)', path.read_text()):
            lost += [f"{path.name}::{function}: {number}" for number in re.findall(r"\d+", numbers)
                     if function not in named.get(int(number), ())]
    assert lost == []
