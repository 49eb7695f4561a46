"""The package's own kinds of error and warning."""

__all__ = ["CompileError", "Error", "ParseError", "PerformanceWarning", "TraceError"]


class Error(Exception):
    """Base of every error kind that Fovea defines."""


class TraceError(Error, TypeError):
    """A mod does something that cannot be compiled, or captures it badly."""


class CompileError(Error, RuntimeError):
    """A compilation failed through no fault of the program."""


class ParseError(Error, ValueError):
    """A ``.attn`` file is wrong; the text starts with file:line:col."""


class PerformanceWarning(UserWarning):
    """A call runs correctly, on a path below the fast one."""
