"""The page of the report in Chromium: what it shows, every control, hostile texts, its size.

Chromium draws on a machine without a screen. TCC_REQUIRE_BROWSER=1: it must not be missing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tcc.draw import LEFT, RIGHT, TRUNK
from tcc.report.page import embed, quantity, write_page
from tests.jumpers import STANDING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

NUM_FRAMES = {"learner": 48, "standard": 40}
FIRST = {"learner": 27, "standard": 100}  # number of the first shown frame
SIZES = {"learner": (240, 270), "standard": (200, 240)}
HIPS = {"learner": (100, 150), "standard": (90, 140)}  # px, between the hips
TORSO = {"learner": 44, "standard": 22}  # px
# The standard waits for 8 frames, is matched, and stands still at its end.
ROWS = [[i, min(max(i - 8, 0), 39), int(8 <= i < 46)] for i in range(NUM_FRAMES["learner"])]
BITS = 8
HOSTILE = '</script><img src=x onerror="window.hit = 1"><b title=\'"\'>&amp;{{ 7 * 7 }}\u2028'
DESKTOP, PHONE = (1280, 800), (390, 844)
GHOST = (204, 121, 167)

# The colours in a box of a canvas: x, y, width, height in widths or heights of the canvas.
READ = """(canvas, [x, y, width, height]) => {
  const box = [x, y, width, height].map((part, i) => part * (i % 2 ? canvas.height : canvas.width));
  const [left, top, columns, rows] = box.map((px) => Math.max(1, Math.round(px)));
  const context = new OffscreenCanvas(columns, rows).getContext("2d");
  context.drawImage(canvas, -left, -top);
  const data = context.getImageData(0, 0, columns, rows).data;
  return Array.from({length: columns * rows}, (_, i) => [...data.slice(4 * i, 4 * i + 3)]);
}"""
# Everything that controls change.
READ_STATE = """() => {
  const text = (id) => document.getElementById(id).textContent;
  const canvases = ["learner", "standard"].map((id) => document.getElementById(id));
  const drawn = canvases.map((canvas) => {
    const context = new OffscreenCanvas(60, 60).getContext("2d");
    context.drawImage(canvas, 0, 0, 60, 60);
    return context.getImageData(0, 0, 60, 60).data.join();
  });
  const pressed = [...document.querySelectorAll("[aria-pressed]")];
  return {
    frames: canvases.map((canvas) => Number(canvas.dataset.frame)),
    row: Number(document.getElementById("scrubber").value),
    clocks: ["learner-clock", "standard-clock"].map(text),
    shifts: ["learner-shift", "standard-shift"].map(text),
    zoom: text("zoom"),
    speed: document.getElementById("speed").value,
    loop: document.getElementById("loop").value,
    layout: document.getElementById("layout").value,
    measure: document.getElementById("measure").value,
    left: canvases.map((canvas) => canvas.getBoundingClientRect().left),
    pressed: pressed.filter((button) => button.ariaPressed === "true")
      .map((button) => button.id || button.dataset.instruction),
    drawn,
  };
}"""


def burn(number: int, size: tuple[int, int]) -> bytes:
    """Return a grey JPEG whose upper quarter shows a number as white and black blocks."""
    width, height = size
    image = np.full((height, width, 3), 128, np.uint8)
    for bit in range(BITS):
        left, right = (round(edge * width / BITS) for edge in (bit, bit + 1))
        image[: height // 4, left:right] = 255 * (number >> (BITS - 1 - bit) & 1)
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    return encoded.tobytes()


def body(side: str) -> list[float]:
    """Return the 51 numbers of somebody who stands, whose left wrist is not seen."""
    places = HIPS[side] + TORSO[side] * STANDING * [1, -1]
    confidence = np.full((17, 1), 0.9)
    confidence[9] = 0.1
    return [float(value) for value in np.concatenate([places, confidence], axis=1).ravel()]


def make_data() -> dict[str, Any]:
    """Return the data of a page with everything in it."""
    times = {side: np.arange(count) / 30 for side, count in NUM_FRAMES.items()}
    clips = {
        side: {
            "name": f"{side} clip", "first_frame": FIRST[side], "total_frames": 180,
            "times_s": FIRST[side] / 30 + times[side], "size": SIZES[side],
            "points": [body(side)] * NUM_FRAMES[side], "threshold": 0.2, "mirrored": False,
        }
        for side in NUM_FRAMES
    }  # fmt: skip
    count = len(ROWS)
    wave = 140 + 30 * np.sin(np.arange(count) / 6)
    valid = [int(not 20 <= row < 24) for row in range(count)]
    learner = {"raw": wave + 2, "filtered": wave, "valid": valid}
    standard = {"raw": wave - 12, "filtered": wave - 10, "valid": [1] * count}
    curve = {"unit": "degrees", "zero": "0: folded", "note": "offered from the side"}
    event_rows = {"entry": 12, "takeoff": 18, "peak": None, "landing": 32}
    labels = {"takeoff": "take-off"}
    return {
        "title": "axel: learner clip beside standard clip", "motion": "axel",
        "trust": {"state": "sure", "text": "confidence 0.93", "warnings": []},
        "clips": clips, "rows": ROWS,
        "events": [
            {"name": name, "label": labels.get(name, name), "row": row,
             "standard": None, "learner": row and {"frame": FIRST["learner"] + row,
             "time_s": 0.9 + row / 30, "uncertainty_s": 0.03}}
            for name, row in event_rows.items()
        ],
        "phases": [{"name": "push", "label": "push", "rows": [12, 18]},
                   {"name": "flight", "label": "flight", "rows": [18, 32]}],
        "curves": [
            {"name": "left_knee", "label": "left knee", **curve, "learner": learner,
             "standard": standard, "band": {"low": wave - 20, "high": [None, *(wave[1:] + 5)]}},
            {"name": "hips", "label": "hips", **curve, "unit": "torso lengths", "band": None,
             "learner": learner, "standard": {**standard, "filtered": [None] * count}},
        ],
        "numbers": [{"label": "time in the air", "unit": "s", "note": "at 30 frames per second",
                     "learner": {"value": 0.4667, "uncertainty": 0.034}, "standard": None}],
        "instructions": [
            {"title": title, "when": f"frame {27 + row}", "part": part, "learner": "142 degrees",
             "standard": "118 degrees", "usual": usual, "cause": "too fast", "advice": "Sink.",
             "sure": "quite sure", "row": row, "joints": joints, "curve": curve_name}
            for title, row, part, usual, joints, curve_name in (
                ("Bend the right knee more", 13, "right knee", "105 to 130", [12, 14, 16], None),
                ("Lift the hips", 25, "hips", None, [11, 12], "hips"),
            )
        ],
        "silence": ["The arms are hidden."], "limits": ["Edges can't be seen."],
        "links": [{"file": "side_by_side.mp4", "label": "video side by side"}],
    }  # fmt: skip


def make_images() -> dict[str, list[bytes]]:
    return {
        side: [burn(FIRST[side] + index, SIZES[side]) for index in range(count)]
        for side, count in NUM_FRAMES.items()
    }


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One headless Chromium for all tests."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        reason = "no Chromium (apt-get install chromium), or the package playwright is missing"
        if os.environ.get("TCC_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(path, make_data(), make_images())
    return path


class Viewer:
    """The page in a tab. Anything that the browser complains about, or requests, is kept."""

    def __init__(self, context: BrowserContext, path: Path, is_whole: bool) -> None:
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", self._check)
        self.page.goto(path.as_uri())
        if is_whole:
            self.page.wait_for_selector("#loading", state="hidden")

    def _check(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.complaints.append(request.url)

    def state(self) -> dict[str, Any]:
        return dict(self.page.evaluate(READ_STATE))

    def frame(self, side: str) -> int:
        """Return the number that the page says it shows."""
        return int(self.page.locator(f"#{side}").get_attribute("data-frame") or -1)

    def number(self, side: str, mirrored: bool = False) -> int:
        """Return the number of the picture that the canvas shows."""
        line = self.page.locator(f"#{side}").evaluate(READ, [0, 0.1, 1, 0])
        return decode([color[1] for color in line], mirrored)

    def colors(self, side: str, place: Sequence[float], reach: float = 1) -> list[list[int]]:
        """Return the RGB colours around a place of the picture, px."""
        width, height = SIZES[side]
        box = [(place[0] - reach) / width, (place[1] - reach) / height]
        box += [2 * reach / width, 2 * reach / height]
        return list(self.page.locator(f"#{side}").evaluate(READ, box))

    def screenshot(self, **options: Any) -> NDArray[np.uint8]:
        """Return the screen as BGR."""
        file = np.frombuffer(self.page.screenshot(**options), np.uint8)
        return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)

    def scrub(self, row: int) -> None:
        self.page.locator("#scrubber").fill(str(row))


def decode(line: list[int], mirrored: bool = False) -> int:
    """Return the number that a line of grey levels shows; a waiting standard is darker."""
    levels = [line[int((bit + 0.5) / BITS * len(line))] for bit in range(BITS)]
    bits = "".join(str(int(level > 90)) for level in levels)
    return int(bits[::-1] if mirrored else bits, 2)


Open = Callable[..., Viewer]


@pytest.fixture
def open_page(browser: Browser, page_file: Path) -> Iterator[Open]:
    """Return a function that opens a page; nothing may have gone wrong in it."""
    viewers: list[Viewer] = []
    contexts = []

    def open_file(
        path: Path = page_file,
        size: tuple[int, int] = DESKTOP,
        scale: float = 1,
        is_whole: bool = True,
        **options: Any,
    ) -> Viewer:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, device_scale_factor=scale, **options
        )
        contexts.append(context)
        viewers.append(Viewer(context, path, is_whole))
        return viewers[-1]

    yield open_file
    complaints = [viewer.complaints for viewer in viewers]
    for context in contexts:
        context.close()
    assert not any(complaints)


def shown(row: int) -> dict[str, int]:
    """Return the frames that the warping path names for a row."""
    return {
        "learner": FIRST["learner"] + ROWS[row][0],
        "standard": FIRST["standard"] + ROWS[row][1],
    }


POSITIONS = [round(row) for row in np.linspace(0, len(ROWS) - 1, 20)]


def test_screen_shows_the_frames_of_the_warping_path(open_page: Open) -> None:
    viewer = open_page()
    viewer.page.locator("#work").evaluate("section => section.scrollIntoView()")
    boxes = {side: viewer.page.locator(f"#{side}").bounding_box() for side in NUM_FRAMES}
    for row in POSITIONS:
        viewer.scrub(row)
        screen = viewer.screenshot()
        for side, expected in shown(row).items():
            box = boxes[side]
            assert box is not None
            left, right = round(box["x"]), round(box["x"] + box["width"])
            line = screen[round(box["y"] + 0.1 * box["height"]), left:right, 1]
            assert viewer.frame(side) == decode(line.tolist()) == expected


@pytest.mark.parametrize("scale", [1.25, 2.75])
def test_frames_are_exact_mirrored_swapped_and_shifted(open_page: Open, scale: float) -> None:
    viewer = open_page(scale=scale)
    for side in NUM_FRAMES:
        viewer.page.click(f"#{side}-mirror")
    viewer.page.click("#swap")
    viewer.page.click("#learner-plus")
    viewer.page.click("#standard-minus")
    viewer.page.click("#standard-minus")
    for row in POSITIONS:
        viewer.scrub(row)
        expected = {
            "learner": min(shown(row)["learner"] + 1, 74),
            "standard": max(shown(row)["standard"] - 2, 100),
        }
        for side, frame in expected.items():
            assert (viewer.frame(side), viewer.number(side, mirrored=True)) == (frame, frame)
            where = viewer.page.locator(f"#{side}-where").text_content()
            assert where == f"frame {frame} of 180 · {frame / 30:.2f} s"
    viewer.page.click("#learner-mirror")
    assert viewer.number("learner") == viewer.frame("learner")


@pytest.mark.parametrize("layout", ["side", "stack", "skeleton", "ghost"])
def test_every_layout_shows_the_frames(open_page: Open, layout: str) -> None:
    viewer = open_page()
    viewer.page.select_option("#layout", layout)
    viewer.scrub(30)
    boxes = {side: viewer.page.locator(f"#{side}").bounding_box() for side in NUM_FRAMES}
    assert viewer.number("learner") == viewer.frame("learner") == shown(30)["learner"]
    assert viewer.frame("standard") == shown(30)["standard"]
    first, second = boxes["learner"], boxes["standard"]
    assert first is not None
    if layout in ("side", "stack"):
        assert second is not None
        assert viewer.number("standard") == viewer.frame("standard")
        assert (second["x"] >= first["x"] + first["width"]) == (layout == "side")
        assert (second["y"] >= first["y"] + first["height"]) == (layout == "stack")
    else:
        assert second is None
        viewer.page.click("#swap")
        assert viewer.page.locator("#learner").bounding_box() is None
        assert viewer.number("standard") == viewer.frame("standard")


def ankle(side: str, joint: int, mirrored: bool = False) -> tuple[float, float]:
    """Return a place on the shank over an ankle, px of the learner's picture in an overlay."""
    sign = -1 if mirrored else 1
    x, y = STANDING[joint] * 0.9 + STANDING[joint - 2] * 0.1
    return HIPS[side][0] + sign * TORSO[side] * x, HIPS[side][1] - TORSO[side] * y


