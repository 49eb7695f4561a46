#!/usr/bin/env python3
"""What the machine code of a Hopper kernel looks like, for tests.

    python test/sass/properties.py kernel.cubin          one line a property
    python test/sass/properties.py kernel.cubin --json

The properties that decide speed (products in the loop, no register moved to the
uniform file, no spill, no mask code among full tiles) and a lint of products in
flight: nothing may touch their accumulators, nor write their A operands.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import re
import shutil
import site
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

__all__ = [
    "Hazard",
    "Instruction",
    "Listing",
    "Loop",
    "disassemble",
    "early_accesses",
    "find_nvdisasm",
    "hazards",
    "parse",
    "product_loops",
    "properties",
]

_INSTRUCTION = re.compile(r"\s*/\*([0-9a-f]{4,})\*/\s+(.*?)\s*;")
_LABEL = re.compile(r"(\.L_[\w$]+|[A-Za-z_$][\w$]*):\s*$")
_PREDICATE = re.compile(r"@(!?U?P[\dT]+)\s+")
_TARGET = re.compile(r"`\((\.L_[\w$]+)\)")
_REGISTER = re.compile(r"(?<![\w.])R(\d+)\b")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its address, guard ("" without one) and text."""

    address: int
    guard: str
    text: str

    @cached_property
    def opcode(self) -> str:
        """With all modifiers: "LDG.E.128"."""
        return self.text.split(None, 1)[0]

    @property
    def name(self) -> str:
        """Without modifiers: "LDG"."""
        return self.opcode.partition(".")[0]

    @cached_property
    def operands(self) -> str:
        parts = self.text.split(None, 1)
        return parts[1] if len(parts) > 1 else ""

    @property
    def target(self) -> str | None:
        """The label that it names, if it may jump there."""
        if self.name in ("BSSY", "WARPSYNC"):
            return None
        found = _TARGET.search(self.operands)
        return found.group(1) if found else None

    @property
    def always_jumps(self) -> bool:
        if self.guard or self.name not in ("BRA", "RET", "EXIT", "BRX", "JMP"):
            return False
        # BRA.DIV, BRA.U.ANY and "BRA P0, ..." may fall through.
        plain = self.opcode in ("BRA", "RET", "EXIT", "BRX", "JMP")
        rest = self.opcode.startswith(("RET.", "EXIT"))
        return rest or (plain and not re.match(r"!?U?P\d", self.operands))

    @property
    def never_runs(self) -> bool:
        return self.guard in ("!PT", "!UPT")


@dataclass
class Listing:
    """The instructions of one kernel and where its labels stand."""

    instructions: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)

    def successors(self, index: int) -> Iterator[int]:
        instruction = self.instructions[index]
        target = instruction.target
        if target in self.labels and instruction.name not in ("RET", "CALL"):
            yield self.labels[target]
        if not instruction.always_jumps and index + 1 < len(self.instructions):
            yield index + 1


@dataclass(frozen=True)
class Loop:
    """Instructions from a label to the jump back to it."""

    start: int
    instructions: tuple[Instruction, ...]

    @cached_property
    def counts(self) -> collections.Counter:
        return collections.Counter(i.name for i in self.instructions)

    def __len__(self) -> int:
        return len(self.instructions)

    @property
    def products(self) -> int:
        return self.counts["HGMMA"]

    @property
    def local_accesses(self) -> int:
        return self.counts["LDL"] + self.counts["STL"]

    @property
    def shared_stores(self) -> int:
        """Stores to shared memory that may run; guarded ones pin the order of
        others and are not counted."""
        names = ("STS", "STSM")
        return sum(i.name in names and not i.guard for i in self.instructions)

    @property
    def work_before_last_wait(self) -> int:
        """Multiply-adds ahead of the last wait for products: the exponents that
        are computed while the outputs are in flight."""
        waits = [
            number
            for number, i in enumerate(self.instructions)
            if i.opcode.startswith("WARPGROUP.DEPBAR")
        ]
        ahead = self.instructions[: waits[-1] if waits else 0]
        return sum(i.name == "FFMA" for i in ahead)

    @property
    def mask_operations(self) -> int:
        """Selections of scores, by comparison or by a bit of a word."""
        return self.counts["FSEL"] + self.counts["R2P"]


