"""The page of fovea explain --html in a browser that is driven; skipped without one."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fovea.__main__ import main

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = os.environ.get("FOVEA_BROWSER") or next(
    filter(None, map(shutil.which, NAMES)), None
)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

SOURCE = """
## Windows of each head's own width.
attention windows(w: i32[H]) {
  mask = 0 <= q - kv < w[h]
}
"""


class Page:
    """A page that is driven over the browser's debugging pipe, without a network."""

    def __init__(self, folder: Path) -> None:
        there, self._out = os.pipe()
        self._in, back = os.pipe()
        # The browser reads commands at descriptor 3 and answers at 4.
        command = (
            'exec "$0" --headless=new --no-sandbox --disable-gpu --hide-scrollbars'
            ' --window-size=1400,1000 --remote-debugging-pipe "--user-data-dir=$1"'
            f" 3<&{there} 4>&{back}"
        )
        self._process = subprocess.Popen(
            ["bash", "-c", command, BROWSER, str(folder)],
            pass_fds=(there, back),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(there)
        os.close(back)
        self._watch = threading.Timer(60, self._process.kill)
        self._watch.start()
        self._number, self._rest, self._session = 0, b"", None
        self.complaints: list[Any] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send(
            "Target.attachToTarget", targetId=target, flatten=True
        )["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def close(self) -> None:
        self._watch.cancel()
        os.close(self._out)
        os.close(self._in)
        self._process.kill()
        self._process.wait()

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._in, 1 << 16)
            assert more, "the browser has ended"
            self._rest += more
        text, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(text)
        method, entry = message.get("method"), message.get("params", {})
        bad = (
            method == "Runtime.exceptionThrown"
            or (method == "Log.entryAdded" and entry["entry"]["level"] == "error")
            or (
                method == "Runtime.consoleAPICalled"
                and entry["type"] in ("error", "warning")
            )
        )
        if bad:
            self.complaints.append(entry)
        return message

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._number:
            pass
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def open(self, file: Path) -> None:
        self.send("Page.navigate", url=file.as_uri())
        while self._receive().get("method") != "Page.loadEventFired":
            pass

    def value(self, expression: str) -> Any:
        answer = self.send(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float, times: int = 1) -> None:
        for count in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self.mouse(kind, x, y, button="left", clickCount=count)

    def place(self, selector: str) -> tuple[float, float]:
        """The middle of an element, which is scrolled into view."""
        return tuple(
            self.value(
                f"(() => {{ const e = document.querySelector({selector!r});"
                " e.scrollIntoView({block: 'center'});"
                " const r = e.getBoundingClientRect();"
                " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
            )
        )

    def picture(self) -> str:
        """What the canvas shows after the frames that were asked for."""
        return self.value(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() =>"
            " done(document.querySelector('canvas').toDataURL()))))"
        )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "windows.attn").write_text(SOURCE)
    np.save(folder / "w.npy", np.array([64, 700], np.int32))
    file = folder / "page.html"
    command = [
        "explain",
        str(folder / "windows.attn"),
        "--shape",
        "B=1,Hq=2,M=2048,N=2048,D=64",
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        assert (
            main([*command, "--set", f"w={folder / 'w.npy'}", "--html", str(file)]) == 0
        )
    browser = Page(folder / "profile")
    try:
        browser.open(file)
        yield browser
        assert not browser.complaints
    finally:
        browser.close()


def changes(page: Page, act: Callable[[], Any]) -> bool:
    before = page.picture()
    act()
    return page.picture() != before


def test_picture_is_drawn_in_the_colours_of_classes(page):
    colours = page.value(
        "(() => { const c = document.querySelector('canvas');"
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " return new Set(new Uint32Array(d.buffer)).size; })()"
    )
    assert colours >= 2


def test_wheel_zooms_dragging_moves_double_click_resets(page):
    x, y = page.place("canvas")
    whole = page.picture()
    for _ in range(3):
        assert changes(
            page, lambda: page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-120)
        )
    zoomed = page.picture()

    def drag() -> None:
        page.mouse("mousePressed", x, y, button="left", clickCount=1)
        page.mouse("mouseMoved", x - 90, y - 30, button="left", buttons=1)
        page.mouse("mouseReleased", x - 90, y - 30, button="left", clickCount=1)

    assert changes(page, drag)
    assert page.picture() not in (whole, zoomed)
    page.click(x, y, times=2)
    assert page.picture() == whole


def test_pointer_names_the_tile(page):
    x, y = page.place("canvas")
    page.mouse("mouseMoved", x, y)
    text = page.value("document.getElementById('at').textContent")
    assert text.startswith(
        "tile (8, 8): partial\nqueries 1024 to 1151\nkeys 1024 to 1151"
    )


def test_head_selector_shows_another_mask(page):
    assert page.value(
        "[...document.getElementById('head').options].map(o => o.text)"
    ) == [
        "b=0, h=0",
        "b=0, h=1",
    ]

    def choose(key: str, code: int) -> None:
        page.value("document.getElementById('head').focus()")
        for kind in ("keyDown", "keyUp"):
            page.send(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
            )

    first = page.picture()
    assert changes(page, lambda: choose("ArrowDown", 40))
    assert page.value("document.getElementById('head').value") == "1"
    choose("ArrowUp", 38)
    assert page.picture() == first


def test_levels_stand_side_by_side(page):
    def boxes() -> dict[str, tuple[float, float, float]]:
        return page.value(
            "Object.fromEntries([...document.querySelectorAll('#levels > div')].filter(e =>"
            " !e.hidden).map(e => { const r = e.getBoundingClientRect();"
            " return [e.id, [r.left, r.right, r.top]]; }))"
        )

    assert list(boxes()) == ["level-attn", "level-online"]
    for level in ("target", "llvm", "asm"):
        page.click(*page.place(f"#choice input[value={level}]"))
    shown = list(boxes().values())
    assert len(shown) == 5
    for left, right in itertools.pairwise(shown):
        assert left[1] <= right[0] and left[2] == right[2]
    for level, text in (
        ("attn", "attn.attention"),
        ("online", "online.sweep"),
        ("target", "scf.for"),
        ("llvm", "define "),
        ("asm", "vfmadd"),
    ):
        assert text in page.value(
            f"document.querySelector('#level-{level} pre').textContent"
        )
    page.click(*page.place("#choice input[value=attn]"))
    assert "level-attn" not in boxes()