def test_ghost_stands_on_the_body(open_page: Open) -> None:
    viewer = open_page()
    viewer.page.keyboard.press("Escape")
    viewer.page.keyboard.press("s")
    place = ankle("learner", 15)
    assert not near(viewer.colors("learner", place, 6), GHOST)
    viewer.page.select_option("#layout", "skeleton")
    assert near(viewer.colors("learner", place, 6), GHOST)
    viewer.page.keyboard.press("m")  # the mirror image stands at another place
    assert not near(viewer.colors("learner", ankle("learner", 15), 6), GHOST)
    moved = SIZES["learner"][0] - ankle("learner", 15, mirrored=True)[0], place[1]
    assert near(viewer.colors("learner", moved, 6), GHOST)


def near(colors: list[list[int]], color: tuple[int, ...]) -> bool:
    """Return whether one of the colours is this one."""
    return bool((np.abs(np.array(colors) - np.array(color)).max(axis=1) < 30).any())


def test_skeleton_has_the_colours_of_the_videos(open_page: Open) -> None:
    viewer = open_page()
    viewer.page.keyboard.press("Escape")
    joint = {
        name: np.array(HIPS["learner"]) + TORSO["learner"] * STANDING[index] * [1, -1]
        for name, index in {
            "left knee": 13, "left hip": 11, "right knee": 14, "right hip": 12, "left elbow": 7,
            "left wrist": 9, "right elbow": 8, "right wrist": 10,
        }.items()
    }  # fmt: skip
    places = {
        LEFT: joint["left knee"] * 0.5 + joint["left hip"] * 0.5,
        RIGHT: joint["right knee"] * 0.5 + joint["right hip"] * 0.5,
        TRUNK: joint["left hip"] * 0.5 + joint["right hip"] * 0.5,
    }
    hidden = joint["left wrist"] * 0.5 + joint["left elbow"] * 0.5
    for is_on in (True, False):
        for color, place in places.items():
            colors = viewer.colors("learner", tuple(place), 2)
            assert near(colors, color[::-1]) == is_on
        assert not near(viewer.colors("learner", tuple(hidden), 2), LEFT[::-1])
        forearm = joint["right wrist"] * 0.5 + joint["right elbow"] * 0.5
        assert near(viewer.colors("learner", tuple(forearm), 2), RIGHT[::-1]) == is_on
        viewer.page.click("#skeletons")


