#!/usr/bin/env python3
"""all-MiniLM-L6-v2 with its attention replaced by one Fovea kernel.

    python examples/minilm/similarity.py [SENTENCE ...]

Prints how similar the sentences are, and how far the embeddings are from those
of the plain NumPy attention. Exit status 1 where that is more than 1e-5.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

import fovea

if __package__:
    from .model import Encoder, find_weights, plain_attention
else:
    from model import Encoder, find_weights, plain_attention

__all__ = ["LIMIT", "SENTENCES", "FoveaAttention", "Result", "compare", "table"]

LIMIT = 1e-5
SENTENCES = (
    "The cat sleeps on the warm windowsill.",
    "A kitten is napping by the window.",
    "Interest rates rose again this quarter.",
    "The central bank has tightened its policy once more.",
    "How do I bake bread without yeast?",
    "A recipe for soda bread",
)


def padding(b, h, q_idx, kv_idx, *, lengths):
    """The mask of a padded batch."""
    return kv_idx < lengths[b]


class FoveaAttention:
    """One compiled kernel for all layers and batches."""

    def __init__(self, head_dim: int) -> None:
        some = np.zeros(1, np.int32)
        self.kernel = fovea.compile(
            mask_mod=padding, D=head_dim, captures={"lengths": some}
        )

    def __call__(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray, lengths: np.ndarray
    ) -> np.ndarray:
        return self.kernel(q, k, v, captures={"lengths": lengths})


@dataclass(frozen=True)
class Result:
    """What the comparison found."""

    sentences: Sequence[str]
    similarity: np.ndarray
    difference: float

    @property
    def passed(self) -> bool:
        """Whether the two computations agree."""
        return self.difference <= LIMIT


def compare(sentences: Sequence[str] = SENTENCES) -> Result:
    """Embed the sentences with both attentions."""
    encoder = Encoder(find_weights())
    vectors = encoder.encode(sentences, FoveaAttention(encoder.head_dim))
    plain = encoder.encode(sentences, plain_attention)
    difference = float(np.abs(vectors - plain).max())
    return Result(sentences, vectors @ vectors.T, difference)


def table(result: Result) -> Table:
    """The similarities as a table for the terminal."""
    shown = Table(title="cosine similarity, attention by Fovea")
    shown.add_column("", justify="right")
    shown.add_column("sentence")
    for number in range(len(result.sentences)):
        shown.add_column(str(number + 1), justify="right")
    for number, (text, row) in enumerate(
        zip(result.sentences, result.similarity, strict=True)
    ):
        cells = [
            f"[dim]{x:.2f}[/]" if x < 0.35 or i == number else f"[bold green]{x:.2f}[/]"
            for i, x in enumerate(row)
        ]
        shown.add_row(str(number + 1), text, *cells)
    return shown


def main() -> int:
    result = compare(sys.argv[1:] or SENTENCES)
    console = Console()
    console.print(table(result))
    console.print(
        f"largest difference of an embedding from the plain computation:"
        f" {result.difference:.1e} (allowed {LIMIT:.0e})"
    )
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
