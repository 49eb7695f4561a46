"""Launches cubins by their manifests, checks and times them.

Needs Python, NumPy, torch and the NVIDIA driver; neither LLVM nor Fovea. The
modules that compute nothing on a GPU import without torch.
"""