def test_page_opens_at_the_first_instruction_else_at_the_take_off(
    open_page: Open, tmp_path: Path
) -> None:
    assert open_page().state()["row"] == 13
    data = {**make_data(), "instructions": []}
    write_page(tmp_path / "page.html", data, {"learner": [], "standard": []})
    assert open_page(tmp_path / "page.html").state()["row"] == 18
    data = {**data, "events": [], "phases": [], "curves": [], "numbers": []}
    write_page(tmp_path / "page.html", data, {"learner": [], "standard": []})
    viewer = open_page(tmp_path / "page.html")
    assert viewer.frame("learner") == FIRST["learner"] + 8


State = dict[str, Any]
Happened = Callable[[State, State], bool]


def changes(*names: str) -> Happened:
    return lambda old, new: all(old[name] != new[name] for name in names)


def becomes(**values: Any) -> Happened:
    return lambda _, new: all(new[name] == value for name, value in values.items())


def toggles(name: str) -> Happened:
    return lambda old, new: (name in old["pressed"]) != (name in new["pressed"])


EARLIER, LATER = "\N{MINUS SIGN}1", "+1"
# selector: the key that does the same, and what must happen in row 20.
BUTTONS: dict[str, tuple[str, Happened]] = {
    "#play": ("Space", toggles("play")),
    "#back": ("ArrowLeft", becomes(row=19)),
    "#forward": ("ArrowRight", becomes(row=21)),
    "#earlier": ("Shift+ArrowLeft", becomes(row=18)),
    "#later": ("Shift+ArrowRight", becomes(row=32)),
    "[data-event='0']": ("", becomes(row=12)),
    "[data-event='1']": ("", becomes(row=18)),
    "[data-event='3']": ("", becomes(row=32)),
    "[data-phase='0']": ("1", becomes(row=12)),
    "[data-phase='1']": ("2", becomes(row=18)),
    "#zero": ("z", becomes(clocks=["+0.00 s", "+0.00 s"])),
    "#skeletons": ("s", changes("pressed", "drawn")),
    "#swap": ("x", lambda _, new: new["left"][0] > new["left"][1]),
    "#learner-mirror": ("m", lambda old, new: old["drawn"][0] != new["drawn"][0]),
    "#standard-mirror": ("n", lambda old, new: old["drawn"][1] != new["drawn"][1]),
    "#learner-minus": ("q", becomes(shifts=[EARLIER, "0"], frames=[46, 112])),
    "#learner-plus": ("w", becomes(shifts=[LATER, "0"], frames=[48, 112])),
    "#standard-minus": ("e", becomes(shifts=["0", EARLIER], frames=[47, 111])),
    "#standard-plus": ("r", becomes(shifts=["0", LATER], frames=[47, 113])),
    "#zoom-in": ("+", changes("zoom", "drawn")),
    "[data-instruction='0']": ("Escape", toggles("0")),
    "[data-instruction='1']": ("", becomes(row=25, measure="1")),
}
AGAIN = {"#zoom-out": ("-", "zoom"), "#zoom-reset": ("0", "zoom"), "#shift-reset": ("t", "shifts")}
LISTS = {
    "#speed": (">", "speed", "0.8"),
    "#loop": ("o", "loop", "1"),
    "#layout": ("v", "layout", "ghost"),
    "#measure": ("c", "measure", "1"),
}


