"""Import of an export is the identity: law.py FILE.attn ..."""

import subprocess
import sys


def translate(option: str, text: str) -> str:
    """What fovea-translate makes of the text."""
    command = ["fovea-translate", option, "-"]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, check=True
    ).stdout


for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        module = translate("--import-attn", file.read())
    text = translate("--export-attn", module)
    if translate("--import-attn", text) != module:
        sys.exit(f"{path}: another module comes from\n{text}")
print(f"{len(sys.argv) - 1} files")
