"""Pictures: the frames of a clip, and JPEG files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tcc.files import UserError, whole

Image = NDArray[np.uint8]
JPEG_QUALITY = 90  # 45 dB at 0.2 MB a 720p frame: no block is seen around a drawn limb


def read_image(path: Path) -> Image:
    """Read a picture (H, W, 3) BGR.

    Raises:
        UserError: the file is not a picture, or can't be read.
    """
    image, reason = None, " is not a picture"
    try:
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except OSError as error:
        reason = f": {error.strerror}"
    except cv2.error:  # of an empty file, or of more pixels than it takes
        pass
    if image is None:
        raise UserError(f"{path}{reason}; extract the video's frames again")
    return np.asarray(image, np.uint8)


def write_image(path: Path, image: Image) -> None:
    """Write a picture (H, W, 3) BGR as JPEG, whole or not at all.

    Raises:
        UserError: no JPEG is as large as the picture.
    """
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        height, width = image.shape[:2]
        raise UserError(f"{path}: no JPEG holds {width} x {height} px; draw less at once")
    with whole(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def read_frame(images: Sequence[Path], frame: int) -> NDArray[np.uint8]:
    """Read the picture (H, W, 3) BGR of a clip's frame.

    Raises:
        UserError: see `read_image`; or it is of another size than the first.
    """
    image = read_image(images[frame])
    size, usual = (f"{shape[1]} x {shape[0]}" for shape in (image.shape, _shape(images[0])))
    if size != usual:
        raise UserError(
            f"{images[frame]} is {size} px, {images[0].name} {usual}; extract the video's frames "
            "again"
        )
    return image


@lru_cache
def _shape(path: Path) -> tuple[int, ...]:
    return read_image(path).shape
