"""Checks that each constraint label of an ODS file is cited by a negative test.

usage: check_labels.py OPS.td INVALID.mlir
"""

import re
import sys
from pathlib import Path

# Labels whose breach the op's declared types already refuse to parse are cited
# in the test file all the same.
ods, tests = (Path(argument).read_text() for argument in sys.argv[1:3])
declared = re.findall(r"^\s*- \((C\d+)\)", ods, re.MULTILINE)
cited = set(re.findall(r"//\s*((?:C\d+(?:,\s*)?)+)", tests))
cited = {label for group in cited for label in re.findall(r"C\d+", group)}
duplicates = {label for label in declared if declared.count(label) > 1}
missing = [label for label in declared if label not in cited]
if not declared or duplicates or missing:
    sys.exit(
        f"{sys.argv[1]}: {len(declared)} labels, declared twice: "
        f"{sorted(duplicates)}, without a negative test: {missing}"
    )
