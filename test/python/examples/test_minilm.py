"""The sentence encoder: its tokeniser, its numbers, and Fovea inside it."""

import numpy as np
import pytest

from examples.minilm import similarity
from examples.minilm.model import Encoder, find_weights
from examples.minilm.wordpiece import WordPiece


@pytest.fixture
def tiny(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "cafe", ","]
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*words, "漢", "$", "a"]) + "\n", encoding="utf-8")
    return WordPiece(path)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("unaffable", ["un", "##aff", "##able"]),
        ("Café, UNAFF", ["cafe", ",", "un", "##aff"]),
        ("a漢a$", ["a", "漢", "a", "$"]),
        ("unaffx a\tun\x00", ["[UNK]", "a", "un"]),
        ("a" * 101, ["[UNK]"]),
        ("", []),
    ],
)
def test_wordpiece(tiny, text, pieces):
    got = [tiny.tokens[number] for number in tiny.encode(text)]
    assert got == ["[CLS]", *pieces, "[SEP]"]


def test_wordpiece_cuts_and_pads(tiny):
    tokens, lengths = tiny.batch(["a a a a", "a"], limit=4)
    assert lengths.tolist() == [4, 3]
    assert [tiny.tokens[n] for n in tokens[1]] == ["[CLS]", "a", "[SEP]", "[PAD]"]


def test_plain_encoder_gives_the_published_similarities():
    # The example of the model's own page.
    vectors = Encoder(find_weights()).encode(
        [
            "That is a happy person",
            "That is a happy dog",
            "That is a very happy person",
            "Today is a sunny day",
        ]
    )
    np.testing.assert_allclose(
        vectors[0] @ vectors[1:].T, [0.695, 0.943, 0.257], atol=1e-3
    )


def test_attention_by_fovea_agrees():
    result = similarity.compare()
    assert result.difference <= similarity.LIMIT
    same_topic = [result.similarity[i, i + 1] for i in (0, 2, 4)]
    assert min(same_topic) > 0.4
    assert result.similarity[0, 2] < 0.2


def test_script_prints_the_table(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["similarity.py", "one dog", "two dogs", "a tax"])
    assert similarity.main() == 0
    printed = capsys.readouterr().out
    assert "two dogs" in printed
    assert "largest difference" in printed
