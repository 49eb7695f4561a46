"""BERT's uncased tokeniser: clean, split at spaces and punctuation, WordPiece.

Devlin et al. 2019, "BERT", arXiv:1810.04805; Wu et al. 2016, arXiv:1609.08144.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

__all__ = ["WordPiece"]

_LONGEST_WORD = 100
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def _is_ideograph(char: str) -> bool:
    return any(low <= ord(char) <= high for low, high in _IDEOGRAPHS)


def _is_punctuation(char: str) -> bool:
    # All of ASCII that is neither letter nor digit counts, "$" as well.
    if char.isascii():
        return not (char.isalnum() or char.isspace())
    return unicodedata.category(char).startswith("P")


def _clean(text: str) -> str:
    """Without control characters, with plain spaces."""
    kept = []
    for char in text:
        category = unicodedata.category(char)
        if char in "\t\n\r" or category == "Zs":
            kept.append(" ")
        elif char not in "\0\ufffd" and not category.startswith("C"):
            kept.append(f" {char} " if _is_ideograph(char) else char)
    return "".join(kept)


def _words(text: str) -> Iterator[str]:
    """Lower-case words without accents, punctuation one by one."""
    decomposed = unicodedata.normalize("NFD", _clean(text))
    plain = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
    for chunk in plain.lower().split():
        word = ""
        for char in chunk:
            if _is_punctuation(char):
                if word:
                    yield word
                yield char
                word = ""
            else:
                word += char
        if word:
            yield word


class WordPiece:
    """A vocabulary and its tokeniser.

    Parameters
    ----------
    vocabulary : path
        ``vocab.txt``: one token a line, its number the line's.
    """

    def __init__(self, vocabulary: Path) -> None:
        lines = vocabulary.read_text(encoding="utf-8").splitlines()
        self.tokens = lines
        self.numbers = {token: number for number, token in enumerate(lines)}

    def _pieces(self, word: str) -> list[str]:
        """The longest pieces of the vocabulary, from the left."""
        if len(word) > _LONGEST_WORD:
            return ["[UNK]"]
        pieces, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                piece = prefix + word[start:end]
                if piece in self.numbers:
                    pieces.append(piece)
                    start = end
                    break
            else:
                return ["[UNK]"]
        return pieces

    def encode(self, text: str, limit: int = 256) -> list[int]:
        """Token numbers of a text, between [CLS] and [SEP], at most `limit`."""
        pieces = [piece for word in _words(text) for piece in self._pieces(word)]
        pieces = ["[CLS]", *pieces[: limit - 2], "[SEP]"]
        return [self.numbers[piece] for piece in pieces]

    def batch(
        self, texts: Sequence[str], limit: int = 256
    ) -> tuple[np.ndarray, np.ndarray]:
        """Several texts as one padded array.

        Returns
        -------
        tokens : ndarray of int64 [B, S]
            Padded with [PAD].
        lengths : ndarray of int32 [B]
        """
        rows = [self.encode(text, limit) for text in texts]
        lengths = np.array([len(row) for row in rows], np.int32)
        tokens = np.full((len(rows), lengths.max()), self.numbers["[PAD]"], np.int64)
        for row, length, numbers in zip(tokens, lengths, rows, strict=True):
            row[:length] = numbers
        return tokens, lengths
