"""What Kernel.save writes where, and names of files."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from api_common import causal, inputs

import fovea


@pytest.fixture
def open_folder():
    """A folder that every user can write."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield Path(name)


def _same_as_causal(call):
    q, k, v = inputs()
    want = fovea.attention(q, k, v, mask_mod=causal)
    np.testing.assert_array_equal(call(q, k, v), want)


def _same_kernel(path):
    _same_as_causal(fovea.load_kernel(path))


def test_save_writes_into_pipes(open_folder):
    """.save(path): what is no file is written into, not replaced"""
    kernel = fovea.compile(mask_mod=causal, D=8)
    pipe, copied = open_folder / "pipe", open_folder / "copied"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: copied.write_bytes(pipe.read_bytes()))
    reader.daemon = True
    reader.start()
    kernel.save(pipe)
    reader.join(60)
    assert pipe.is_fifo()
    _same_kernel(copied)
    assert {path.name for path in open_folder.iterdir()} == {"pipe", "copied"}


def test_save_writes_into_open_files(open_folder):
    """.save(path): /dev/fd/N is the file that is open"""
    kernel = fovea.compile(mask_mod=causal, D=8)
    place = open_folder / "x"
    with open(place, "w+b") as file:
        kernel.save(f"/dev/fd/{file.fileno()}")
        assert file.read(2) == b"PK"
    _same_kernel(place)


def test_save_replaces_what_a_link_leads_to(open_folder):
    """.save(path): a link stays a link"""
    kernel = fovea.compile(mask_mod=causal, D=8)
    (open_folder / "far").mkdir()
    target, link = open_folder / "far" / "target", open_folder / "link"
    link.symlink_to(Path("far") / "target")
    kernel.save(link)  # to a file that is not there yet
    assert link.is_symlink()
    _same_kernel(target)
    target.write_bytes(b"old")
    os.link(target, open_folder / "old")
    kernel.save(link)
    assert link.is_symlink()
    _same_kernel(target)
    assert (open_folder / "old").read_bytes() == b"old"
    (open_folder / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        kernel.save(open_folder / "loop")


def test_save_keeps_modes(open_folder):
    """.save(path): a file that is replaced keeps its mode"""
    kernel = fovea.compile(mask_mod=causal, D=8)
    place = open_folder / "x"
    kernel.save(place)
    assert place.stat().st_mode & 0o7777 == 0o644
    place.chmod(0o600)
    kernel.save(place)
    assert place.stat().st_mode & 0o7777 == 0o600


def test_save_respects_modes(open_folder):
    """.save(path): PermissionError, naming the path, and the file as it was"""
    kernel = fovea.compile(mask_mod=causal, D=8)
    place = open_folder / "x"
    place.write_bytes(b"old")
    place.chmod(0o444)
    (open_folder / "closed").mkdir(mode=0o555)
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        for path in (place, open_folder / "closed" / "x"):
            with pytest.raises(PermissionError) as caught:
                kernel.save(path)
            assert caught.value.filename == str(path)
    finally:
        os.seteuid(user)
    assert place.read_bytes() == b"old"
    assert len(list(open_folder.iterdir())) == 2


def test_save_leaves_the_old_file_where_the_new_one_has_no_room(open_folder):
    """.save(path): a file appears whole or not at all"""
    table = np.zeros(1 << 14)
    kernel = fovea.compile(lambda s, b, h, q, kv: s + table[kv], D=8)
    place = open_folder / "x"
    place.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, limits[1]))
    try:
        with pytest.raises(OSError):
            kernel.save(place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.read_bytes() for path in open_folder.iterdir()] == [b"old"]


@pytest.mark.parametrize("path", ["a\0b", b"a\0b", Path("a\0b")])
def test_paths_have_no_nul(path):
    """argument, rule, given"""
    kernel = fovea.compile(D=8)
    for use in (kernel.save, fovea.load, fovea.load_kernel):
        if isinstance(path, bytes):
            with pytest.raises(TypeError, match="path: must be a str or a path"):
                use(path)
            continue
        with pytest.raises(ValueError) as caught:
            use(path)
        assert str(caught.value) == "path: must be without NUL, got 'a\\x00b'"


ATTN = "attention plain { mask = q >= kv }\n"


def test_names_of_files_may_be_no_utf8(tmp_path):
    """load, save, explain: any name that a file can have"""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    (folder / "y.attn").write_text(ATTN)
    variant = fovea.load(folder / "y.attn")
    _same_as_causal(variant)
    assert fovea.load(os.fspath(folder / "y.attn")).name == "plain"
    (folder / "bad.attn").write_text("attention plain { mask = }\n")
    with pytest.raises(fovea.ParseError, match=r"caf\\xe9/bad.attn:1:\d+: error") as e:
        fovea.load(folder / "bad.attn")
    str(e.value).encode()
    command = [sys.executable, "-m", "fovea", "explain", folder / "y.attn"]
    shape = ["--shape", "D=8,M=256"]
    ran = subprocess.run([*command, *shape], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "plain" in ran.stdout
    kernel = variant.compile(D=8)
    kernel.save(folder / "k")
    _same_kernel(folder / "k")
