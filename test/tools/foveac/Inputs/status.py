"""Run a command and compare its exit status: status.py STATUS COMMAND ..."""

import subprocess
import sys

result = subprocess.run(sys.argv[2:], capture_output=True, check=False)
sys.exit(result.returncode != int(sys.argv[1]))