def find_nvdisasm() -> str | None:
    """NVDISASM, pip's nvidia-cuda-nvdisasm of this Python, or PATH."""
    own = os.environ.get("NVDISASM")
    if own:
        return own
    for folder in [*site.getsitepackages(), *sys.path]:
        for found in sorted(Path(folder).glob("nvidia/cu*/bin/nvdisasm")):
            return str(found)
    return shutil.which("nvdisasm")


def disassemble(cubin: Path) -> str:
    """The text of a cubin; RuntimeError where there is no nvdisasm."""
    program = find_nvdisasm()
    if program is None:
        raise RuntimeError("no nvdisasm: pip install nvidia-cuda-nvdisasm")
    done = subprocess.run([program, "-c", str(cubin)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"nvdisasm: {done.stderr.strip()}")
    return done.stdout


def _kernels(text: str) -> list[str]:
    """What stands ahead of all kernels, and the part of each."""
    return re.split(r"^//-+ \.text\.", text, flags=re.MULTILINE)


def _main_kernel(text: str) -> str:
    """The part of the kernel with matrix products; all, where none has any."""
    return next((part for part in _kernels(text) if "HGMMA" in part), text)


def parse(text: str) -> Listing:
    """Read what `nvdisasm -c` prints for a cubin: of its one kernel with matrix
    products, beside those that run before."""
    return _parse_kernel(_main_kernel(text))


def _parse_kernel(text: str) -> Listing:
    listing = Listing()
    for line in text.splitlines():
        found = _INSTRUCTION.match(line)
        if found:
            body, guard = found.group(2), ""
            predicate = _PREDICATE.match(body)
            if predicate:
                guard, body = predicate.group(1), body[predicate.end() :]
            address = int(found.group(1), 16)
            listing.instructions.append(Instruction(address, guard, body.strip()))
            continue
        label = _LABEL.match(line.strip())
        if label:
            listing.labels[label.group(1)] = len(listing.instructions)
    return listing


def _dominators(listing: Listing) -> list[int]:
    """For each instruction the one that every path to it passes last; -1 where
    none is known (the first one, dead code)."""
    order, seen, stack = [], {0}, [(0, iter(listing.successors(0)))]
    while stack:
        index, following = stack[-1]
        for other in following:
            if other not in seen:
                seen.add(other)
                stack.append((other, iter(listing.successors(other))))
                break
        else:
            order.append(index)
            stack.pop()
    number = {index: place for place, index in enumerate(order)}
    before: dict[int, list[int]] = {index: [] for index in order}
    for index in order:
        for other in listing.successors(index):
            before[other].append(index)
    immediate = {0: 0}

    def meet(a: int, b: int) -> int:
        while a != b:
            while number[a] < number[b]:
                a = immediate[a]
            while number[b] < number[a]:
                b = immediate[b]
        return a

    changed = True
    while changed:
        changed = False
        for index in reversed(order[:-1]):
            known = [p for p in before[index] if p in immediate]
            best = known[0]
            for other in known[1:]:
                best = meet(best, other)
            changed |= immediate.get(index) != best
            immediate[index] = best
    count = len(listing.instructions)
    return [-1] + [immediate.get(index, -1) for index in range(1, count)]


def _dominates(immediate: list[int], a: int, b: int) -> bool:
    while b > a or (b != a and b != -1):
        b = immediate[b]
        if b == -1:
            return False
    return a == b


def product_loops(listing: Listing) -> list[Loop]:
    """The innermost loops that hold matrix products, the shortest first.

    A loop is a jump back to an instruction that every path to the jump passes;
    ptxas puts the retries of waits out of line, whose jumps back are none.
    """
    if not listing.instructions:
        return []
    immediate = _dominators(listing)
    spans = set()
    for end, instruction in enumerate(listing.instructions):
        start = listing.labels.get(instruction.target or "", end + 1)
        if start > end or not _dominates(immediate, start, end):
            continue
        if any(i.name == "HGMMA" for i in listing.instructions[start : end + 1]):
            spans.add((start, end))
    inner = [
        (a, b)
        for a, b in spans
        if not any((a, b) != (c, d) and a <= c and d <= b for c, d in spans)
    ]
    loops = [
        Loop(listing.instructions[a].address, tuple(listing.instructions[a : b + 1]))
        for a, b in sorted(inner)
    ]
    return sorted(loops, key=len)


# ---- products in flight ----------------------------------------------------


@dataclass(frozen=True)
class Hazard:
    """An instruction that disturbs a product in flight."""

    address: int
    kind: str  # "touches an accumulator" or "writes an A operand"
    text: str


#: Sets of A registers and of accumulators, a group each, oldest first; the last
#: group is not committed yet.
_Group = tuple[frozenset, frozenset]
_State = tuple[_Group, ...]
_EMPTY: _Group = (frozenset(), frozenset())
_GROUPS = 8

_NO_DESTINATION = frozenset(
    {
        "ATOMS",
        "BAR",
        "BRA",
        "CCTL",
        "DEPBAR",
        "DSETP",
        "ERRBAR",
        "EXIT",
        "FENCE",
        "FSETP",
        "HSETP2",
        "ISETP",
        "LDGDEPBAR",
        "LDGSTS",
        "MEMBAR",
        "NOP",
        "PLOP3",
        "R2P",
        "R2UR",
        "RED",
        "ST",
        "STG",
        "STL",
        "STS",
        "STSM",
        "SYNCS",
        "UBLKCP",
        "UISETP",
        "UTMACMDFLUSH.split(",
        "UTMALDG",
        "UTMAPF",
        "UTMASTG",
        "VOTE",
        "WARPGROUP",
        "WARPSYNC",
    }
)


def _span(first: int, count: int) -> frozenset:
    return frozenset(range(first, first + count))


def _width(instruction: Instruction) -> int:
    """Registers of the value that is moved."""
    opcode = instruction.opcode
    if ".128" in opcode or ".x4" in opcode or ".M88.4" in opcode:
        return 4
    if ".64" in opcode or ".WIDE" in opcode or instruction.name in ("DADD", "DFMA"):
        return 2
    return 2 if instruction.name == "CS2R" and ".32" not in opcode else 1


def _written(instruction: Instruction) -> frozenset:
    if instruction.name in _NO_DESTINATION:
        return frozenset()
    found = re.match(r"(?:!?U?PT?\d*,\s*)?R(\d+)\b", instruction.operands)
    return _span(int(found.group(1)), _width(instruction)) if found else frozenset()


def _touched(instruction: Instruction) -> frozenset:
    registers = [int(r) for r in _REGISTER.findall(instruction.operands)]
    touched = frozenset(registers) | _written(instruction)
    if instruction.name in ("ST", "STG", "STS", "STL", "STSM") and registers:
        touched |= _span(registers[-1], _width(instruction))
    return touched


def _product(instruction: Instruction) -> _Group:
    """A registers (if A is in registers) and accumulators of an HGMMA.

    Where paths of products meet, ptxas ends their group by a product of nothing.
    """
    if instruction.operands.startswith("RZ, gdesc[URZ], RZ, !UPT"):
        return _EMPTY
    shape = re.search(r"\.64x(\d+)x", instruction.opcode)
    operands = re.match(r"R(\d+),\s*(?:R(\d+)|gdesc)", instruction.operands)
    if not shape or not operands:
        raise ValueError(f"unknown form of a product: {instruction.text}")
    a = operands.group(2)
    return (
        _span(int(a), 4) if a else frozenset(),
        _span(int(operands.group(1)), int(shape.group(1)) // 2),
    )


def _after_product(state: _State, instruction: Instruction) -> _State:
    a, acc = _product(instruction)
    last = state[-1]
    state = (*state[:-1], (last[0] | a, last[1] | acc))
    if "gsb0" not in instruction.operands:
        return state
    if len(state) > _GROUPS:  # the oldest two as one: only their waits are told apart
        merged = (state[0][0] | state[1][0], state[0][1] | state[1][1])
        state = (merged, *state[2:])
    return (*state, _EMPTY)


def _after_wait(state: _State, instruction: Instruction) -> _State:
    kept = int(re.search(r"gsb0, 0x([0-9a-f]+)", instruction.operands).group(1), 16)
    groups = state[:-1]
    return (*groups[len(groups) - kept if kept else len(groups) :], state[-1])


def _step(state: _State, instruction: Instruction, found: dict[int, Hazard]) -> _State:
    if instruction.name == "HGMMA":
        return _after_product(state, instruction)
    if instruction.opcode.startswith("WARPGROUP.DEPBAR"):
        return _after_wait(state, instruction)
    if instruction.never_runs or instruction.target or state == (_EMPTY,):
        return state
    operands = frozenset().union(*(group[0] for group in state))
    accumulators = frozenset().union(*(group[1] for group in state))
    kind = ""
    if _touched(instruction) & accumulators:
        kind = "touches an accumulator"
    elif _written(instruction) & operands:
        kind = "writes an A operand"
    if kind:
        hazard = Hazard(instruction.address, kind, instruction.text)
        found.setdefault(instruction.address, hazard)
    return state


def hazards(listing: Listing) -> list[Hazard]:
    """Follow every path through the kernel with the products in flight."""
    found: dict[int, Hazard] = {}
    seen: set[tuple[int, _State]] = set()
    work: list[tuple[int, _State]] = [(0, (_EMPTY,))] if listing.instructions else []
    while work:
        index, state = work.pop()
        while (index, state) not in seen:
            seen.add((index, state))
            state = _step(state, listing.instructions[index], found)
            following = list(listing.successors(index))
            if not following:
                break
            work += [(other, state) for other in following[1:]]
            index = following[0]
    return [found[address] for address in sorted(found)]


# ---- launches that begin beside others ---------------------------------------

_GLOBAL = re.compile(
    r"(LD|ST|LDG|STG|LDGSTS|ATOM|ATOMG|RED|REDG|UBLKCP|UTMA(LDG|STG|REDG|PF))$"
)


def early_accesses(text: str) -> list[str]:
    """Accesses to global memory, of all kernels of a cubin, that may run before
    the launch ahead has ended, and ways to the end without having waited."""
    found = []
    for part in _kernels(text)[1:]:
        listing, kernel = _parse_kernel(part), part.split(None, 1)[0]
        seen, work = set(), [0] if listing.instructions else []
        while work:
            index = work.pop()
            instruction = listing.instructions[index]
            waits = instruction.name == "ACQBULK" and not instruction.guard
            if index in seen or waits:
                continue
            seen.add(index)
            ends = instruction.name == "EXIT"
            if (_GLOBAL.match(instruction.name) or ends) and not instruction.never_runs:
                found.append(f"{kernel}: {instruction.text}")
            work += listing.successors(index)
    return sorted(found)


# ---- all together ----------------------------------------------------------


def properties(text: str) -> dict:
    """What tests ask of a kernel; `loops` are sorted, full tiles first."""
    listing = parse(text)
    loops = product_loops(listing)
    counts = collections.Counter(i.name for i in listing.instructions)
    return {
        "instructions": len(listing.instructions),
        "products": counts["HGMMA"],
        "local_accesses": counts["LDL"] + counts["STL"],
        "hazards": [vars(h) for h in hazards(listing)],
        "early_accesses": early_accesses(text),
        "loops": [
            {
                "start": loop.start,
                "instructions": len(loop),
                "products": loop.products,
                "r2ur": loop.counts["R2UR"],
                "local_accesses": loop.local_accesses,
                "shared_stores": loop.shared_stores,
                "mask_operations": loop.mask_operations,
                "work_before_last_wait": loop.work_before_last_wait,
                "mufu": loop.counts["MUFU"],
                "branches": loop.counts["BRA"],
                "histogram": dict(loop.counts.most_common()),
            }
            for loop in loops
        ],
    }


def _print(found: dict) -> None:
    for key in ("instructions", "products", "local_accesses"):
        print(f"{key}: {found[key]}")
    print(f"hazards: {len(found['hazards'])}")
    for hazard in found["hazards"][:8]:
        print(f"  {hazard['address']:#x} {hazard['kind']}: {hazard['text']}")
    for number, loop in enumerate(found["loops"]):
        for key, value in loop.items():
            if key not in ("histogram", "start"):
                print(f"loop {number} {key}: {value}")
        text = " ".join(f"{name}={n}" for name, n in loop["histogram"].items())
        print(f"loop {number} histogram: {text}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cubin", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = properties(disassemble(options.cubin))
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        _print(found)
    return 1 if found["hazards"] else 0


if __name__ == "__main__":
    sys.exit(main())
