"""Adds up the JUnit files of all test layers and prints the closing line.

usage: summary.py FOLDER

Exit status 1 where a test failed, or where a layer ran none.
"""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def count(path: Path) -> tuple[int, int, int]:
    """Tests passed, failed and skipped in one JUnit file."""
    passed = failed = skipped = 0
    for case in ElementTree.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def main() -> int:
    totals = [0, 0, 0]
    empty = []
    files = sorted(Path(sys.argv[1]).rglob("*.xml"))
    for path in files:
        counts = count(path)
        print(
            f"{path.stem}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped"
        )
        if not any(counts):
            empty.append(path.stem)
        totals = [total + one for total, one in zip(totals, counts, strict=True)]
    if empty:
        print(f"no test ran in: {', '.join(empty)}")
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    return 1 if totals[1] or empty or not files else 0


if __name__ == "__main__":
    sys.exit(main())
