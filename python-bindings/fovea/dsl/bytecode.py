"""What a frame's instruction asks for, where there is no source or no column."""

from __future__ import annotations

import dis
from types import FrameType

__all__ = ["construct_at"]

_FINDS_NAMES = (
    "LOAD_GLOBAL",
    "LOAD_NAME",
    "LOAD_FAST",
    "LOAD_DEREF",
    "LOAD_CLASSDEREF",
)
_FINDS_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
_COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
_COMPARES_TRUTH = 16  # of COMPARE_OP's argument, from Python 3.13 on


def construct_at(frame: FrameType) -> tuple[str, str]:
    """The kind of construct that asks, and of a call the name of what is called.

    Returns
    -------
    tuple of str
        "and", "or", "and or" (one of the two), "not", "in", "chain", "if", "while",
        "assert", "comprehension", "index" or "call"; "" where it is none of them.
    """
    code = [i for i in dis.get_instructions(frame.f_code) if i.opname != "EXTENDED_ARG"]
    at = next((n for n, i in enumerate(code) if i.offset == frame.f_lasti), None)
    if at is None:
        return "", ""
    name = code[at].opname
    if name == "UNARY_NOT":
        return "not", ""
    if name == "CONTAINS_OP":
        return "in", ""
    if "SUBSCR" in name or (name == "BINARY_OP" and code[at].argrepr == "[]"):
        return "index", ""
    if name.startswith("CALL"):
        return "call", _called(code, at)
    truth = _jump_of(code, at)
    return ("", "") if truth is None else (_of_jump(frame, code, truth), "")


def _is_conditional(instruction: dis.Instruction) -> bool:
    name = instruction.opname
    return "JUMP" in name and ("IF_TRUE" in name or "IF_FALSE" in name)


def _jump_of(code: list[dis.Instruction], at: int) -> int | None:
    """The conditional jump that the instruction is, or makes a truth value for."""
    name = code[at].opname
    asks = name == "COMPARE_OP" and (code[at].arg or 0) & _COMPARES_TRUTH
    if name == "TO_BOOL" or asks:
        at += 1
    return at if at < len(code) and _is_conditional(code[at]) else None


def _before(code: list[dis.Instruction], at: int) -> int:
    """The instruction before a jump that gives what it asks about."""
    at -= 1
    return at - 1 if at >= 0 and code[at].opname == "TO_BOOL" else at


def _of_jump(frame: FrameType, code: list[dis.Instruction], at: int) -> str:
    name, tested = code[at].opname, _before(code, at)
    is_copy = code[tested].opname == "COPY" and code[tested].arg == 1
    last = tested - 1 if is_copy else tested
    if code[last].opname == "COMPARE_OP" and last >= 2:
        swap, copy = code[last - 2], code[last - 1]
        if (swap.opname, swap.arg) == ("SWAP", 2) and copy.opname == "COPY":
            return "chain"
    if "OR_POP" in name or (is_copy and code[at + 1].opname == "POP_TOP"):
        return "and" if "IF_FALSE" in name else "or"
    if code[at + 1].opname == "LOAD_ASSERTION_ERROR":
        return "assert"
    target = code[at].argval
    if frame.f_code.co_name in _COMPREHENSIONS:
        return "comprehension"
    if target < code[at].offset:
        return "if"
    inside = [i for i in code[at + 1 :] if i.offset < target]
    if inside and _is_conditional(inside[-1]) and inside[-1].argval > target:
        return "and or"
    return "while" if any(_goes_back(i, code[at + 1]) for i in inside) else "if"


def _goes_back(instruction: dis.Instruction, body: dis.Instruction) -> bool:
    if "JUMP" not in instruction.opname or instruction.argval is None:
        return False
    is_back = instruction.argval < instruction.offset
    # To the test of the loop, or behind it: the test is repeated at the end.
    return is_back and instruction.argval == body.offset


def _called(code: list[dis.Instruction], at: int) -> str:
    """The name of what a call calls; empty where it is computed."""
    call = code[at]
    if call.opname not in ("CALL", "CALL_KW") or call.arg is None:
        return ""
    wanted = call.arg + (call.opname == "CALL_KW")
    place = at - 1
    while place >= 0 and code[place].opname in ("PRECALL", "KW_NAMES", "CACHE"):
        place -= 1
    while place >= 0 and wanted > 0:
        if "JUMP" in code[place].opname:
            return ""
        wanted -= dis.stack_effect(code[place].opcode, code[place].arg)
        place -= 1
    while place >= 0 and code[place].opname == "PUSH_NULL":
        place -= 1
    if wanted or place < 0:
        return ""
    found = code[place]
    if found.opname.startswith(_FINDS_NAMES):
        return str(found.argval)
    if found.opname not in _FINDS_ATTRIBUTES:
        return ""
    parts = [str(found.argval)]
    while place > 0 and code[place - 1].opname in _FINDS_ATTRIBUTES:
        place -= 1
        parts.append(str(code[place].argval))
    if place > 0 and code[place - 1].opname.startswith(_FINDS_NAMES):
        parts.append(str(code[place - 1].argval))
    return ".".join(reversed(parts))
