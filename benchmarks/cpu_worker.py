"""A process that measures rows of the CPU benchmark."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection

from common import Peak, import_torch
from cpu_grid import Case
from cpu_measure import Options, measure
from cpu_short import Shorts, measure_short

__all__ = ["serve"]


def serve(channel: Connection, options: Options) -> None:
    """A worker: a case comes in, its row goes out, until None comes.

    A process a number of threads: FlexAttention's kernels hold it as a constant.
    """
    cpus = sorted(os.sched_getaffinity(0))[-options.threads :]
    os.sched_setaffinity(0, cpus)
    import fovea

    fovea.set_num_threads(options.threads)
    fovea.compile(D=16)  # loads the compiler: compile_time.py says what that takes
    torch = None
    if {"flex", "sdpa"} & {*options.peers}:
        torch = import_torch(options.threads)
    peak = Peak(options.threads)
    shorts = Shorts(peak)
    while (case := channel.recv()) is not None:
        if options.method == "short":
            channel.send(measure_short(Case(*case), options, shorts))
        else:
            channel.send(measure(Case(*case), options, torch, peak))
