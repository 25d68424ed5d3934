"""The page of the report: one HTML file that holds everything it shows.

It opens from disk, also on a phone that can't read the files beside it, and requests nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tcc.coco import LIMBS
from tcc.draw import FACE, LEFT, MARK, RIGHT, TRUNK, Color
from tcc.files import whole

SOURCES = Path(__file__).parent
SIDES = ("learner", "standard")
UNKNOWN = "\N{EN DASH}"
# JSON inside HTML: no character that could end the script element or a line of the script.
ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def write_page(path: Path, data: Mapping[str, Any], images: Mapping[str, Sequence[bytes]]) -> None:
    """Write the page, completely or not at all.

    Every text in `data` is shown as it is: none can add elements or run as a script. A value that
    is not defined is None or NaN. An index counts the shown frames of a clip; the number of a frame
    that people read is `first_frame` + index.

    Args:
        path: the HTML file.
        data: plain values, lists and NumPy arrays. `title`, `motion`; `trust`: `state` ("sure",
            "unsure" or "not found"), `text`, `warnings`; `clips`: for "learner" and "standard" the
            `name`, `first_frame`, `total_frames`, `times_s` (F), `size` (width, height of the
            pictures, px), `points` (F, 51: x px, y px, confidence of 17 joints), `threshold` of
            their confidence, `mirrored`: pictures and points are those of the mirror image;
            `rows` (R, 3: index in the learner, index in the standard, whether they match);
            `events`, `phases` and `curves` on these rows; `numbers`, `instructions`, `silence`,
            `limits` and `links` to files beside the page. An instruction may name its `curve`.
        images: JPEG pictures of all shown frames of "learner" and "standard"; none: the skeletons
            are drawn on plain ground.

    Raises:
        UserError: the file can't be written.
        ValueError: the number of pictures or rows does not fit the clips.
    """
    plain = json.loads(msgspec.json.encode(data, enc_hook=lambda value: value.tolist()))
    _check(plain, images)
    environment = Environment(
        loader=FileSystemLoader(SOURCES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"quantity": quantity, "beside": lambda name: f"./{quote(name)}"}
    script, style = ((SOURCES / f"page.{kind}").read_text("utf-8") for kind in ("js", "css"))
    html = environment.get_template("page.html").render(
        **plain,
        sides=SIDES,
        script=Markup(script),  # noqa: S704 - a file of this program
        style=Markup(style),  # noqa: S704 - a file of this program
        script_hash=_hash(script),
        style_hash=_hash(style),
        data=embed({**plain, "skeleton": _skeleton()}),
        pictures=embed(
            {side: [base64.b64encode(image).decode() for image in images[side]] for side in SIDES}
        ),
    )
    with whole(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def embed(value: Any) -> Markup:
    """Return a value as JSON that can stand in a script element of an HTML page."""
    encoded = json.dumps(value, allow_nan=False, separators=(",", ":")).translate(ESCAPES)
    return Markup(encoded)  # noqa: S704 - ESCAPES leaves nothing that ends the script element


def quantity(measured: Mapping[str, Any] | None, unit: str) -> str:
    """Return a value with its uncertainty and unit, such as "0.43 ± 0.03 s".

    The last digit is the first of the uncertainty, or the second if the first is 1 or 2.

    Args:
        measured: `value` and `uncertainty`, each may be None.
        unit: of both.
    """
    if measured is None or measured["value"] is None:
        return UNKNOWN
    value, uncertainty = measured["value"], measured["uncertainty"]
    unit = "°" if unit == "degrees" else f"\N{NO-BREAK SPACE}{unit}".rstrip()
    if not uncertainty:
        return f"{value:.3g}{unit}"
    exponent = math.floor(math.log10(uncertainty))
    decimals = max(0, (uncertainty < 3 * 10**exponent) - exponent)
    between = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
    return f"{value:.{decimals}f}{between}{uncertainty:.{decimals}f}{unit}"


def _check(data: Mapping[str, Any], images: Mapping[str, Sequence[bytes]]) -> None:
    lengths = {side: len(data["clips"][side]["times_s"]) for side in SIDES}
    for side, length in lengths.items():
        if len(images[side]) not in (0, length):
            raise ValueError(f"{len(images[side])} pictures of the {side}'s {length} frames")
    rows = data["rows"]
    if not rows or any(not 0 <= row[i] < lengths[SIDES[i]] for row in rows for i in (0, 1)):
        raise ValueError(f"{len(rows)} rows do not fit {lengths} frames")


def _skeleton() -> dict[str, Any]:
    """Return the limbs and colours of tcc/draw.py."""
    return {
        "limbs": [limb for limb in LIMBS if limb[0] not in FACE],
        "face": FACE,
        "left": _css(LEFT),
        "right": _css(RIGHT),
        "trunk": _css(TRUNK),
        "mark": _css(MARK),
    }


def _css(color: Color) -> str:
    blue, green, red = color
    return f"#{red:02x}{green:02x}{blue:02x}"


def _hash(content: str) -> str:
    """Return the hash by which the page's policy allows this script or style, and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
