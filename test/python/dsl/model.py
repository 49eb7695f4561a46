"""A mod that is a method, with captures in attributes, a list and a dict."""

from __future__ import annotations

import numpy as np


class Model:
    def __init__(self):
        self.bias = np.ones((2, 4))
        self.parts = [np.ones(4), {"x": (np.ones(2), 5)}]
        self.scale = 2.0

    def score(self, s, b, h, q, k):
        return self.helper(s, h, q) * self.scale

    def helper(self, s, h, q):
        return s + self.bias[h, q] + self.parts[0][q] + self.parts[1]["x"][0][h]
