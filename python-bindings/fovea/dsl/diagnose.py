"""Messages for mods that cannot be traced: where, what, and what to write."""

from __future__ import annotations

import ast
import linecache
import os
import sys
import sysconfig
from dis import opname
from threading import get_ident
from types import CodeType, FrameType

import numpy as np

from ..errors import TraceError
from .bytecode import construct_at
from .graph import FLOAT_FUNCTIONS

__all__ = [
    "code_place",
    "frame_error",
    "is_library_file",
    "is_package_file",
    "plain_error",
    "refuse_in_mod",
    "running",
    "running_mods",
    "shown_name",
    "user_frame",
]

#: The mod that each thread is tracing, by its identity.
running_mods: dict[int, str] = {}

_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGE = os.path.dirname(_HERE)
_NUMPY = os.path.dirname(os.path.abspath(np.__file__)) + os.sep
_STDLIB = tuple(
    {os.path.abspath(sysconfig.get_path(k)) + os.sep for k in ("stdlib", "platstdlib")}
)
# Written in terms of mods, and so traced like the user's own code.
_TRACED_FILES = frozenset(
    (
        os.path.join(_HERE, "combine.py"),
        os.path.join(_PACKAGE, "_compose.py"),
        os.path.join(_PACKAGE, "normalizers.py"),
    )
)
_known_files: dict[str, bool] = {}


def is_library_file(name: str) -> bool:
    """Whether a file is the standard library's, NumPy's or our core's.

    Functions from there are called as they are, and messages skip them.
    """
    known = _known_files.get(name)
    if known is None:
        path = os.path.abspath(name)
        known = (
            name.startswith(("<frozen", "<__array_function__"))
            or (os.path.dirname(path) == _PACKAGE and path not in _TRACED_FILES)
            or (path.startswith(_HERE + os.sep) and path not in _TRACED_FILES)
            or path.startswith(_NUMPY)
            or (
                path.startswith(_STDLIB)
                and "site-packages" not in path
                and "dist-packages" not in path
            )
        )
        _known_files[name] = known
    return known


def is_package_file(name: str) -> bool:
    """Whether functions of a file are the package's, and traced."""
    return name in _TRACED_FILES


def code_place(code: CodeType) -> str:
    """ "file:line" of a function."""
    return f"{shown_name(code.co_filename)}:{code.co_firstlineno}"


def shown_name(file: str) -> str:
    """A file's name in a message, which can be printed."""
    return file.encode("utf-8", "backslashreplace").decode()


def user_frame() -> FrameType | None:
    """The innermost frame that is neither ours nor a library's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_library_file(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def is_subscript() -> bool:
    """Whether the user's current instruction is an index expression."""
    frame = user_frame()
    if frame is None:
        return False
    return "SUBSCR" in opname[frame.f_code.co_code[frame.f_lasti]]


def plain_error(where: str, place: str, problem: str) -> TraceError:
    """An error about a whole mod."""
    return TraceError(
        f"{where} ({place}): {problem}" if place else f"{where}: {problem}"
    )


def frame_error(
    where: str,
    problem: str,
    hint: str = "",
    *,
    test: str | None = None,
    kind: type[TraceError] = TraceError,
) -> TraceError:
    """An error at the user's current line.

    Parameters
    ----------
    where : str
        The mod, as `Region.where`.
    problem : str
        What is wrong. With `test`, a template with ``{what}``, which becomes
        the construct found in the source (`and`, `if`, `math.exp()`, …).
    hint : str
        What to write instead, where the source does not tell better.
    test : str, optional
        The traced expression that Python asked about.
    kind : type, optional
        The class of the error.
    """
    frame = user_frame()
    if frame is None:
        return kind(f"{where}: {problem.format(what='Python')}; {hint}".rstrip("; "))
    file, line = frame.f_code.co_filename, frame.f_lineno
    span = _span(frame)
    source = _source(file, line)
    node = owner = None
    if span is not None:
        opcode = opname[frame.f_code.co_code[frame.f_lasti]]
        node, owner = _find(file, span, "JUMP" in opcode or "NOT" in opcode)
    if test is not None:
        what, better = _unseen(frame) if owner is None else _construct(owner)
        problem = problem.format(what=what)
        hint = better or hint
    shown = owner if owner is not None and test is not None else node
    text = f"{where} ({shown_name(file)}:{line}): {problem}"
    if source:
        text += "\n    " + source.strip()
        marks = _carets(source, line, shown, span)
        if marks:
            text += "\n    " + marks
    if hint:
        text += f"\n  write instead: {hint}"
    return kind(text)


class running:
    """While a mod runs; what it asks for may trace another one.

    No `contextlib.contextmanager`: that sets an attribute of the mod's exceptions,
    which may refuse it.
    """

    __slots__ = ("_outer", "_where")

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        thread = get_ident()
        self._outer = running_mods.get(thread)
        running_mods[thread] = self._where

    def __exit__(self, *error: object) -> None:
        thread = get_ident()
        if self._outer is None:
            del running_mods[thread]
        else:
            running_mods[thread] = self._outer


