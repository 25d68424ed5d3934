"""Written videos are read back frame by frame; the error for other files says why."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tcc import video
from tcc.clip_folders import VIDEO_SUFFIXES
from tcc.files import UserError
from tcc.images import Image, read_image, write_image
from tcc.video import Frame, count_frames, read_frames, write_video

HEIGHT, WIDTH = 64, 96
KEY = "0123456789abcdef0123456789abcdef"
BITS = 6


def marked(number: int, height: int = HEIGHT, width: int = WIDTH) -> Image:
    """Return a frame that shows its number in six dark or bright squares, and a red corner."""
    image = np.full((height, width, 3), 128, np.uint8)
    for bit in range(BITS):
        image[24:40, 16 * bit : 16 * bit + 16] = 230 if number >> bit & 1 else 25
    image[:16, :16] = (0, 0, 255)
    return image


def number_of(image: Image) -> int:
    """Read the number of an upright frame."""
    assert image[4:12, 4:12, 2].mean() > 180
    assert image[4:12, 4:12, :2].mean() < 70
    return sum((image[32, 16 * bit + 8].mean() > 128) << bit for bit in range(BITS))


def write(
    path: Path,
    images: Sequence[Image],
    codec: str = "libx264",
    *,
    pixels: str = "yuv420p",
    rate: int | Fraction = 30,
    pts: Sequence[int] | None = None,
    rotation: tuple[int, bool] = (0, False),
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    container_format: str | None = None,
    aspect: Fraction | None = None,
) -> None:
    """Encode a video; `pts`, in milliseconds, gives a variable frame rate."""
    with av.open(
        str(path), "w", format=container_format, options=container_options or {}
    ) as container:
        stream: Any = container.add_stream(codec, rate, options or {})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixels
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation != (0, False):
            stream.set_display_rotation(rotation[0], hflip=rotation[1])
        if pts is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, "bgr24")
            if pts is not None:
                frame.pts, frame.time_base = pts[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def numbers_and_times(frames: Iterator[Frame]) -> tuple[list[int], list[float]]:
    pairs = [(number_of(frame.image), frame.time_s) for frame in frames]
    return [number for number, _ in pairs], [time_s for _, time_s in pairs]


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "size", "options"),
    [
        ("b_frames.mp4", "libx264", "yuv420p", (64, 96), {"bf": "3", "g": "12"}),
        ("open_gop.mov", "libx264", "yuv420p", (64, 96), {"x264-params": "open-gop=1:bframes=3"}),
        ("ten_bit.mp4", "libx264", "yuv420p10le", (64, 96), {}),
        ("odd.mp4", "libx264", "yuv444p", (65, 97), {}),
        ("odd.webm", "libvpx-vp9", "yuv420p", (65, 97), {"deadline": "realtime", "cpu-used": "8"}),
        ("odd.avi", "mpeg4", "yuv420p", (65, 97), {}),
        ("odd.mkv", "ffv1", "bgr0", (65, 97), {}),
    ],
)
def test_every_frame_comes_once_and_in_order(
    tmp_path: Path,
    name: str,
    codec: str,
    pixels: str,
    size: tuple[int, int],
    options: dict[str, str],
) -> None:
    path = tmp_path / name
    write(path, [marked(n, *size) for n in range(40)], codec, pixels=pixels, options=options)
    frames = list(read_frames(path))
    assert [number_of(frame.image) for frame in frames] == list(range(40))
    assert {frame.image.shape for frame in frames} == {(*size, 3)}
    assert count_frames(path) == 40
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(40) / 30, atol=0.0006)
    for number in (0, 39):
        difference = frames[number].image.astype(int) - marked(number, *size)
        assert np.abs(difference).mean() < 6


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(60000, 1001), Fraction(30)])
def test_times_at_a_constant_rate(tmp_path: Path, rate: Fraction) -> None:
    path = tmp_path / "clip.mp4"
    write(path, [marked(n) for n in range(50)], rate=rate)
    numbers, times_s = numbers_and_times(read_frames(path))
    assert numbers == list(range(50))
    np.testing.assert_allclose(times_s, np.arange(50) / float(rate), atol=1e-6)


@pytest.mark.parametrize("name", ["variable.mp4", "variable.mkv"])
def test_times_at_a_variable_rate(tmp_path: Path, name: str) -> None:
    steps = np.random.default_rng(0).integers(10, 90, 39)
    pts = [0, *np.cumsum(steps).tolist()]
    write(tmp_path / name, [marked(n) for n in range(40)], pts=pts, options={"bf": "2"})
    numbers, times_s = numbers_and_times(read_frames(tmp_path / name))
    assert numbers == list(range(40))
    np.testing.assert_allclose(times_s, np.array(pts) / 1000, atol=0.0011)


@pytest.mark.parametrize(
    ("name", "codec", "container_format", "pixels"),
    [
        ("a.m4v", "libx264", "mp4", "yuv420p"), ("A.MTS", "libx264", "mpegts", "yuv420p"),
        ("a.m2ts", "libx264", "mpegts", "yuv420p"), ("a.ts", "libx264", None, "yuv420p"),
        ("a.mpg", "mpeg2video", None, "yuv420p"), ("a.mpeg", "mpeg2video", None, "yuv420p"),
        ("a.vob", "mpeg2video", None, "yuv420p"), ("a.wmv", "wmv2", None, "yuv420p"),
        ("a.asf", "wmv2", None, "yuv420p"), ("a.3gp", "mpeg4", None, "yuv420p"),
        ("a.3g2", "mpeg4", None, "yuv420p"), ("a.flv", "flv", None, "yuv420p"),
        ("a.mxf", "mpeg2video", None, "yuv420p"), ("a.qt", "libx264", "mov", "yuv420p"),
        ("a.divx", "mpeg4", "avi", "yuv420p"), ("a.gif", "gif", None, "rgb8"),
        ("a.ogv", "libvpx", "ogg", "yuv420p"),
    ],
)  # fmt: skip
def test_every_ending_is_read_from_0_s(
    tmp_path: Path, name: str, codec: str, container_format: str | None, pixels: str
) -> None:
    path = tmp_path / name
    assert path.suffix.lower() in VIDEO_SUFFIXES
    write(
        path, [marked(n) for n in range(12)], codec, rate=25, pixels=pixels,
        container_format=container_format,
    )  # fmt: skip
    numbers, times_s = numbers_and_times(read_frames(path))
    assert numbers == list(range(12))
    np.testing.assert_allclose(times_s, np.arange(12) / 25, atol=0.002)


@pytest.mark.parametrize("name", ["square.mp4", "square.mts", "square.mkv"])
@pytest.mark.parametrize(
    ("aspect", "width"), [((16, 9), 170), ((4, 3), 128), ((10, 11), 87), ((1, 1), 96)]
)
def test_pixels_that_are_not_square_are_shown_as_players_do(
    tmp_path: Path, name: str, aspect: tuple[int, int], width: int
) -> None:
    write(
        tmp_path / name, [marked(n) for n in range(12)], aspect=Fraction(*aspect),
        container_format="mpegts" if name.endswith("mts") else None,
    )  # fmt: skip
    frames = list(read_frames(tmp_path / name))
    assert {frame.image.shape for frame in frames} == {(HEIGHT, round(96 * Fraction(*aspect)), 3)}
    assert abs(frames[0].image.shape[1] - width) <= 1
    wide = cv2.resize(marked(2), (frames[2].image.shape[1], HEIGHT))
    assert np.abs(frames[2].image.astype(int) - wide).mean() < 8


def test_such_pixels_are_turned_with_the_frame(tmp_path: Path) -> None:
    stored = [np.ascontiguousarray(np.rot90(marked(n), -1)) for n in range(2)]
    write(tmp_path / "phone.mov", stored, rotation=(90, False), aspect=Fraction(2, 1))
    assert next(read_frames(tmp_path / "phone.mov")).image.shape == (2 * HEIGHT, WIDTH, 3)


def test_a_ratio_that_no_camera_has_is_a_mistake(tmp_path: Path) -> None:
    write(tmp_path / "wrong.mp4", [marked(0)], aspect=Fraction(9, 1))
    assert next(read_frames(tmp_path / "wrong.mp4")).image.shape == (HEIGHT, WIDTH, 3)


def test_capture_rate_gives_real_seconds(tmp_path: Path) -> None:
    write(tmp_path / "slow.mp4", [marked(n) for n in range(24)])
    numbers, times_s = numbers_and_times(read_frames(tmp_path / "slow.mp4", capture_fps=240))
    assert numbers == list(range(24))
    assert times_s == [n / 240 for n in range(24)]


def test_frames_without_a_usable_time_are_told_and_evenly_placed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "clip.mp4", [marked(n) for n in range(6)], rate=25)
    decode = video._decode

    def without_times(*arguments: Any) -> Iterator[av.VideoFrame]:
        for number, frame in enumerate(decode(*arguments)):
            if number in (0, 3):
                frame.pts = None
            yield frame

    monkeypatch.setattr(video, "_decode", without_times)
    numbers, times_s = numbers_and_times(read_frames(tmp_path / "clip.mp4"))
    assert numbers == list(range(6))
    np.testing.assert_allclose(times_s, np.arange(6) / 25)
    [message] = caplog.messages
    assert message.endswith(
        "clip.mp4: 2 frame(s) have no usable time in the file; evenly spaced times are used"
    )


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_display_matrix_is_applied(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    upright = [marked(n) for n in range(4)]
    stored = [image[:, ::-1] if mirrored else image for image in upright]
    stored = [np.ascontiguousarray(np.rot90(image, -degrees // 90)) for image in stored]
    write(tmp_path / "phone.mov", stored, rotation=(degrees, mirrored))
    frames = list(read_frames(tmp_path / "phone.mov"))
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 3]
    assert {frame.image.shape for frame in frames} == {(HEIGHT, WIDTH, 3)}
    assert {frame.mirrored for frame in frames} == {mirrored}
    # A flip before a turn is the same as the opposite turn before the flip.
    assert {frame.rotation_deg for frame in frames} == {-degrees % 360 if mirrored else degrees}


def test_decoded_frames_go_without_the_collector(tmp_path: Path) -> None:
    """In a reference cycle, they would stay in memory until the garbage collector runs."""
    write(tmp_path / "long.mp4", [marked(n % 64) for n in range(40)])
    gc.collect()
    gc.disable()
    try:
        alive = [
            sum(type(held) is av.VideoFrame for held in gc.get_objects())
            for _ in read_frames(tmp_path / "long.mp4")
        ]
    finally:
        gc.enable()
    assert len(alive) == 40
    assert max(alive) < 16  # at the end, the decoder returns all frames that it holds


@pytest.mark.parametrize("first", [0, 7])
def test_edit_list_cuts_the_start(tmp_path: Path, first: int) -> None:
    """Negative times become an edit list, as when a phone's editor trims between key frames."""
    path = tmp_path / "trimmed.mp4"
    source = tmp_path / "source.mp4"
    write(source, [marked(n) for n in range(40)], options={"bf": "2", "g": "20"})
    with av.open(str(source)) as whole, av.open(str(path), "w") as cut:
        stream = cut.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.pts is None or packet.dts is None or packet.time_base is None:
                continue
            shift = int(Fraction(first, 30) / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = stream
            cut.mux(packet)
    assert b"elst" in path.read_bytes()
    numbers, times_s = numbers_and_times(read_frames(path))
    assert numbers == list(range(first, 40))
    np.testing.assert_allclose(times_s, np.arange(40 - first) / 30, atol=1e-6)


@pytest.mark.parametrize("name", ["end.mp4", "front.mp4", "clip.mov", "clip.mkv", "clip.avi"])
@pytest.mark.parametrize("share", [0.6, 0.99])
def test_a_cut_file_is_told(tmp_path: Path, name: str, share: float) -> None:
    front = {"movflags": "+faststart"} if name == "front.mp4" else {}
    write(tmp_path / name, [marked(n) for n in range(40)], container_options=front)
    content = (tmp_path / name).read_bytes()
    assert len(list(read_frames(tmp_path / name))) == 40
    (tmp_path / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(
        UserError, match=rf"{name}: the file is incomplete, \d+ of at least \d+ bytes"
    ):
        list(read_frames(tmp_path / name))


@pytest.mark.parametrize("name", ["12:30 jump.mp4", "12:30/a.mp4", "file:a.mp4", "-y %03d#?.mp4"])
def test_a_name_is_not_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(Path(name), [marked(n) for n in range(5)], 30)
    assert [path.name for path in tmp_path.iterdir()] == [name.split("/")[0]]
    assert numbers_and_times(read_frames(Path(name)))[0] == list(range(5))
    assert count_frames(Path(name)) == 5


def write_wrong(path: Path) -> None:
    """Write a file that is not a good video; its name says what is wrong with it."""
    kind = path.stem
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("A triple Axel, I promise.\n" * 100)
    elif kind == "picture":
        with av.open(str(path), "w", format="image2pipe") as container:
            stream = container.add_stream("png", 1)
            stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "rgb24"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(marked(0), "bgr24")))
            container.mux(stream.encode())
    elif kind == "sound":
        with av.open(str(path), "w") as container:
            sound = container.add_stream("aac", 44100, layout="mono")
            for _ in range(20):
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                frame.rate = 44100
                container.mux(sound.encode(frame))
            container.mux(sound.encode())
    elif kind == "encrypted":
        scheme = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": KEY, "encryption_kid": KEY}
        write(path, [marked(n) for n in range(5)], container_options=scheme)
    elif kind == "damaged":
        write(path, [marked(n) for n in range(40)], options={"g": "1"})
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 400] = bytes(400)
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"can't be read as a video \(No such file or directory\); choose"),
        ("empty", "empty file"),
        ("text", r"can't be read as a video \(Invalid data"),
        ("picture", "holds a single picture only; choose the video file"),
        ("sound", "holds sound only; choose the video file"),
        ("encrypted", r"encrypted \(DRM\)"),
        ("damaged", r"frame \d+: can't be decoded"),
    ],
)
def test_a_file_that_is_not_a_video_says_why_in_one_line(
    tmp_path: Path, kind: str, message: str
) -> None:
    path = tmp_path / f"{kind}.mp4"
    write_wrong(path)
    with pytest.raises(UserError, match=rf"{kind}\.mp4.*{message}") as raised:
        list(read_frames(path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
def test_written_video_plays_everywhere(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "new" / "out.mp4"
    rate = Fraction(30000, 1001)
    assert write_video(path, (marked(n, *size) for n in range(20)), float(rate)) == 20
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.height, stream.width) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
        assert stream.average_rate == rate
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert numbers_and_times(read_frames(path))[0] == list(range(20))
    first = next(read_frames(path)).image[: size[0], : size[1]].astype(int)
    assert np.abs(first - marked(0, *size)).mean() < 6


HUGE = b"\x89PNG\r\n\x1a\n" + bytes.fromhex(
    "0000000d49484452000186a0000186a0080200000027309c9f0000000049"
    "44415435af061e0000000049454e44ae426082"
)


@pytest.mark.parametrize("content", [b"", b"no picture", HUGE])
def test_a_file_that_is_not_an_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "7.jpg"
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"7.jpg is not a picture, or is too large; extract the video's frames"
    ):
        read_image(path)
    path.unlink()
    with pytest.raises(UserError, match=r"7.jpg: No such file .*; extract the video's frames"):
        read_image(path)


def test_a_picture_with_a_name_in_any_script_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "Schrägbild 跳 7.jpg"
    image = marked(5)
    write_image(path, image)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    difference = read_image(path).astype(int) - image
    assert np.abs(difference).mean() < 2


def test_a_picture_too_large_for_a_jpeg_is_told_and_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "sheet.jpg"
    write_image(path, marked(5))
    before = path.read_bytes()
    with pytest.raises(
        UserError, match=r"sheet.jpg: 8 x 65501 px is too large for a JPEG; draw fe"
    ):
        write_image(path, np.zeros((65501, 8, 3), np.uint8))
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_nothing_is_left_of_an_interrupted_video(tmp_path: Path) -> None:
    def frames() -> Iterator[Image]:
        yield marked(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "out.mp4", frames(), 30)
    assert not list(tmp_path.iterdir())


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"frame 1: expected uint8 \(64, 96, 3\)"):
        write_video(tmp_path / "out.mp4", [marked(0), marked(1, 66, 96)], 30)
    with pytest.raises(ValueError, match="no frames"):
        write_video(tmp_path / "out.mp4", [], 30)


def test_an_array_that_is_yielded_again_is_shown_for_longer(tmp_path: Path) -> None:
    pictures = [np.full((48, 64, 3), 60 * index, np.uint8) for index in range(3)]
    counts = (1, 4, 3)
    repeated = (p for p, count in zip(pictures, counts, strict=True) for _ in range(count))
    assert write_video(tmp_path / "a.mp4", repeated, 30, hold_repeated=True) == 8
    frames = list(read_frames(tmp_path / "a.mp4"))
    np.testing.assert_allclose([frame.time_s * 30 for frame in frames], [0, 1, 5, 7], atol=1e-3)
    assert [round(frame.image.mean() / 60) for frame in frames] == [0, 1, 2, 2]
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert float(container.duration or 0) / av.time_base == pytest.approx(8 / 30, abs=0.04)


def test_a_codec_that_is_not_known_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    write(path, [marked(n) for n in range(3)], "mjpeg", pixels="yuvj420p")
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"ZZZZ"))
    for read in (count_frames, lambda path: list(read_frames(path))):
        with pytest.raises(UserError, match=r"a.avi: in a codec that is not known; export it as"):
            read(path)
