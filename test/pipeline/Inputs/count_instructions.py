"""Count the instructions of LLVM IR text, and fail above a budget."""

import re
import sys


def main() -> int:
    """Read IR from standard input; the budget is the first argument."""
    budget = int(sys.argv[1])
    instruction = re.compile(r"^  (%\S+ = )?[a-z]")
    count = sum(bool(instruction.match(line)) for line in sys.stdin)
    print(f"{count} instructions, budget {budget}")
    return 0 if 0 < count <= budget else 1


if __name__ == "__main__":
    sys.exit(main())
