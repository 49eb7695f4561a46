"""The demo runs, checks itself and says so by its exit status."""

import zlib

import numpy as np

from examples.demo import demo, packed, png
from examples.demo.report import Report


def test_demo_passes(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(packed, "torch_flex", lambda problem: None)
    arguments = ["demo.py", "--length", "640", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    assert demo.main() == 0
    printed = capsys.readouterr().out
    assert "✗" not in printed
    for number in range(1, 6):
        assert f"[{number}]" in printed
    assert (tmp_path / "mask.png").stat().st_size > 100


def test_a_failed_check_decides_the_status(capsys):
    report = Report()
    report.check(True, "good")
    assert report.status == 0
    report.check(False, "bad")
    assert report.status == 1
    assert report.failures == ["bad"]
    assert "✗ bad" in capsys.readouterr().out


def test_a_wrong_result_fails_the_bound():
    problem = packed.Problem.make(128)
    exact = problem.numpy(np.float64)
    error, allowed = packed.errors(problem.numpy(), problem, exact)
    assert error <= allowed
    error, allowed = packed.errors(problem.numpy().astype("f2"), problem, exact)
    assert error > allowed


def test_png(tmp_path):
    classes = np.array([[0, 1, 2], [2, 0, 1]], np.int8)
    png.write_classes(tmp_path / "x.png", classes, pixels=6)
    data = (tmp_path / "x.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data[16:24] == (6).to_bytes(4, "big") + (4).to_bytes(4, "big")
    start = data.index(b"IDAT") + 4
    size = int.from_bytes(data[start - 8 : start - 4], "big")
    rows = np.frombuffer(zlib.decompress(data[start : start + size]), np.uint8)
    rows = rows.reshape(4, 1 + 3 * 6)
    assert not rows[:, 0].any()
    pixels = rows[:, 1:].reshape(4, 6, 3)
    np.testing.assert_array_equal(pixels[::2, ::2], png.COLOURS[classes])
