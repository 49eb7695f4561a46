"""``fovea explain|tune FILE[:variant] --shape B=1,Hq=8,Hk=8,M=1024,N=1024,D=64``."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from typing import TYPE_CHECKING

from ._checks import MAX_HEAD_DIM

if TYPE_CHECKING:
    from ._compiler import Compiled
    from ._explain_mask import MaskReport
    from ._variant import Variant

_SIZES = ("B", "Hq", "Hk", "M", "N", "D", "E")
_LARGEST = 1 << 40
_LARGEST_TILE = 1 << 62
#: What runs of keys have room for.
_LONGEST = (1 << 29) - 1


class _Usage(Exception):
    """Wrong options: exit status 2."""


def _shape(text: str) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for part in text.split(","):
        name, sign, number = part.strip().partition("=")
        if not name.isidentifier() or not sign:
            raise _Usage(f"--shape: must look like B=1,Hq=8,...,D=64, got {part!r}")
        if name in sizes:
            raise _Usage(f"--shape: {name} is given twice")
        try:
            sizes[name] = int(number)
        except ValueError:
            raise _Usage(f"--shape: {name} must be an int, got {number!r}") from None
        if not 0 <= sizes[name] <= _LARGEST:
            raise _Usage(f"--shape: {name} must be in 0...2^40, got {sizes[name]}")
    if "D" not in sizes:
        raise _Usage(f"--shape: must name D, got {text!r}")
    for name, low in (("D", 1), ("E", 0)):
        if not low <= sizes.get(name, low) <= MAX_HEAD_DIM:
            raise _Usage(
                f"--shape: {name} must be in {low}...{MAX_HEAD_DIM}, got {sizes[name]}"
            )
    return sizes


def _define(text: str) -> tuple[str, object]:
    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise _Usage(f"-D: must look like W=64, got {text!r}")
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    if value in ("true", "false"):
        return name, value == "true"
    raise _Usage(f"-D: {name} must be a number, true or false, got {value!r}")


def _block_size(text: str) -> tuple[int, int]:
    parts = text.split(",")
    try:
        sizes = [int(part) for part in parts]
    except ValueError:
        sizes = []
    if len(sizes) not in (1, 2) or min(sizes) < 1:
        raise _Usage(f"--block-size: must be Q or Q,KV, got {text!r}")
    if max(sizes) > _LARGEST_TILE:
        raise _Usage(f"--block-size: must be at most 2^62, got {max(sizes)}")
    return sizes[0], sizes[-1]


def _arrays(settings: list[str]) -> dict[str, object]:

    arrays = {}
    for text in settings:
        name, sign, path = text.partition("=")
        if not sign or not name.isidentifier():
            raise _Usage(f"--set: must look like slope=slope.npy, got {text!r}")
        arrays[name] = _load_array(path)
    return arrays


def _load_array(path: str) -> object:
    import numpy as np

    try:
        array = np.load(path, allow_pickle=False)
    except (EOFError, ValueError):
        array = None
    if not isinstance(array, np.ndarray):
        raise _Usage(f"--set: {path} must be a file that numpy.save wrote")
    return array


def _complete(sizes: dict[str, int]) -> dict[str, int]:
    """All sizes of a shape that names M or N."""
    sizes = {"B": 1, "Hq": 1, "E": sizes["D"], **sizes}
    sizes.setdefault("Hk", sizes["Hq"])
    for name, other in (("M", "N"), ("N", "M")):
        sizes.setdefault(name, sizes.get(other, 0))
    for name in ("B", "Hq", "Hk"):
        if sizes[name] < 1:
            raise _Usage(f"--shape: {name} must be at least 1, got {sizes[name]}")
    for name in ("M", "N"):
        if sizes[name] > _LONGEST:
            raise _Usage(
                f"--shape: {name} must be at most {_LONGEST}, got {sizes[name]}"
            )
    if sizes["Hq"] % sizes["Hk"]:
        raise _Usage(
            "--shape: Hq must be a multiple of Hk, "
            f"got Hq={sizes['Hq']} and Hk={sizes['Hk']}"
        )
    return sizes


def _report(
    variant: Variant,
    sizes: dict[str, int],
    defines: dict[str, object],
    arguments: argparse.Namespace,
    kernel: Compiled,
) -> tuple[list[str], MaskReport]:
    """What is printed of the mask."""
    sizes = _complete(sizes)
    report, notes = variant.explain_mask(
        sizes,
        dtype=arguments.dtype,
        block_size=_block_size(arguments.block_size),
        captures={**defines, **_arrays(arguments.set)},
    )
    lines = report.lines()
    lines.append(report.roofline(kernel.info))
    for name, note in notes.items():
        lines.append(f"  {name}: {note}; give values with --set {name}={name}.npy")
    return lines, report


def _expect_writable(path: str | None) -> None:
    """Refuse a file that cannot be written before any work is done for it."""
    if path is None:
        return
    new = not os.path.lexists(path)
    if not (new or os.path.isfile(path) or os.path.isdir(path)):
        return  # a device or a pipe, which an attempt could disturb
    with open(path, "a", encoding="utf-8"):
        pass
    if new:
        os.unlink(path)


def _load(file: str) -> Variant:
    """What FILE[:variant] names; "-" is standard input."""
    from ._variant import UnknownVariant, load, read

    path, name = file, ""
    if ":" in file and not os.path.exists(file):
        path, _, name = file.rpartition(":")
    try:
        if path == "-":
            return read(sys.stdin.buffer, "<stdin>", name or None)
        return load(path, name or None)
    except UnknownVariant as error:
        listed = ", ".join(error.names) or "none"
        if name:
            text = f"has no variant {name!r}, there is: {listed}"
        elif error.names:
            text = f"holds several variants, name one of: {listed} ({path}:NAME)"
        else:
            text = "holds no variant"
        raise ValueError(f"{path}: {text}") from None


def _explain(arguments: argparse.Namespace) -> None:
    sizes = _shape(arguments.shape)
    for path in (arguments.png, arguments.html):
        _expect_writable(path)
    defines = dict(_define(text) for text in arguments.define)
    variant = _load(arguments.file)
    options = {
        "D": sizes["D"],
        "E": sizes.get("E"),
        "dtype": arguments.dtype,
        "target": arguments.target,
    }
    lines, report = [variant.explain(params=defines, **options)], None
    kernel = variant.compile(captures=defines, **options)
    if "M" in sizes or "N" in sizes:
        compiled = kernel._state[1]
        more, report = _report(variant, sizes, defines, arguments, compiled)
        lines += more
    elif others := [name for name in sizes if name not in _SIZES]:
        raise _Usage(f"--shape: must name M or N beside {others[0]}")
    elif arguments.png or arguments.set:
        raise _Usage("--png, --set: --shape must name M or N")
    print("\n".join(lines))
    if report:
        print(report.picture())
    if arguments.png:
        from ._explain_mask import png

        with open(arguments.png, "wb") as file:
            file.write(png(report.mask))
        print(f"picture: {arguments.png}")
    if arguments.html:
        from ._explain_html import page

        mask = report.mask if report else None
        text = page(variant.name, "\n".join(lines), mask, kernel.ir)
        with open(arguments.html, "w", encoding="utf-8") as file:
            file.write(text)
        print(f"page: {arguments.html}")


def _tune(arguments: argparse.Namespace) -> None:
    from ._tune import lines, tune

    sizes = _shape(arguments.shape)
    if "M" not in sizes and "N" not in sizes:
        raise _Usage(f"--shape: must name M or N, got {arguments.shape!r}")
    if others := [name for name in sizes if name not in _SIZES]:
        raise _Usage(f"--shape: must name {', '.join(_SIZES)} alone, got {others[0]}")
    sizes = _complete(sizes)
    for name in ("M", "N", "E"):
        if sizes[name] < 1:
            raise _Usage(f"--shape: {name} must be at least 1, got {sizes[name]}")
    if not 0 < arguments.seconds <= 3600:
        raise _Usage(
            f"--seconds: must be above 0 and at most 3600, got {arguments.seconds:g}"
        )
    if arguments.target == "interpreter":
        raise _Usage(
            "--target: must be a CPU, whose schedules are measured, got 'interpreter'"
        )
    _expect_writable(arguments.output)
    defines = dict(_define(text) for text in arguments.define)
    found = tune(
        _load(arguments.file),
        sizes,
        dtype=arguments.dtype,
        target=arguments.target,
        captures={**defines, **_arrays(arguments.set)},
        seconds=arguments.seconds,
    )
    print("\n".join(lines(found)))
    if arguments.output:
        with open(arguments.output, "w", encoding="utf-8") as file:
            file.write(json.dumps(found, indent=1) + "\n")
        print(f"tuning: {arguments.output}")


def _message(error: Exception) -> str:
    """One line about an error; what is wrong in a file starts with its place."""
    from .errors import ParseError

    if isinstance(error, ParseError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"fovea: error: {error.filename}: {error.strerror}"
    return f"fovea: error: {error}"


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="fovea", description="Fovea's command line.")
    commands = parser.add_subparsers(dest="command", required=True)
    explain = commands.add_parser(
        "explain", help="what a variant compiles to: schedule, captures, cost, mask"
    )
    tuner = commands.add_parser(
        "tune", help="measure schedules of the CPU on one shape, beside the default"
    )
    for command in (explain, tuner):
        command.add_argument("file", metavar="FILE[:variant]")
        command.add_argument("--shape", required=True, metavar="B=1,Hq=8,...,D=64")
        command.add_argument(
            "--dtype", default="f32", choices=["f16", "bf16", "f32", "f64"]
        )
        command.add_argument("--target", default=None)
        command.add_argument(
            "--set", action="append", default=[], metavar="NAME=FILE.npy",
            help="values of a capture",
        )  # fmt: skip
        command.add_argument("-D", dest="define", action="append", default=[])
    explain.set_defaults(run=_explain)
    tuner.set_defaults(run=_tune)
    tuner.add_argument(
        "--seconds", type=float, default=10.0,
        help="bound on the measuring, compilations not counted (default: 10); "
        "schedules that it has no time for are left out",
    )  # fmt: skip
    tuner.add_argument(
        "--output", metavar="FILE",
        help="the measurements as JSON; FOVEA_TUNING names a file of fovea tune or a "
        "folder of them (*.json)",
    )  # fmt: skip
    explain.add_argument("--block-size", default="128", metavar="Q[,KV]")
    explain.add_argument("--png", metavar="FILE", help="the mask's tiles as a picture")
    explain.add_argument(
        "--html", metavar="FILE", help="one page: mask, text, every level of the IR"
    )
    arguments = parser.parse_args(argv)
    if sys.stdout is None:
        print("fovea: error: standard output is closed", file=sys.stderr)
        return 1
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # Names and docs have characters that not every output has.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except _Usage as error:
        print(f"fovea: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except (OSError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        print(_message(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
