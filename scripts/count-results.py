"""Adds up what test runs wrote as JUnit files: FOLDER [run that ended badly…]

Prints the failed tests by name and, last, one line like "812 passed, 0 failed, 3 skipped". A run
that ended badly without a failed test (a crash, a timeout) counts as one failure. Exit status 1
when anything failed, or when nothing ran."""

import collections
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def outcome(case):
    for name, result in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
        if case.find(name) is not None:
            return result
    return "passed"


def main():
    folder, broken = Path(sys.argv[1]), sys.argv[2:]
    counts, skips = collections.Counter(), collections.Counter()
    failed_runs = set()
    for path in sorted(folder.glob("*.xml")):
        run = re.sub(r"^(meson|pytest)-", "", path.stem)
        try:
            cases = list(ElementTree.parse(path).getroot().iter("testcase"))
        except ElementTree.ParseError as error:
            print(f"FAILED {run}: {path.name} is not complete: {error}")
            cases = []
        for case in cases:
            result = outcome(case)
            counts[result] += 1
            if result == "failed":
                failed_runs.add(run)
                print(f"FAILED {run}: {case.get('classname')} {case.get('name')}")
            elif result == "skipped":
                reason = case.find("skipped").get("message") or case.find("skipped").text or "no reason given"
                skips[reason.strip().splitlines()[0]] += 1
    for run in broken:
        if run not in failed_runs:
            print(f"FAILED {run}: ended badly (a crash or a timeout; see above)")
            counts["failed"] += 1
    for reason, n in skips.most_common():
        print(f"skipped {n}: {reason}")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not counts["passed"] else 0


sys.exit(main())
