"""Video files: frames out of them, and frames into a file that every browser and phone plays."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tcc.cli import whole

Image = NDArray[np.uint8]


def write_video(path: Path, frames: Iterable[Image], fps: float | Fraction) -> int:
    """Write H.264, yuv420p, with the index at the front, whole or not at all.

    Args:
        path: .mp4.
        frames: (H, W, 3) uint8 BGR, all of one size; an odd size gains a row or column at the edge.
        fps: frames per second.

    Returns:
        How many frames were written.

    Raises:
        ValueError: no frame, or one of another shape than the first.
    """
    rate = Fraction(fps).limit_denominator(1001)
    count = 0
    with (
        whole(path) as temporary,
        av.open(str(temporary), "w", options={"movflags": "+faststart"}) as container,
    ):
        stream = container.add_stream("libx264", rate, {"crf": "20", "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = 1  # BT.709, what players take untagged HD for
        shape: tuple[int, ...] = ()
        for image in frames:
            height, width = image.shape[:2]
            if not count:
                shape = image.shape
                stream.height, stream.width = height + height % 2, width + width % 2
            if image.shape != shape or image.dtype != np.uint8:
                raise ValueError(
                    f"{path} frame {count}: expected uint8 {shape}, got {image.dtype} {image.shape}"
                )
            even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
            frame = av.VideoFrame.from_ndarray(even, "bgr24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
            count += 1
        if not count:
            raise ValueError(f"{path}: no frames to write")
        container.mux(stream.encode())
    return count
