"""Run a command with standard output full, then closed: status 1, one line."""

import os
import subprocess
import sys


def check(**how):
    """One run; what is wrong ends the test."""
    result = subprocess.run(sys.argv[1:], stderr=subprocess.PIPE, text=True, **how)
    lines = result.stderr.splitlines()
    good = len(lines) == 1 and "cannot write" in lines[0] and "LLVM" not in lines[0]
    if result.returncode != 1 or not good:
        sys.exit(f"status {result.returncode}, standard error:\n{result.stderr}")


with open("/dev/full", "w") as full:
    check(stdout=full)
check(preexec_fn=lambda: os.close(1))
