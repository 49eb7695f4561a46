"""Checks that each constraint label of a dialect is cited by a negative test.

usage: check_labels.py INVALID.mlir ODS.td ...
"""

import re
import sys
from pathlib import Path

# Labels whose breach the op's declared types already refuse to parse are cited
# in the test file all the same.
tests, *ods = (Path(argument).read_text() for argument in sys.argv[1:])
declared = [
    rule
    for text in ods
    for rule in re.findall(r"^\s*- \((C\d+)\) (.*)", text, re.MULTILINE)
]
cited = set(re.findall(r"//\s*((?:C\d+(?:,\s*)?)+)", tests))
cited = {label for group in cited for label in re.findall(r"C\d+", group)}
# An op may have a rule of another one, in the same words or "as `op`".
rules = {(label, rule) for label, rule in declared if not rule.startswith("as `")}
labels = [label for label, _ in rules]
shared = {label for label in labels if labels.count(label) > 1}
missing = sorted({label for label, _ in declared} - cited)
if not declared or shared or missing:
    sys.exit(
        f"{sys.argv[1]}: {len(rules)} rules, a label with two of them: "
        f"{sorted(shared)}, without a negative test: {missing}"
    )
