"""The side-by-side video, and a Matplotlib animation of the same two clips.

The clips are synthetic jumps on JPEG pictures of 1280 x 720 px, shown at own speed. Matplotlib's
FuncAnimation draws them in a figure as large as the video: both pictures with the limbs and a
title. "redraws" clears the axes and draws all again for each frame; "updates" only changes the data
of pictures and limbs. The JPEG files are decoded before, for all. The program encodes H.264;
Matplotlib without ffmpeg writes a GIF with Pillow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter

from benchmarks.timing import Ways
from tcc import images, side_by_side
from tcc.alphapose import to_detections, write_detections
from tcc.clips import ALPHAPOSE_FILE, Clip
from tcc.coco import LIMBS
from tcc.images import Image
from tcc.side_by_side import Shown
from tcc.synthetic.camera import film
from tcc.synthetic.skater import sample_motion
from tcc.video import write_video
from tcc_config import Config
from tcc_data import load_clip
from tcc_pair import PANEL_SIZE

FPS, THRESHOLD, SIZE_PX, FIGURE_PX = 30, 0.2, (1280, 720), (1280, 828)
Writer = Callable[[], PillowWriter]


class Raw(PillowWriter):
    """Gets the pixels of each frame and encodes none."""

    def finish(self) -> None:
        """Write no file."""


def drawing(num_frames: int) -> Ways:
    """Draw the video until its pixels are in memory."""
    return _ways(num_frames, lambda path, frames: sum(1 for _ in frames), partial(Raw, FPS))


def encoding(num_frames: int) -> Ways:
    """Draw and encode the video."""
    return _ways(
        num_frames,
        lambda path, frames: write_video(path, frames, FPS, hold_repeated=True),
        partial(PillowWriter, FPS),
    )


def _ways(
    num_frames: int, finish: Callable[[Path, Iterable[Image]], object], writer: Writer
) -> Ways:
    images.read_image = lru_cache(maxsize=None)(images.read_image)
    folder = TemporaryDirectory()
    clips = [make(Path(folder.name, name), seed, num_frames) for seed, name in enumerate("ab")]
    for clip in clips:
        for frame in range(clip.num_frames):
            clip.read_image(frame)

    def own(folder: TemporaryDirectory[str] = folder) -> object:  # it lives as long as the function
        return finish(Path(folder.name, "out.mp4"), side(clips))

    gif = Path(folder.name, "out.gif")
    return {
        "side by side": own,
        "Matplotlib, redraws": lambda: plot(clips, True, writer(), gif),
        "Matplotlib, updates": lambda: plot(clips, False, writer(), gif),
    }


def make(folder: Path, seed: int, num_frames: int) -> Clip:
    """Write a clip of a synthetic jump with pictures, and read it."""
    generator = np.random.default_rng(seed)
    motion = sample_motion(generator, jump="axel", turns=1, fps=FPS, lead_in_s=1, lead_out_s=1)
    coarse = generator.integers(0, 255, (36, 96, 3), np.uint8)
    rink = np.asarray(cv2.resize(coarse, (2 * SIZE_PX[0], SIZE_PX[1])), np.uint8)
    for frame in range(num_frames):  # the camera follows the skater
        image = rink[:, 4 * frame : 4 * frame + SIZE_PX[0]]
        images.write_image(folder / "vis" / f"{frame}.jpg", image)
    found = to_detections(
        [film(generator, motion)[:num_frames]], [f"{n}.jpg" for n in range(num_frames)]
    )
    write_detections(folder / ALPHAPOSE_FILE, found)
    return load_clip(folder, Config())


def side(clips: list[Clip]) -> Iterable[Image]:
    """Return the frames of the side-by-side video."""
    times_s = clips[0].times_s
    shown = [
        Shown(
            clip, clip.name, "", False, np.stack([times_s] * 2, 1), (0, clip.num_frames), ("",) * 3
        )
        for clip in clips
    ]
    speeds = np.ones(len(times_s))
    return side_by_side.draw(shown, times_s, speeds, "axel", False, THRESHOLD, PANEL_SIZE, 2)


def plot(clips: list[Clip], redraws: bool, writer: PillowWriter, path: Path) -> None:
    """Save an animation of both clips with Matplotlib."""
    figure, axes = plt.subplots(1, 2, figsize=np.divide(FIGURE_PX, 100), dpi=100)
    pictures = [axis.imshow(np.zeros((*SIZE_PX[::-1], 3), np.uint8)) for axis in axes]
    lines = [[axis.plot([], [], linewidth=3)[0] for _ in LIMBS] for axis in axes]

    def draw(frame: int) -> None:
        for place, (axis, clip) in enumerate(zip(axes, clips, strict=True)):
            image = clip.read_image(frame)[..., ::-1]
            limbs = clip.keypoints[frame][np.array(LIMBS), :2]
            if redraws:
                axis.clear()
                axis.imshow(image)
                for limb in limbs:
                    axis.plot(*limb.T, linewidth=3)
            else:
                pictures[place].set_data(image)
                for line, limb in zip(lines[place], limbs, strict=True):
                    line.set_data(*limb.T)
            axis.set_title(f"{clip.name} frame {frame}")
            axis.axis("off")

    FuncAnimation(figure, draw, frames=clips[0].num_frames).save(path, writer, dpi=100)
    plt.close(figure)