@pytest.mark.parametrize("how", ["mouse", "key", "focus and Enter"])
def test_every_button_works(open_page: Open, tmp_path: Path, how: str) -> None:
    write_page(tmp_path / "page.html", make_data(), {"learner": [], "standard": []})
    viewer = open_page(tmp_path / "page.html")
    for selector, (key, happened) in BUTTONS.items():
        viewer.page.reload()
        viewer.page.wait_for_selector("#loading", state="hidden")
        viewer.scrub(20)
        viewer.page.locator("#scrubber").blur()
        before = viewer.state()
        if how == "mouse":
            viewer.page.click(selector)
        elif how == "key" and key:
            viewer.page.keyboard.press(key)
        else:
            viewer.page.focus(selector)
            viewer.page.keyboard.press("Enter")
        assert happened(before, viewer.state()), selector


@pytest.mark.parametrize("how", ["mouse", "key"])
def test_resets_and_lists_work(open_page: Open, how: str) -> None:
    viewer = open_page()
    viewer.scrub(20)
    viewer.page.locator("#scrubber").blur()
    first = viewer.state()
    for selector, (key, name) in AGAIN.items():
        viewer.page.keyboard.press("+")
        viewer.page.keyboard.press("q")
        assert viewer.state()[name] != first[name]
        if how == "mouse":
            viewer.page.click(selector)
        else:
            viewer.page.keyboard.press(key)
        assert viewer.state()[name] == first[name], selector
    for selector, (key, name, value) in LISTS.items():
        if how == "mouse":
            viewer.page.select_option(selector, value)
            assert viewer.state()[name] == value
            viewer.page.locator(selector).blur()
        else:
            viewer.page.locator("#play").focus()
            viewer.page.keyboard.press(key)
            assert viewer.state()[name] != first[name], selector


