"""Finds the frame of each image by its name: names of any system, numbers or times."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np

from tcc.files import UserError

log = logging.getLogger("tcc")
Number = int | float

SUFFIXES = {
    "jpg", "jpeg", "jpe", "png", "bmp", "webp", "tif", "tiff", "gif", "jp2", "heic", "avif",
}  # fmt: skip
MAX_NUMBER = 10**9  # a larger number is not the number of a frame
MAX_NUMBER_GAP = 100_000  # largest number of frames that show nobody by the image numbers
STEADY = 0.25  # largest error of an interval between two times, as a share of the usual interval
MIN_TIMES = 8  # whole numbers are only taken for times if there are at least so many
MIN_STEP_MS = 10  # whole numbers that are this far apart are times, not every tenth frame
MIN_UNEVEN_STEP_MS = 4  # the same if the steps differ, as times do that are rounded: 4, 8, 13
USE_IMAGES = (
    "put the images of all frames into vis/ beside this file: their sorted names give the order"
)


def stem(name: str) -> str:
    """Return the name of an image without its folders, of any system, and without its suffix."""
    if "/" in name or "\\" in name:
        path = unquote(urlsplit(name).path) if "://" in name else name
        name = path.replace("\\", "/").rpartition("/")[2]
    head, _, suffix = name.rpartition(".")
    if head and suffix.lower() in SUFFIXES:
        name = head
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts 2.jpg before 10.jpg."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    ]


def sort_images(names: Sequence[str]) -> list[str]:
    """Return the names of a clip's images in the order of its frames.

    They are sorted by the number that varies from name to name; see `read_numbers`. Without such a
    number, all numbers in the names count, from left to right.
    """
    numbers = read_numbers(list(map(stem, names)))
    if numbers is None:
        return sorted(names, key=natural_key)
    return [name for _, name in sorted(zip(numbers, names, strict=True))]


def read_numbers(stems: Sequence[str]) -> list[Number] | None:
    """Return the number in each of several names that tells the images apart.

    Such a number has the same text before it in all names, or the same text after it. Two numbers
    with a point or a comma between them are one decimal number, if they are written like decimal
    numbers. If several numbers tell the images apart, whole numbers come first, and of these the
    one that varies least: it is a count, and the other a time.

    Returns:
        The numbers; None if no number tells all images apart.
    """
    if all(map(str.isdecimal, stems)):  # as AlphaPose names the frames of a video
        counts: list[Number] = [int(name) for name in stems]
        return counts if len(set(counts)) == len(counts) else None
    for with_decimals in (True, False):
        found = []
        for place, column in _columns(stems, with_decimals):
            numbers = _read_column(column)
            if numbers is not None and len(set(numbers)) == len(numbers):
                is_decimal = any(isinstance(number, float) for number in numbers)
                found.append((is_decimal, max(numbers) - min(numbers), -place, numbers))
        if found:
            return min(found)[-1]
    return None


def _columns(stems: Sequence[str], with_decimals: bool) -> list[tuple[int, tuple[str, ...]]]:
    """Return the numbers at the same place in all names, each with its place, as text."""
    split = [_split(name, with_decimals) for name in stems]
    columns = []
    for step in (1, -1):
        for place, parts in enumerate(zip(*(name[::step] for name in split), strict=False)):
            if place % 2:
                columns.append((step * place, parts))
            elif len(set(parts)) > 1:
                break
    return columns


def _split(name: str, with_decimals: bool) -> list[str]:
    """Split a name into text, number, text, number ... text."""
    result: list[str] = []
    for part in re.split(r"(\d+(?:[.,]\d+)*)", name):
        pieces = re.split(r"([.,])", part) if part[:1].isdecimal() else [part]
        result += [part] if with_decimals and len(pieces) == 3 else pieces
    return result


def _read_column(texts: Sequence[str]) -> list[Number] | None:
    """Return the values of numbers; None if some look like decimal numbers and are none."""
    pieces = [re.split(r"[.,]", text) for text in texts]
    fractions = [piece[1] for piece in pieces if len(piece) == 2]
    if not fractions:
        return [int(text) for text in texts]
    widths = {len(fraction) for fraction in fractions}
    if any("," in text for text in texts) and len(fractions) < len(texts) and widths == {3}:
        return [int(text.replace(",", "")) for text in texts]  # 999 and 1,000
    if len(widths) > 1 and any(len(text) > 1 and text.endswith("0") for text in fractions):
        return None  # 1.9 and 1.10 are two whole numbers each
    if len({piece[0] for piece in pieces}) == 1 and len(widths) == 1:
        steps = np.diff(sorted(map(int, fractions)))
        if steps.min(initial=MAX_NUMBER) == 1:
            return None  # 2.0001 and 2.0002: the part after the point counts the images
    return [float(text.replace(",", ".")) for text in texts]


def number_frames(path: Path, names: Sequence[str], listed: bool) -> list[int]:
    """Return the frame of each image by the number in its name, counted from 0.

    AlphaPose counts the frames of a video from 0 and leaves out those that show nobody. So if the
    names begin with 1.jpg, frame 0 shows nobody. But the first image is frame 0 if the smallest
    number is at least the number of images, if all frames are listed, or if the names are the
    numbers 1, 2, 3 ... without gaps or suffix. A log line tells this.

    Numbers that are written with decimals, and whole numbers that are as far apart as milliseconds,
    are times. At a steady spacing, a missing time is a frame that shows nobody. Otherwise the
    images are the frames, in the order of their times. The first image is frame 0.

    Args:
        path: of the keypoint file, for messages.
        names: of different images.
        listed: whether the names are those of all frames, also of frames that show nobody.

    Raises:
        UserError: a name holds no frame number, or two names hold the same one.
    """
    numbers = read_numbers(list(map(stem, names))) or _last_numbers(path, names)
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    values = [numbers[index] for index in order]
    first = names[order[0]]
    if _are_times(values):
        ranks = _spacing(values)[1]
        places = list(range(len(values))) if ranks is None else ranks
        if values[-1] >= MAX_NUMBER and (ranks is None or len(values) == 2):
            raise UserError(
                f"{path} frame {names[order[-1]]}: the name holds no frame number; {USE_IMAGES}"
            )
        _tell_first(path, values, first, True)
    else:
        lists_all = listed or _count_from_1(names, values) or values[0] >= len(values)
        origin = values[0] if lists_all else 0
        places = [int(value - origin) for value in values]
        if values[0]:
            _tell_first(path, values, first, bool(origin))
    if places[-1] >= MAX_NUMBER_GAP + len(values):
        raise UserError(
            f"{path}: {len(values)} images are numbered {values[0]} to {values[-1]}; {USE_IMAGES}"
        )
    frames = np.empty(len(values), int)
    frames[order] = places
    return [int(frame) for frame in frames]


def _count_from_1(names: Sequence[str], values: Sequence[Number]) -> bool:
    """Return whether names are the numbers 1, 2, 3 ... without gaps; `values` are sorted."""
    return all(map(str.isdecimal, names)) and list(values) == list(range(1, len(values) + 1))


def _tell_first(path: Path, values: Sequence[Number], name: str, is_first_frame: bool) -> None:
    """Log which image is frame 0, for images with sorted numbers or times `values`."""
    first = f"number {name}" if name.isdecimal() else name
    if _are_times(values):
        step, ranks = _spacing(values)
        spacing = f"{step:.6g} apart" if ranks else "unevenly spaced, so their order is used"
        log.info(
            "%s: images are named by time, %s; frame 0 in labels and results is %s",
            path, spacing, first,
        )  # fmt: skip
    elif is_first_frame:
        log.info(
            "%s: images are numbered from %d; frame 0 in labels and results is %s",
            path, values[0], first,
        )  # fmt: skip
    else:
        nobody = "frame 0 shows" if values[0] == 1 else f"frames 0 to {int(values[0]) - 1} show"
        log.info(
            "%s: the first image is number %d, so %s nobody; if that image is the first frame of "
            "the clip, %s",
            path, values[0], nobody, USE_IMAGES,
        )  # fmt: skip


def _last_numbers(path: Path, names: Sequence[str]) -> list[Number]:
    """Return the last number in each name.

    Raises:
        UserError: a name holds none, or two names hold the same one.
    """
    found: dict[Number, str] = {}
    for name in names:
        digits = re.findall(r"\d+", stem(name))
        if not digits or int(digits[-1]) >= MAX_NUMBER:
            raise UserError(f"{path} frame {name}: the name holds no frame number; {USE_IMAGES}")
        other = found.setdefault(int(digits[-1]), name)
        if other != name:
            raise UserError(
                f"{path}: images {other} and {name} have the same frame number; {USE_IMAGES}"
            )
    return list(found)


def _are_times(values: Sequence[Number]) -> bool:
    """Return whether sorted numbers are times rather than the numbers of frames."""
    if any(isinstance(value, float) for value in values):
        return True
    step, ranks = _spacing(values)
    if values[-1] >= MAX_NUMBER:
        return step != 1
    steps = np.diff(values)
    is_uneven = step >= MIN_UNEVEN_STEP_MS and len(set(steps)) > 1
    return len(values) >= MIN_TIMES and ranks is not None and (step >= MIN_STEP_MS or is_uneven)


def _spacing(values: Sequence[Number]) -> tuple[float, list[int] | None]:
    """Return the spacing of sorted numbers, and the place of each; None if it is not steady."""
    steps = np.diff(np.array(values) - values[0]).astype(float)
    if not len(steps):
        return 1.0, [0]
    step = float(steps[np.round(steps / steps.min()) == 1].mean())
    counts = np.round(steps / step)
    is_steady = np.abs(steps / step - counts).max() <= STEADY and counts.sum() < MAX_NUMBER
    return step, [0, *np.cumsum(counts).astype(int).tolist()] if is_steady else None


def match_images(
    path: Path, names: Sequence[str], image_names: Sequence[str], listed: bool
) -> list[int]:
    """Return the frame of each image by the images in vis/.

    Names are compared without folders and suffixes. If they differ, the numbers in them are
    compared. If these differ too, and all frames are listed or the names are numbers from 0, the
    frames are in the order of the images.

    Args:
        path: of the keypoint file, for messages.
        names: of different images in that file.
        image_names: of vis/, sorted; image i shows frame i.
        listed: whether the names are those of all frames, also of frames that show nobody.

    Raises:
        UserError: vis/ does not hold an image, or two with the same name.
    """
    keys = [stem(name).casefold() for name in image_names]
    place = {key: frame for frame, key in enumerate(keys)}
    if len(place) < len(keys):
        raise UserError(
            f"{path}: vis/ holds {len(keys)} images with {len(place)} different names; keep one "
            "image file for each name"
        )
    numbers = read_numbers([stem(name) for name in image_names])
    if numbers is not None and numbers[0]:
        _tell_first(path, numbers, image_names[0], True)
    found = [place.get(stem(name).casefold()) for name in names]
    if None in found:
        found = _match_numbers(names, numbers, len(keys), listed) or found
        if None not in found and not all(map(str.isdecimal, names)):
            log.info(
                "%s: the images in vis/ have other names: %s is %s",
                path, names[0], image_names[found[0] or 0],
            )  # fmt: skip
    frames = [frame for frame in found if frame is not None]
    if len(frames) < len(names):
        raise UserError(
            f"{path} frame {names[found.index(None)]}: vis/ holds no such image ({image_names[0]} "
            f"to {image_names[-1]}); put every frame of the video there"
        )
    return frames


def _match_numbers(
    names: Sequence[str], image_numbers: Sequence[Number] | None, num_images: int, listed: bool
) -> list[int | None] | None:
    """Return the frames of names that differ from those in vis/; None if they do not match."""
    numbers = read_numbers([stem(name) for name in names])
    if numbers is None:
        return None
    place = {number: frame for frame, number in enumerate(image_numbers or ())}
    if all(number in place for number in numbers):
        return [place[number] for number in numbers]
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    if (listed or _count_from_1(names, sorted(numbers))) and len(numbers) == num_images:
        ranks: list[int | None] = [None] * len(numbers)
        for rank, index in enumerate(order):
            ranks[index] = rank
        return ranks
    if min(numbers) == 0 and max(numbers) < num_images and all(isinstance(n, int) for n in numbers):
        return [int(number) for number in numbers]
    return None