def refuse_in_mod(name: str) -> None:
    """TraceError where this thread is tracing a mod, which must not call `name`."""
    where = running_mods.get(get_ident())
    if where is not None:
        raise frame_error(
            where,
            f"{name}() cannot be called inside a mod",
            "a call outside the mod, and its result as a captured array: table[q_idx]",
        )


def _source(file: str, line: int) -> str:
    try:
        return linecache.getline(file, line).rstrip()
    except UnicodeError:  # no file's name
        return ""


def _span(frame: FrameType) -> tuple[int, int, int, int] | None:
    for index, position in enumerate(frame.f_code.co_positions()):
        if index == frame.f_lasti // 2:
            return None if None in position else position  # type: ignore[return-value]
    return None


def _carets(source: str, line: int, node: ast.AST | None, span) -> str:
    if isinstance(node, ast.expr):
        span = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
    if span is None or span[0] != line:
        return ""
    raw = source.encode()
    end = span[3] if span[1] == line else len(raw)
    margin = len(source) - len(source.lstrip())
    start = len(raw[: span[2]].decode(errors="replace")) - margin
    width = len(raw[span[2] : end].decode(errors="replace"))
    return " " * start + "^" * max(1, width) if start >= 0 else ""


def _covers(node: ast.AST, span: tuple[int, int, int, int]) -> bool:
    if getattr(node, "lineno", None) is None:
        return False
    begin = (node.lineno, node.col_offset)
    end = (node.end_lineno, node.end_col_offset)
    return begin <= (span[0], span[2]) and (span[1], span[3]) <= end


def _find(
    file: str, span: tuple[int, int, int, int], truth: bool
) -> tuple[ast.AST | None, ast.AST | None]:
    """The node at `span` and the construct that asks it for a value.

    `truth` says that the construct asked for a truth value itself, so that
    calls and subscripts on the way up are only operands.
    """
    try:
        tree: ast.AST = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None, None
    path: list[ast.AST] = []
    inner: ast.AST | None = tree
    while inner is not None:
        path.append(inner)
        parent, inner = inner, None
        for child in ast.iter_child_nodes(parent):
            if _covers(child, span) or (
                not hasattr(child, "lineno")
                and any(_covers(part, span) for part in ast.iter_child_nodes(child))
            ):
                inner = child
                break
    node = path[-1]
    for candidate in reversed(path[1:]):
        owner = _owner(candidate)
        if truth and isinstance(owner, (ast.Call, ast.Subscript)):
            owner = None
        if owner is not None:
            return node, owner
        if isinstance(candidate, (ast.stmt, ast.Lambda)):
            break
    return node, None


def _owner(candidate: ast.AST) -> ast.AST | None:
    if isinstance(candidate, (ast.If, ast.While, ast.Assert)):
        test = candidate.test
        if isinstance(test, ast.BoolOp) or _is_chained(test) or _is_not(test):
            return test
        return candidate
    if isinstance(candidate, (ast.BoolOp, ast.IfExp, ast.Call, ast.comprehension)):
        return candidate
    if isinstance(candidate, ast.Match):
        return candidate
    if isinstance(candidate, (ast.Subscript, ast.For, ast.Starred, ast.Set, ast.Dict)):
        return candidate
    if _is_chained(candidate) or _is_not(candidate) or _is_membership(candidate):
        return candidate
    return None


def _is_chained(node: ast.AST) -> bool:
    return isinstance(node, ast.Compare) and len(node.ops) > 1


def _is_membership(node: ast.AST) -> bool:
    return isinstance(node, ast.Compare) and isinstance(
        node.ops[0], (ast.In, ast.NotIn)
    )