def test_every_control_is_tested_and_reached_by_tab(open_page: Open) -> None:
    viewer = open_page()
    find = "[...document.querySelectorAll('button:enabled, select, input, summary, a')]"
    name = (
        "(e => e.id || (e.dataset.event && `event ${e.dataset.event}`) || e.dataset.phase"
        " || e.textContent.trim())"
    )
    controls = viewer.page.evaluate(f"{find}.map(e => e.outerHTML)")
    tested = [*BUTTONS, *AGAIN, *LISTS, "#scrubber", "summary", "a"]
    for selector in tested:
        found = viewer.page.evaluate(
            "s => [...document.querySelectorAll(s)].map(e => e.outerHTML)", selector
        )
        assert found, selector
        controls = [control for control in controls if control not in found]
    assert controls == []
    expected = viewer.page.evaluate(f"{find}.map{name}")
    reached = []
    for _ in expected:
        viewer.page.keyboard.press("Tab")
        reached.append(viewer.page.evaluate(f"{name}(document.activeElement)"))
        outline = viewer.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", reached[-1]
    assert reached == expected


def test_keys_rest_while_a_list_has_the_focus(open_page: Open) -> None:
    viewer = open_page()
    for selector in ("#speed", "#scrubber"):
        viewer.page.focus(selector)
        before = viewer.state()
        for key in ("m", "x", "z", "q", "v"):
            viewer.page.keyboard.press(key)
        assert viewer.state() == before
    viewer.page.keyboard.press("ArrowRight")  # the slider's own key: one step, not two
    assert viewer.state()["row"] == before["row"] + 1
    viewer.page.keyboard.press("Space")
    assert "play" in viewer.state()["pressed"]
    viewer.page.keyboard.press("Control+z")
    assert viewer.state()["clocks"] != ["+0.00 s", "+0.00 s"]


def test_mouse_zooms_and_pans(open_page: Open) -> None:
    viewer = open_page()
    viewer.page.keyboard.press("Escape")
    mouse, box = viewer.page.mouse, viewer.page.locator("#learner").bounding_box()
    assert box is not None
    corner = box["x"] + 2, box["y"] + 2
    bits = f"{viewer.frame('learner'):08b}"
    mouse.dblclick(*corner)  # the corner stays where it is
    assert viewer.state()["zoom"] == "250 %"
    seen = "".join(bits[int((bit + 0.5) / 2.5)] for bit in range(BITS))
    assert f"{viewer.number('learner'):08b}" == seen
    for key in "ji":
        viewer.page.keyboard.press(key)
    drawn = viewer.state()["drawn"]
    mouse.move(*corner)
    mouse.down()
    mouse.move(corner[0] - 60, corner[1] - 30)
    mouse.up()
    assert viewer.state()["drawn"][0] != drawn[0]
    assert viewer.state()["drawn"][1] != drawn[1]  # both clips move
    for key in "ji":
        for _ in range(20):
            viewer.page.keyboard.press(key)
    assert viewer.state()["drawn"] == drawn
    for key in "kl":
        viewer.page.keyboard.press(key)
        assert viewer.state()["drawn"] != drawn
    mouse.dblclick(*corner)
    assert viewer.state()["zoom"] == "100 %"
    viewer.page.keyboard.down("Control")
    mouse.wheel(0, -100)
    assert viewer.state()["zoom"] == "165 %"
    viewer.page.keyboard.up("Control")


