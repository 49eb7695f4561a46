"""comma_locale.py FOLDER: a locale "comma" whose numbers read 1,5.

For LOCPATH=FOLDER LC_NUMERIC=comma. Machines rarely have such a locale installed, so
glibc's compiled form is written here.
"""

import pathlib
import struct
import sys


def write(folder):
    """The file of LC_NUMERIC: number of fields, their offsets, the fields."""
    fields = [b",\0", b".\0", b"\3\3\0\0", b",\0\0\0", b".\0\0\0", b"ANSI_X3.4-1968\0"]
    offsets, at = [], 8 + 4 * len(fields)
    for field in fields:
        offsets.append(at)
        at += len(field)
    header = struct.pack(f"<{2 + len(fields)}I", 0x20031114, len(fields), *offsets)
    path = pathlib.Path(folder) / "comma" / "LC_NUMERIC"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + b"".join(fields))


if __name__ == "__main__":
    write(sys.argv[1])
