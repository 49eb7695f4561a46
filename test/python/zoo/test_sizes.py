"""Sizes that zoo factories refuse, by name and before anything is traced."""

import numpy as np
import pytest

import fovea
from fovea import zoo


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: zoo.sliding_window(-1), "window_size: must be at least 0, got -1"),
        (lambda: zoo.dilated_sliding_window(3, 0), "dilation: must be at least 1"),
        (lambda: zoo.dilated_sliding_window(-1, 1), "window_size: must be at least 0"),
        (lambda: zoo.global_sliding_window(-2, []), "window_size: must be at least 0"),
        (lambda: zoo.sink_window(4, -1), "sink_size: must be at least 0, got -1"),
        (lambda: zoo.sink_window(-4), "window_size: must be at least 0, got -4"),
        (lambda: zoo.chunked_causal(0), "chunk_size: must be at least 1, got 0"),
        (lambda: zoo.chunked_causal(np.int64(-3)), "chunk_size: must be at least 1"),
        (lambda: zoo.head_classes([0], -1), "window_size: must be at least 0, got -1"),
        (lambda: zoo.head_classes([0], 1, -1), "sink_size: must be at least 0"),
        (lambda: zoo.neighborhood_1d(0, 1), "length: must be at least 1, got 0"),
        (lambda: zoo.neighborhood_1d(5, 10), "kernel: must be at most 5, got 10"),
        (lambda: zoo.neighborhood_2d(4, 4, 3, 0), "kernel_h: must be at least 1"),
        (lambda: zoo.neighborhood_2d(0, 4, 1, 1), "canvas_w: must be at least 1"),
        (lambda: zoo.neighborhood_3d(4, 4, 2, 1, 1, 3), "kernel_d: must be at most 2"),
        (lambda: zoo.circular_2d(0, 3, []), "canvas_w: must be at least 1, got 0"),
        (lambda: zoo.circular_2d(4, -3, []), "radius: must be at least 0, got -3"),
        (lambda: zoo.shifted_window(8, 8, 0, 0), "window: must be at least 1, got 0"),
        (lambda: zoo.shifted_window(8, 8, 4, 5), "shift: must be at most 4, got 5"),
        (lambda: zoo.shifted_window(8, 2, 4, 2), "canvas_h: must be at least 4, got 2"),
    ],
)
def test_a_size_out_of_range_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_a_size_that_the_call_reads_is_not_judged():
    window = np.array(0)
    mask = fovea.create_mask(zoo.sliding_window(window), 1, 1, 4, 4)
    assert np.array_equal(np.asarray(mask)[0, 0], np.eye(4, dtype=bool))
    window[...] = 3
    mask = fovea.create_mask(zoo.sliding_window(window), 1, 1, 4, 4)
    assert np.array_equal(np.asarray(mask)[0, 0], np.tri(4, dtype=bool))
