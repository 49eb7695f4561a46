"""Lets these tests import their helpers, those of the fuzz and the judge."""

import sys
from pathlib import Path

here = Path(__file__).resolve().parent
sys.path[:0] = [str(here), str(here.parent), str(here.parent / "fuzz")]
