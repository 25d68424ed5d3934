"""Read frames from video files, and write video files that every browser and phone plays."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.buffer import Buffer
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

from tcc.files import UserError, whole
from tcc.images import Image
from tcc.sidecars import MAX_PIXELS

log = logging.getLogger("tcc")
MAX_ASPECT = 4  # largest aspect ratio of a pixel that is used; widescreen has 2 at most
DECODER_THREADS = 4  # each keeps a frame in memory
TOO_LARGE = f"has more than {MAX_PIXELS / 1e6:.0f} million pixels; export it in a smaller size"
ROTATE = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a video, upright.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        time_s: time at which a player shows it.
        rotation_deg: by how many degrees the stored frame was turned counterclockwise: 0, 90, 180
            or 270.
        mirrored: whether left and right of the stored frame were swapped before the turn.
    """

    image: Image
    time_s: float
    rotation_deg: int
    mirrored: bool


def read_frames(path: Path, capture_fps: float | None = None) -> Iterator[Frame]:
    """Decode a video frame by frame, as a player shows it.

    Rotation flags and edit lists are applied. If the pixels are not square, the width is scaled by
    their aspect ratio. The times of the frames are those in the file, also at a variable frame
    rate, and the file starts at 0 s, though the clock of a camera may start later.

    Args:
        path: of the video.
        capture_fps: frames per second that the camera recorded, for slow-motion videos: the time
            of frame n is then n / capture_fps.

    Yields:
        Frames, all of one size.

    Raises:
        UserError: the file can't be read to its end; the message says why.
    """
    count = num_untimed = 0
    previous_s = -math.inf
    shape: tuple[int, ...] = ()
    with _open(path) as (container, stream):
        step_s = float(1 / (stream.average_rate or 30))
        start_s = max(container.start_time or 0, 0) / av.time_base
        aspect = _pixel_aspect(stream)
        turned = None
        for decoded in _decode(path, container, stream):
            # Reading a frame's side data makes a reference cycle. Such frames stay in memory until
            # the garbage collector runs, up to gigabytes. So they are read only when needed.
            if decoded.rotation != turned:
                turned = decoded.rotation
                rotation_deg, mirrored = _orientation(decoded)
            width = round(decoded.width * aspect)
            if width * decoded.height > MAX_PIXELS:
                raise UserError(f"{path} frame {count}: {TOO_LARGE}")
            try:
                shown = decoded.reformat(width, decoded.height, "bgr24")
            except (av.FFmpegError, ValueError) as error:
                raise UserError(
                    f"{path} frame {count}: can't be converted ({error}); the file is damaged: "
                    "copy it from the camera again"
                ) from None
            image = _upright(shown.to_ndarray(), rotation_deg, mirrored)
            if count and image.shape != shape:
                raise UserError(
                    f"{path} frame {count}: the size changes from {shape[1::-1]} to "
                    f"{image.shape[1::-1]}; export the video in one size"
                )
            shape = image.shape
            time_s = decoded.time
            if start_s and time_s is not None:
                time_s = max(time_s - start_s, 0.0)
            if capture_fps is not None:
                time_s = count / capture_fps
            elif decoded.pts is None or time_s <= previous_s:
                time_s = previous_s + step_s if count else 0.0
                num_untimed += 1
            previous_s = time_s
            yield Frame(image, time_s, rotation_deg, mirrored)
            count += 1
    if not count:
        raise UserError(f"{path}: the video holds no frame; copy it from the camera again")
    if num_untimed:
        log.warning(
            "%s: %d frame(s) have no usable time in the file; evenly spaced times are used",
            path, num_untimed,
        )  # fmt: skip


def count_frames(path: Path) -> int | None:
    """Return about how many frames a video has, without decoding it; None if unknown.

    Raises:
        UserError: the file is not a complete video.
    """
    with _open(path) as (container, stream):
        if stream.frames:
            return stream.frames
        if container.duration is None or stream.average_rate is None:
            return None
        return round(container.duration / av.time_base * stream.average_rate)


