"""Read the images of a clip, and write JPEG files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tcc.files import UserError, whole

Image = NDArray[np.uint8]
PLAIN = (225, 225, 225)  # BGR, ground of a clip without images
JPEG_QUALITY = 90  # a 720p frame has 0.2 MB, and no JPEG blocks are visible around limbs


def read_image(path: Path) -> Image:
    """Return the image in a file, (H, W, 3) uint8 BGR.

    Raises:
        UserError: the file is not an image, or can't be read.
    """
    image, reason = None, " is not a picture, or is too large"
    try:
        content = np.fromfile(path, np.uint8)
        if _is_cut(content.tobytes()):
            reason = " is cut off"
        else:
            image = cv2.imdecode(content, cv2.IMREAD_COLOR)
    except OSError as error:
        reason = f": {error.strerror}"
    except cv2.error:  # the file is empty, or the image is too large for OpenCV
        pass
    if image is None:
        raise UserError(f"{path}{reason}; extract the video's frames again")
    return np.asarray(image, np.uint8)


def _is_cut(content: bytes) -> bool:
    """Return whether the end of a JPEG or PNG file is missing; OpenCV then shows a part of it."""
    if content.startswith(b"\xff\xd8"):
        scan = content.find(b"\xff\xda")
        return content.find(b"\xff\xd9", max(scan, 0)) < 0
    return content.startswith(b"\x89PNG") and b"IEND" not in content


def write_image(path: Path, image: Image) -> None:
    """Write an image (H, W, 3) uint8 BGR as PNG or JPEG, completely or not at all.

    Raises:
        UserError: the image is too large for JPEG, or the file can't be written.
    """
    is_png = path.suffix == ".png"
    quality = [] if is_png else [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    done, encoded = cv2.imencode(".png" if is_png else ".jpg", image, quality)
    if not done:
        height, width = image.shape[:2]
        raise UserError(
            f"{path}: {width} x {height} px is too large for a JPEG; draw fewer clips at once"
        )
    with whole(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def read_frame(images: Sequence[Path], frame: int) -> NDArray[np.uint8]:
    """Return the image of a clip's frame, (H, W, 3) uint8 BGR.

    Args:
        images: the files of all frames.
        frame: number of the frame, from 0.

    Raises:
        UserError: see `read_image`; or the image has another size than the first one.
    """
    image = read_image(images[frame])
    size, first = image.shape[1::-1], image_size(images[0])
    if size != first:
        raise UserError(
            f"{images[frame]} is {size[0]} x {size[1]} px, but {images[0].name} is {first[0]} x "
            f"{first[1]} px; extract the video's frames again"
        )
    return image


@lru_cache(maxsize=8)
def plain_image(size_px: tuple[int, int]) -> Image:
    """Return a plain light image (H, W, 3) of width and height px; do not change it."""
    return np.full((*size_px[::-1], 3), PLAIN, np.uint8)


@lru_cache
def image_size(path: Path) -> tuple[int, int]:
    """Return the width and height of an image in px.

    Raises:
        UserError: see `read_image`.
    """
    height, width = read_image(path).shape[:2]
    return width, height