def test_two_fingers_zoom(open_page: Open) -> None:
    viewer = open_page(size=PHONE, has_touch=True, is_mobile=True)
    viewer.page.locator("#work").evaluate("section => section.scrollIntoView()")
    box = viewer.page.locator("#learner").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = viewer.page.context.new_cdp_session(viewer.page)
    for kind, reach in (("touchStart", 20), ("touchMove", 40), ("touchMove", 60)):
        points = [{"x": x + reach, "y": y, "id": 1}, {"x": x - reach, "y": y, "id": 2}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert viewer.state()["zoom"] == "300 %"


def test_space_plays_after_a_click(open_page: Open) -> None:
    viewer = open_page()
    viewer.page.click("#forward")
    viewer.page.keyboard.press("Space")
    assert "play" in viewer.state()["pressed"]
    viewer.page.focus("#swap")  # reached by key, so Space presses this button
    viewer.page.keyboard.press("Space")
    assert {"play", "swap"} <= set(viewer.state()["pressed"])


@pytest.mark.parametrize(("speed", "seconds"), [("1", 0.5), ("0.5", 1.0), ("0.1", 3.0)])
def test_play_follows_the_times_at_the_chosen_speed(
    open_page: Open, speed: str, seconds: float
) -> None:
    viewer = open_page()
    viewer.page.clock.install()
    viewer.page.clock.pause_at("2030-01-01")
    viewer.scrub(5)
    viewer.page.select_option("#speed", speed)
    viewer.page.click("#play")
    viewer.page.clock.run_for(round(1000 * seconds))
    expected = 5 + 30 * seconds * float(speed)
    assert abs(viewer.state()["row"] - expected) <= 1
    assert (
        viewer.number("learner")
        == viewer.frame("learner")
        == FIRST["learner"] + viewer.state()["row"]
    )
    viewer.page.click("#play")
    paused = viewer.state()
    viewer.page.clock.run_for(1000)
    assert viewer.state() == paused


def test_play_repeats_a_phase_and_stops_at_the_end(open_page: Open) -> None:
    viewer = open_page()
    viewer.page.clock.install()
    viewer.page.clock.pause_at("2030-01-01")
    viewer.scrub(40)
    viewer.page.select_option("#speed", "1")
    viewer.page.select_option("#loop", "1")  # the flight, rows 18 to 32
    assert viewer.state()["row"] == 18
    viewer.page.click("#play")
    rows = []
    for _ in range(40):
        viewer.page.clock.run_for(34)
        rows.append(viewer.state()["row"])
    assert set(rows) == set(range(18, 32))
    assert np.count_nonzero(np.diff(rows) < 0) == 2  # 1.36 s of 0.467 s each
    viewer.page.select_option("#loop", "")
    viewer.page.clock.run_for(2000)
    end = viewer.state()
    assert end["row"] == len(ROWS) - 1
    assert "play" not in end["pressed"]
    viewer.page.click("#play")  # from the start again
    viewer.page.clock.run_for(170)
    assert 3 <= viewer.state()["row"] <= 6


def test_play_runs_in_real_time(open_page: Open) -> None:
    viewer = open_page()
    viewer.scrub(0)
    viewer.page.select_option("#speed", "1")
    viewer.page.click("#play")
    for _ in range(100):
        if viewer.state()["row"] >= 10:
            break
        viewer.page.wait_for_timeout(50)
    assert viewer.state()["row"] >= 10


def test_clock_counts_each_clip_at_its_own_time(open_page: Open) -> None:
    viewer = open_page()
    viewer.scrub(18)
    assert viewer.state()["clocks"] == ["+0.00 s", "+0.00 s"]  # at first, the take-off is 0
    viewer.scrub(4)
    viewer.page.click("#zero")
    viewer.scrub(14)
    assert viewer.state()["clocks"] == ["+0.33 s", "+0.20 s"]  # the standard waited for 4 frames
    viewer.scrub(1)
    assert viewer.state()["clocks"] == ["\N{MINUS SIGN}0.10 s", "+0.00 s"]
    assert viewer.page.locator("#learner-zero").text_content() == "since frame 31"


def test_curve_shows_the_row_and_goes_there(open_page: Open) -> None:
    viewer = open_page()
    viewer.page.locator("#plot").scroll_into_view_if_needed()
    box = viewer.page.locator("#plot").bounding_box()
    cursor = viewer.page.locator("#plot .cursor")
    assert box is not None
    viewer.scrub(0)
    left = float(re.findall(r"M([\d.]+)", cursor.get_attribute("d") or "")[0])
    viewer.scrub(len(ROWS) - 1)
    right = float(re.findall(r"M([\d.]+)", cursor.get_attribute("d") or "")[0])
    mouse = viewer.page.mouse
    for row in (30, 12):
        mouse.move(box["x"] + left + (right - left) * row / (len(ROWS) - 1), box["y"] + 90)
        mouse.down()
        assert viewer.state()["row"] == row
    mouse.move(box["x"] + left, box["y"] + 90)
    assert viewer.state()["row"] == 0
    mouse.up()
    mouse.move(box["x"] + right, box["y"] + 90)
    assert viewer.state()["row"] == 0
    viewer.scrub(30)
    expected = 140 + 30 * np.sin(5)
    texts = {
        name: viewer.page.locator(f"#{name}-value") for name in ("learner", "standard", "band")
    }
    assert texts["learner"].text_content() == f"{expected:.0f}°"
    assert texts["standard"].text_content() == f"{expected - 10:.0f}°"
    assert texts["band"].text_content() == f"{expected - 20:.0f} to {expected + 5:.0f}°"
    viewer.scrub(22)
    assert texts["learner"].text_content() == "not reliable"
    viewer.scrub(2)
    assert texts["standard"].text_content() == "not reliable"  # it waits
    viewer.page.select_option("#measure", "1")
    assert not viewer.page.locator("#band-legend").is_visible()
    assert viewer.page.locator("#about").text_content() == "0: folded. Offered from the side."


def test_instruction_goes_to_its_frame_and_marks_the_joints(open_page: Open) -> None:
    viewer = open_page()
    viewer.page.keyboard.press("s")
    knee = tuple(np.array(HIPS["learner"]) + TORSO["learner"] * STANDING[14] * [1, -1])
    yellow = (230, 159, 0)
    viewer.page.click("[data-instruction='1']")
    assert viewer.frame("learner") == 52
    assert not near(viewer.colors("learner", knee, 16), yellow)
    viewer.page.click("[data-instruction='0']")
    assert (viewer.frame("learner"), viewer.number("learner")) == (40, 40)
    assert near(viewer.colors("learner", knee, 16), yellow)
    box = viewer.page.locator("#learner").bounding_box()
    assert box is not None
    assert 0 <= box["y"] <= 100  # the pictures are on the screen
    viewer.page.click("[data-instruction='0']")
    assert not near(viewer.colors("learner", knee, 16), yellow)


@pytest.mark.parametrize("state", ["sure", "unsure", "not found"])
def test_doubt_is_orange_at_the_top(open_page: Open, tmp_path: Path, state: str) -> None:
    warnings = ["film with 60 frames per second"]
    trust = {"state": state, "text": "confidence 0.41", "warnings": warnings}
    clips = make_data()["clips"]
    clips["standard"]["mirrored"] = True
    write_page(
        tmp_path / "page.html", {**make_data(), "trust": trust, "clips": clips}, make_images()
    )
    viewer = open_page(tmp_path / "page.html")
    doubt = viewer.page.locator(".doubt")
    assert doubt.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(230, 159, 0)"
    text, box = doubt.inner_text(), doubt.bounding_box()
    assert box is not None
    assert box["y"] < 100
    assert warnings[0] in text
    assert ("confidence 0.41" in text) == (state != "sure")
    tags = viewer.page.locator("#standard-tags")
    assert tags.text_content() == "mirror image"
    viewer.page.click("#standard-mirror")
    assert tags.text_content() == ""


def hostile(value: Any) -> Any:
    """Return the data with every text replaced, but for the state."""
    if isinstance(value, dict):
        return {name: value[name] if name == "state" else hostile(value[name]) for name in value}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return HOSTILE if isinstance(value, str) else value


def test_hostile_texts_do_nothing(open_page: Open, tmp_path: Path) -> None:
    data = hostile({**make_data(), "trust": {"state": "unsure", "text": "", "warnings": [""]}})
    for file in ("javascript:window.hit = 1", "//example.org/x", "https://example.org/x"):
        data["links"].append({"file": file, "label": "x"})
    write_page(tmp_path / "page.html", data, make_images())
    viewer = open_page(tmp_path / "page.html", PHONE)
    for key in ("c", "v", "z", "ArrowRight", "Shift+ArrowRight"):
        viewer.page.keyboard.press(key)
    viewer.page.click("[data-instruction='1']")
    assert viewer.page.evaluate("window.hit") is None
    assert viewer.page.locator("img, script:not([type]) ~ *, b[title]").count() == 0
    text = HOSTILE.replace("\u2028", "").strip()
    for selector in ("h1", ".card h3", ".doubt", ".name", "#measure", "#about", ".links"):
        assert text in (viewer.page.locator(selector).first.text_content() or ""), selector
    assert text in (viewer.page.locator("#plot").get_attribute("aria-label") or "")
    for link in viewer.page.locator(".links a").all():
        assert link.evaluate("link => link.href").startswith(tmp_path.as_uri())
    assert viewer.frame("learner") == viewer.number("learner") == 52
    width = viewer.page.evaluate("document.documentElement.scrollWidth")
    assert width == PHONE[0]


def test_policy_allows_no_other_script(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(page_file.as_uri())
    page.evaluate("""document.body.insertAdjacentHTML("beforeend",
        "<img src='https://example.org/x' onerror='window.hit = 1'>")""")
    page.wait_for_timeout(100)
    assert page.evaluate("window.hit") is None
    assert any("Content Security Policy" in text for text in refused)
    page.close()


@pytest.mark.parametrize(
    ("size", "scheme"),
    [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), ((320, 640), "dark"),
     ((844, 390), "light")],
)  # fmt: skip
def test_page_fits_desktop_and_phone(open_page: Open, size: tuple[int, int], scheme: str) -> None:
    is_phone = size != DESKTOP
    viewer = open_page(size=size, color_scheme=scheme, has_touch=is_phone, is_mobile=is_phone)
    for layout in ("side", "stack", "skeleton"):
        viewer.page.select_option("#layout", layout)
        assert viewer.page.evaluate("document.documentElement.scrollWidth") == size[0]
    image = viewer.screenshot(full_page=True)
    assert image.shape[1] == size[0]
    assert (image[-1, 0].mean() > 127) == (scheme == "light")
    if is_phone:
        find = "[...document.querySelectorAll('button, select, input, summary')]"
        heights = viewer.page.evaluate(f"{find}.map(e => e.getBoundingClientRect().height)")
        assert min(heights) >= 40
    if size == PHONE:
        viewer.page.select_option("#layout", "side")
        viewer.page.click("[data-instruction='1']")
        box = viewer.page.locator("#play").bounding_box()
        assert box is not None
        assert 0.85 * PHONE[1] < box["y"] < PHONE[1] - box["height"]  # at the thumb
        first = viewer.page.locator("#learner").bounding_box()
        assert first is not None
        assert first["width"] > 170


def test_print_has_no_controls(open_page: Open) -> None:
    viewer = open_page()
    viewer.page.emulate_media(media="print")
    assert not viewer.page.locator("#play").is_visible()
    assert not viewer.page.locator("#tools").is_visible()
    assert viewer.page.locator("#learner").is_visible()
    viewer.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert viewer.page.get_by_text("Likely cause.").first.is_visible()


def test_picture_that_is_none_is_counted(open_page: Open, tmp_path: Path) -> None:
    images = make_images()
    images["learner"][3] = b"not a picture"
    write_page(tmp_path / "page.html", make_data(), images)
    viewer = open_page(tmp_path / "page.html", is_whole=False)
    viewer.page.get_by_text("Pictures that can't be shown: 1").wait_for()
    viewer.scrub(3)
    assert viewer.frame("learner") == FIRST["learner"] + 3
    assert near(viewer.colors("learner", (20, 20)), (40, 40, 40))


def test_numbers_end_where_the_uncertainty_does() -> None:
    cases = {
        (0.4667, 0.034, "s"): "0.47 ± 0.03 s",
        (0.4667, 0.0151, "s"): "0.467 ± 0.015 s",
        (142.31, 4.2, "degrees"): "142 ± 4°",
        (39.4, 12.0, "cm"): "39 ± 12 cm",
        (0.4667, None, "s"): "0.467 s",
        (3.0, 0.0, ""): "3",
        (None, 0.1, "s"): "\N{EN DASH}",
    }
    for (value, uncertainty, unit), text in cases.items():
        found = quantity({"value": value, "uncertainty": uncertainty}, unit)
        assert found.replace("\N{NO-BREAK SPACE}", " ") == text
    assert quantity(None, "s") == "\N{EN DASH}"


def test_embedded_json_ends_no_script_and_keeps_its_value() -> None:
    value = {"name": f"<!--{HOSTILE}\u2029", "numbers": [1.5, None]}
    assert not re.search("[<>&\u2028\u2029]", embed(value))
    assert json.loads(embed(value)) == value


def test_page_has_arrays_and_undefined_values(tmp_path: Path) -> None:
    data = make_data()
    data["numbers"][0]["learner"]["value"] = np.float32(np.nan)
    write_page(tmp_path / "page.html", data, {"learner": [], "standard": []})
    assert "NaN" not in (tmp_path / "page.html").read_text("utf-8")


def test_page_of_four_seconds_is_small(tmp_path: Path) -> None:
    data = make_data()
    for side in NUM_FRAMES:
        clip = data["clips"][side]
        clip["times_s"], clip["points"] = np.arange(120) / 30, [body(side)] * 120
    images = {side: [bytes(40_000)] * 120 for side in NUM_FRAMES}
    write_page(tmp_path / "page.html", data, images)
    assert (tmp_path / "page.html").stat().st_size < 15e6


def test_pictures_and_rows_must_fit_the_clips(tmp_path: Path) -> None:
    images = make_images()
    with pytest.raises(ValueError, match="47 pictures of the learner's 48 frames"):
        write_page(
            tmp_path / "page.html", make_data(), {**images, "learner": images["learner"][1:]}
        )
    with pytest.raises(ValueError, match="1 rows do not fit"):
        write_page(tmp_path / "page.html", {**make_data(), "rows": [[0, 40, 1]]}, images)
    assert not list(tmp_path.iterdir())
