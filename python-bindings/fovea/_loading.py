"""Imports at first use, and fork().

A child that was forked while another thread was importing would wait for that
import for ever, so that a fork waits until such imports are over. Imports wait
for each other by Python's own locks alone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE = 10.0  # seconds, should an import itself wait for the fork

_changed = threading.Condition(threading.RLock())
_importing: dict[int, int] = {}


@contextmanager
def loading() -> Iterator[None]:
    """Around an import that a call makes."""
    thread = threading.get_ident()
    with _changed:
        _importing[thread] = _importing.get(thread, 0) + 1
    try:
        yield
    finally:
        with _changed:
            _importing[thread] -= 1
            if not _importing[thread]:
                del _importing[thread]
            _changed.notify_all()


def _before_fork() -> None:
    _changed.acquire()
    own = {threading.get_ident()}
    _changed.wait_for(lambda: _importing.keys() <= own, _PATIENCE)


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_changed.release,
    after_in_child=_changed.release,
)
