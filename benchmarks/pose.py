"""Measure the speed, memory and accuracy of tcc_get_pose.py. Prints tables in Markdown.

    python3 benchmarks/pose.py speed VIDEO --weights PATH
    python3 benchmarks/pose.py small VIDEO --weights PATH
    python3 benchmarks/pose.py memory

speed: frames per second from the video file to the finished folder, compared with rtmlib's model
alone on the same frames in memory; the two alternate.
small: joints found in frames that are scaled down, compared with those in a crop at full size, for
three methods: the whole image, four tiles, and a crop around the skater.
memory: peak memory of a process that converts 1080p videos of three lengths, without a model; only
on Linux.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.timing import ROUNDS, Ways, time_ways
from tcc.estimator import People, Rtmo
from tcc.images import Image
from tcc.pose import CROP, NEAR, video_to_keypoints
from tcc.tracking import choose_person
from tcc.video import read_frames, write_video

LENGTHS_S = (10, 60, 600)
SCALES = (1, 1 / 2, 1 / 3, 1 / 4, 1 / 6)


def main() -> None:
    """Run the measurement that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("speed", "small", "memory", "convert"))
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--frames", type=int, default=40)
    args = parser.parse_args()
    if args.what == "memory":
        return measure_memory()
    if args.what == "convert":  # started by `memory` in a process of its own
        return convert(args.video)
    frames = [frame.image for frame in islice(read_frames(args.video), args.frames)]
    return (measure_speed if args.what == "speed" else measure_small)(frames, Rtmo(args.weights))


class Counted(Rtmo):
    """An estimator that counts its images."""

    calls = 0

    def __call__(self, image: Image) -> People:
        self.calls += 1
        return super().__call__(image)


def measure_speed(frames: list[Image], estimator: Rtmo) -> None:
    """Print the seconds of the model alone and of the whole conversion, and the ratio."""
    alone, everything = time_both(frames, estimator)
    print("| model alone, s | file to folder, s | ratio |\n|-|-|-|")
    for own_s, all_s in zip(alone, everything, strict=True):
        print(f"| {own_s:.2f} | {all_s:.2f} | {own_s / all_s:.0%} |")
    print(f"\nratio of the best rounds {min(alone) / min(everything):.0%}; {len(frames)} frames")


def time_both(
    frames: list[Image], estimator: Rtmo, rounds: int = ROUNDS
) -> tuple[list[float], list[float]]:
    """Return the seconds of the model alone, on as many images, and of file to folder."""
    with tempfile.TemporaryDirectory() as name:
        video = Path(name) / "clip.mp4"
        write_video(video, frames, 30)
        counted = Counted(estimator.weights)
        counted.load()
        decoded = [frame.image for frame in read_frames(video)]

        def convert_all() -> None:
            counted.calls = 0
            video_to_keypoints(video, Path(name) / "clip", counted, force=True)

        convert_all()
        images = [decoded[index % len(decoded)] for index in range(counted.calls)]
        ways: Ways = {
            "alone": lambda: [counted._model(image) for image in images],
            "all": convert_all,
        }
        alone, everything = time_ways(ways, rounds).values()
    return alone, everything


def measure_small(frames: list[Image], estimator: Rtmo) -> None:
    """Print the share of frames with the skater found, and the joints' error in body sizes."""
    reference = find_reference(frames, estimator)
    height, width = frames[0].shape[:2]
    print("| skater, px of the model's input | whole image | four tiles | crop |\n|-|-|-|-|")
    for scale in SCALES:
        errors = defaultdict(list)
        for image, full in zip(frames, reference, strict=True):
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            far = np.full_like(image, 114)
            top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
            far[top : top + small.shape[0], left : left + small.shape[1]] = small
            target = full * scale + (left, top)
            body = float(np.ptp(target, axis=0).max())
            for name, looks in {
                "whole": [(0, 0, width, height)],
                "tiles": [
                    (x, y, int(0.6 * width), int(0.6 * height))
                    for x in (0, int(0.4 * width))
                    for y in (0, int(0.4 * height))
                ],
                "crop": [around(target, CROP * body)],
            }.items():
                found = np.concatenate([look(far, box, estimator) for box in looks])
                apart = np.median(np.linalg.norm(found - target, axis=-1), axis=-1) / body
                errors[name].append(apart.min(initial=np.inf))
            errors["px"].append(body * estimator.input_px / max(width, height))
        cells = []
        for name in ("whole", "tiles", "crop"):
            values = np.array(errors[name])
            near = values[values < NEAR]
            median = f"{np.median(near):.3f}" if len(near) else "-"
            cells.append(f"{len(near) / len(values):.0%}, {median}")
        print(f"| {np.mean(errors['px']):.0f} | {' | '.join(cells)} |", flush=True)