def _is_not(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _text(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 80 else text[:79] + "…"


def _construct(owner: ast.AST) -> tuple[str, str]:
    """What Python construct this is, and its replacement."""
    if isinstance(owner, ast.BoolOp):
        word, sign = ("and", "&") if isinstance(owner.op, ast.And) else ("or", "|")
        return f"`{word}`", f" {sign} ".join(f"({_text(v)})" for v in owner.values)
    if _is_not(owner):
        return "`not`", f"~({_text(owner.operand)})"  # type: ignore[attr-defined]
    if _is_membership(owner):
        return "`in`", "(x == a) | (x == b), or read a captured bool array: allowed[x]"
    if isinstance(owner, ast.Compare):
        return "a chained comparison", _unchained(owner)
    if isinstance(owner, ast.IfExp):
        a, c, b = _text(owner.body), _text(owner.test), _text(owner.orelse)
        return "`if`", f"fovea.ops.where({c}, {a}, {b})"
    if isinstance(owner, ast.Call):
        return _called(owner)
    if isinstance(owner, ast.Subscript):
        return (
            "indexing a Python sequence",
            f"table = np.array({_text(owner.value)}) outside the mod, then table[x]",
        )
    if isinstance(owner, ast.Match):
        return "`match`", "fovea.ops.where(x == value, …, …)"
    words = {ast.If: "if", ast.While: "while", ast.Assert: "assert", ast.For: "for"}
    word = words.get(type(owner))  # type: ignore[arg-type]
    if word in ("if", "while"):
        return f"`{word}`", "fovea.ops.where(condition, x, y)"
    if word is not None:
        return f"`{word}`", "an expression of fovea.ops"
    if isinstance(owner, ast.comprehension):
        return "a comprehension", "fovea.ops.where(condition, x, y)"
    return "Python", ""


def _unchained(node: ast.Compare) -> str:
    parts, left = [], node.left
    for middle in node.comparators[:-1]:
        if isinstance(middle, ast.BinOp) and isinstance(middle.op, _BITWISE):
            return _regrouped(node)
    for op, right in zip(node.ops, node.comparators, strict=True):
        pair = ast.Compare(left=left, ops=[op], comparators=[right])
        parts.append(f"({_text(pair)})")
        left = right
    return " & ".join(parts)


_SIGNS = {ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^"}
_BITWISE = tuple(_SIGNS)


def _regrouped(node: ast.Compare) -> str:
    """`a > b & c < d` as it was meant: `&` binds tighter than comparisons."""
    text, left = "", node.left
    last = len(node.ops) - 1
    for number, (op, right) in enumerate(zip(node.ops, node.comparators, strict=True)):
        sign = " & "
        following: ast.expr = right
        middle = right if number < last else None
        if isinstance(middle, ast.BinOp) and isinstance(middle.op, _BITWISE):
            sign = f" {_SIGNS[type(middle.op)]} "
            right, following = middle.left, middle.right
        pair = ast.Compare(left=left, ops=[op], comparators=[right])
        text += f"({_text(pair)})" + (sign if number < last else "")
        left = following
    return text


_CALLS = {
    "bool": "a comparison such as x != 0",
    "float": "the value itself; int with float gives a float",
    "int": "fovea.ops.to_int(x)",
    "min": "fovea.ops.minimum(x, y)",
    "max": "fovea.ops.maximum(x, y)",
    "any": "x | y",
    "all": "x & y",
    "round": "fovea.ops.floor(x + 0.5)",
    "range": "arithmetic on the index, or a loop over a Python constant",
    "floor": "fovea.ops.floor(x)",
    "ceil": "-fovea.ops.floor(-x)",
    "trunc": "fovea.ops.to_int(x)",
    "fabs": "abs(x)",
    "len": "array.shape[0]",
    "asarray": "the traced value itself; it is no array",
    "array": "the traced value itself; it is no array",
    "float32": "the value itself; mods compute in the score type",
    "float64": "the value itself; mods compute in the score type",
    "int64": "fovea.ops.to_int(x)",
    "int32": "fovea.ops.to_int(x)",
}
_OPS = FLOAT_FUNCTIONS | {"pow"}


def _called(node: ast.Call) -> tuple[str, str]:
    return _call_of(_text(node.func), ", ".join(map(_text, node.args)))


def _call_of(name: str, arguments: str) -> tuple[str, str]:
    last = name.rsplit(".", 1)[-1]
    if last in _CALLS:
        return f"`{name}()`", _CALLS[last]
    if last in _OPS:
        return f"`{name}()`", f"fovea.ops.{last}({arguments})"
    return f"`{name}()`", ""


_LOGIC = "(x) & (y) for `and`, (x) | (y) for `or`, ~(x) for `not`"
_WHERE = f"fovea.ops.where(condition, x, y); in the condition {_LOGIC}"
#: What there is without source: as `_construct` says it with.
_UNSEEN = {
    "and": ("`and`", "(x) & (y)"),
    "or": ("`or`", "(x) | (y)"),
    "and or": ("`and` or `or`", _LOGIC),
    "not": ("`not`", "~(x)"),
    "in": ("`in`", "(x == a) | (x == b), or read a captured bool array: allowed[x]"),
    "chain": ("a chained comparison", "(x <= y) & (y < z)"),
    "if": ("`if`", _WHERE),
    "while": ("`while`", "fovea.ops.where(condition, x, y)"),
    "assert": ("`assert`", "an expression of fovea.ops"),
    "comprehension": ("a comprehension", "fovea.ops.where(condition, x, y)"),
    "index": (
        "indexing a Python sequence",
        "table = np.array(…) outside the mod, then table[x]",
    ),
}


def _unseen(frame: FrameType) -> tuple[str, str]:
    """What Python construct the instruction is of, and its replacement."""
    kind, name = construct_at(frame)
    if name:
        return _call_of(name, "…")
    return _UNSEEN.get(kind, ("Python", ""))
