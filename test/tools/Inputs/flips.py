"""flips.py BYTECODE STEP [--keep FILE] COMMAND…: one flipped bit after another.

The command gets the damaged file in place of FILE. Each run must end with status 0
or 1; the kinds of messages about damage are printed, with --keep one that cannot be
read is kept.
"""

import collections
import pathlib
import subprocess
import sys
import tempfile

source, step, *command = sys.argv[1:]
keep = None
if command[0] == "--keep":
    keep = pathlib.Path(command[1])
    command = command[2:]
data = pathlib.Path(source).read_bytes()
kinds: collections.Counter = collections.Counter()
with tempfile.TemporaryDirectory() as folder:
    damaged = pathlib.Path(folder) / "damaged.mlirbc"
    for bit in range(8 * 4, 8 * len(data), int(step)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.write_bytes(flipped)
        done = subprocess.run(
            [str(damaged) if part == "FILE" else part for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )
        errors = done.stderr.decode(errors="replace")
        assert done.returncode in (0, 1), (bit, done.returncode, errors)
        assert done.returncode == 0 or errors, bit
        if "damaged bytecode: " in errors:
            kind = errors.split("damaged bytecode: ")[1].splitlines()[0]
            if keep and kind == "it cannot be read" and not kinds[kind]:
                keep.write_bytes(flipped)
            kinds[kind] += 1
for kind, count in sorted(kinds.items()):
    print(f"{kind}: {count}")