def find_reference(frames: list[Image], estimator: Rtmo) -> NDArray[np.float32]:
    """Return the skater's joints (F, 17, 2) found in crops of the frames at full size."""
    from tcc.pose import _detections

    people = [estimator(image) for image in frames]
    height, width = frames[0].shape[:2]
    track = choose_person(_detections(people), picture_px=(width, height))
    reference = track.keypoints[..., :2].copy()
    for image, target in zip(frames, reference, strict=True):
        found = look(image, around(target, 3 * float(np.ptp(target, axis=0).max())), estimator)
        apart = np.median(np.linalg.norm(found - target, axis=-1), axis=-1)
        if len(apart):
            target[:] = found[apart.argmin()]
    return reference


def around(joints: NDArray[Any], side_px: float) -> tuple[int, int, int, int]:
    """Return a square, x, y, width, height, around joints."""
    x, y = ((joints.min(axis=0) + joints.max(axis=0)) / 2 - side_px / 2).astype(int)
    return max(x, 0), max(y, 0), int(side_px), int(side_px)


def look(image: Image, box: tuple[int, int, int, int], estimator: Rtmo) -> NDArray[np.float32]:
    """Return the joints (P, 17, 2) of the people found in a box, in px of the image."""
    x, y, width, height = box
    found = estimator(np.ascontiguousarray(image[y : y + height, x : x + width]))
    return found.keypoints[..., :2] + np.array((x, y), np.float32)


class Still:
    """An estimator without a model: always the same person."""

    input_px = 640

    def load(self) -> dict[str, Any]:
        """Return the name; there is nothing to load."""
        return {"name": "still"}

    def __call__(self, image: Image) -> People:
        """Return the person, who is large enough for one look."""
        joints = np.c_[np.linspace(100, 900, 17), np.linspace(100, 900, 17), np.ones(17)]
        box = np.array([[100, 100, 800, 800]])
        return People(*(part.astype(np.float32) for part in (joints[None], box, np.ones(1))))


def measure_memory() -> None:
    """Print the peak memory of converting 1080p videos of LENGTHS_S."""
    print("| length | frames | peak memory | frames a second |\n|-|-|-|-|")
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source.mp4"
        generator = np.random.default_rng(0)
        blocks = generator.integers(0, 255, (68, 400, 3), np.uint8)
        ice = cv2.resize(blocks, (6400, 1088), interpolation=cv2.INTER_CUBIC)
        pan = (ice[:1080, 10 * n : 10 * n + 1920] for n in range(300))
        write_video(source, map(np.asarray, pan), 30)
        for length_s in LENGTHS_S:
            video = Path(name) / f"{length_s}.mp4"
            repeat(source, video, length_s // 10)
            command = [sys.executable, __file__, "convert", str(video)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            print(f"| {length_s} s | {output.strip()}", flush=True)


def repeat(source: Path, path: Path, times: int) -> None:
    """Write a video several times in a row, without decoding it."""
    with av.open(str(path), "w") as copy:
        stream = None
        for turn in range(times):
            with av.open(str(source)) as container:
                template = container.streams.video[0]
                stream = stream or copy.add_stream_from_template(template)
                for packet in container.demux(template):
                    if packet.pts is None or packet.dts is None or packet.time_base is None:
                        continue
                    shift = int(Fraction(10 * turn) / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = stream
                    copy.mux(packet)


def convert(video: Path) -> None:
    """Convert with no model and print frames, peak memory and speed."""
    start_s = time.perf_counter()
    num_frames = video_to_keypoints(video, video.with_suffix(""), Still())["num_frames"]
    speed = num_frames / (time.perf_counter() - start_s)
    # ru_maxrss would include the parent's peak.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    kilobytes = int(status.partition("VmHWM:")[2].split()[0])
    print(f"{num_frames} | {kilobytes / 1024:.0f} MB | {speed:.0f} |")


if __name__ == "__main__":
    main()
