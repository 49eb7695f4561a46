"""Work in a child process that may hang or die without taking us along."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable
from typing import Any

__all__ = ["run_child"]

Message = dict[str, Any]


def _main(send: Any, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        for message in work(*arguments):
            send.send(message)
    except BaseException as error:
        lines = traceback.format_exc().strip().splitlines()
        send.send(
            {
                "passed": False,
                "reason": f"{type(error).__name__}: {error}",
                "where": " | ".join(lines[-3:-1]),
            }
        )
    send.close()


def run_child(
    work: Callable[..., Any],
    arguments: tuple[Any, ...],
    timeout: float,
    receive: Callable[[Message], None],
) -> str | None:
    """Run a generator in a forked child and hand on what it yields.

    Parameters
    ----------
    timeout : float
        Seconds that may pass between two messages; then the child is killed.

    Returns
    -------
    str or None
        Why the child did not end well.
    """
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_main, args=(there, work, arguments), daemon=True)
    process.start()
    there.close()
    deadline = time.monotonic() + timeout
    problem = None
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            problem = f"no answer within {timeout:g} s"
            break
        try:
            if not here.poll(min(left, 1.0)):
                continue
            message = here.recv()
        except EOFError:
            break
        receive(message)
        deadline = time.monotonic() + timeout
    if problem:
        process.kill()
    process.join(10)
    if problem is None and process.exitcode:
        problem = f"the process ended with {process.exitcode}"
    return problem