def write_video(
    path: Path, frames: Iterable[Image], fps: float | Fraction, hold_repeated: bool = False
) -> int:
    """Write a video, completely or not at all: H.264, yuv420p, with the index at the front.

    Args:
        path: of the video, .mp4.
        frames: (H, W, 3) uint8 BGR, all of one size. H.264 needs an even size: the last row or
            column of an odd one is repeated.
        fps: frames per second.
        hold_repeated: do not encode an array again that is repeated, but show it for longer. The
            frame rate is then variable.

    Returns:
        The number of frames that the video shows.

    Raises:
        ValueError: there is no frame, or a frame has another shape than the first.
        UserError: the file can't be written.
    """
    rate = Fraction(fps).limit_denominator(1001)
    count = 0
    with (
        whole(path) as temporary,
        av.open(str(temporary.absolute()), "w", options={"movflags": "+faststart"}) as container,
    ):
        stream = container.add_stream("libx264", rate, {"crf": "20", "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = 1  # BT.709, which players expect for HD
        shape: tuple[int, ...] = ()

        def encode(image: Image, index: int) -> None:
            height, width = image.shape[:2]
            even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
            frame = av.VideoFrame.from_ndarray(even, "bgr24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))

        previous: Image | None = None
        encoded = -1
        for image in frames:
            height, width = image.shape[:2]
            if not count:
                shape = image.shape
                stream.height, stream.width = height + height % 2, width + width % 2
            if image.shape != shape or image.dtype != np.uint8:
                raise ValueError(
                    f"{path} frame {count}: expected uint8 {shape}, got {image.dtype} {image.shape}"
                )
            if image is not previous or not hold_repeated:
                encode(image, count)
                previous, encoded = image, count
            count += 1
        if previous is None:
            raise ValueError(f"{path}: no frames to write")
        if encoded < count - 1:  # its second copy makes the last picture last until the end
            encode(previous, count - 1)
        container.mux(stream.encode())
    return count


@contextmanager
def _open(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file and its video stream; raise UserError if it is not a complete video."""
    try:
        size, declared = path.stat().st_size, _declared_size(path)
        if not size:
            raise UserError(f"{path}: empty file; copy it from the camera again")
        if size < declared:
            raise UserError(
                f"{path}: the file is incomplete, {size} of at least {declared} bytes; copy it "
                "from the camera again"
            )
        # The path is absolute because FFmpeg reads the "12:" of "12:30 jump.mp4" as a protocol.
        container = av.open(str(path.absolute()))
    except (OSError, av.FFmpegError) as error:
        raise UserError(
            f"{path}: can't be read as a video ({error.strerror}); choose another file"
        ) from None
    with container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
            raise UserError(f"{path}: holds sound only; choose the video file")
        if container.format.name.endswith("_pipe") or container.format.name == "image2":
            raise UserError(f"{path}: holds a single picture only; choose the video file")
        if getattr(stream, "codec_context", None) is None:
            raise UserError(f"{path}: in a codec that is not known; export it as .mp4 with H.264")
        if stream.width * stream.height > MAX_PIXELS:
            raise UserError(f"{path}: {TOO_LARGE}")
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = DECODER_THREADS
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # also of later frames
        yield container, stream


def _decode(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Yield the decoded frames; raise UserError if a frame can't be decoded."""
    count = 0
    try:
        for packet in container.demux(stream):
            if packet.has_sidedata("encryption_info"):
                raise UserError(f"{path}: encrypted (DRM); use a copy that is not encrypted")
            for frame in packet.decode():
                yield frame
                count += 1
    except av.FFmpegError as error:
        raise UserError(
            f"{path} frame {count}: can't be decoded ({error.strerror}); the file is damaged or "
            "encrypted: copy it from the camera again"
        ) from None


def _declared_size(path: Path) -> int:
    """Return the number of bytes that a file must at least have by its headers; 0 if unknown.

    Decoders give no error at the end of a file that is cut off, so only the headers show that it is
    incomplete. MP4 and MOV: ISO/IEC 14496-12, section 4.2; MKV and WebM: RFC 8794, sections 4 and
    6; AVI: the size of the RIFF chunk.
    """
    with path.open("rb") as file:
        head = file.read(4096)
        if head[:4] == b"RIFF":
            return 8 + int.from_bytes(head[4:8], "little")
        if head[:4] == b"\x1a\x45\xdf\xa3":
            start = head.find(b"\x18\x53\x80\x67") + 4
            if start < 4 or not head[start]:
                return 0
            length = 9 - head[start].bit_length()
            bits = (1 << 7 * length) - 1
            value = int.from_bytes(head[start : start + length], "big") & bits
            return start + length + value if value != bits else 0
        if head[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return 0
        position = 0
        while len(box := head[:16]) >= 8:
            size = int.from_bytes(box[:4], "big")
            if size == 1:
                size = int.from_bytes(box[8:16], "big")
            if size < 8:  # size 0: the box ends at the end of the file
                return 0
            position += size
            file.seek(position)
            head = file.read(16)
        return position


def _pixel_aspect(stream: VideoStream) -> Fraction:
    """Return the width of a stored pixel by its height, as players show it."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    is_usable = 1 / MAX_ASPECT <= aspect <= MAX_ASPECT  # another value is a mistake of a writer
    return aspect if is_usable else Fraction(1)


def _orientation(frame: av.VideoFrame) -> tuple[int, bool]:
    """Return `rotation_deg` and `mirrored` of a frame: see `Frame`."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, Buffer):
        return 0, False
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].astype(float)
    mirrored = bool(a * d < b * c)
    if mirrored:
        a, b = -a, -b
    return round(math.degrees(math.atan2(-b, a)) / 90) * 90 % 360, mirrored


def _upright(image: NDArray[Any], rotation_deg: int, mirrored: bool) -> Image:
    """Return an image (H, W, 3), mirrored if `mirrored` is True, and then turned."""
    if mirrored:
        image = cv2.flip(image, 1)
    return np.asarray(cv2.rotate(image, ROTATE[rotation_deg]) if rotation_deg else image, np.uint8)
