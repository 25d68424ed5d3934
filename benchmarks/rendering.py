"""Compare the time to draw the report's videos with that of a Matplotlib animation.

    python3 -m benchmarks.rendering

Shows two clips of 1280 x 720 px, synthetic jumps on JPEG pictures. The videos are those of the
report: every frame at own speed, and then four times in slow motion, where it is drawn once.
Matplotlib's FuncAnimation draws the same clips in a figure as large as the side-by-side video: both
pictures with the limbs and a title. "redraws" clears the axes and draws all again for each frame;
"updates" only changes the data of pictures and limbs. The JPEG files are decoded before, for all.

Prints ms for each frame of the video, the median of ROUNDS rounds: for the drawing alone, until the
pixels are in memory, and with the encoding. The report encodes H.264; Matplotlib without ffmpeg
writes a GIF with Pillow. The last columns say how many times as long Matplotlib takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from tabulate import tabulate

from tcc import images, side_by_side
from tcc.alphapose import to_detections, write_detections
from tcc.clips import ALPHAPOSE_FILE, Clip
from tcc.coco import LIMBS
from tcc.images import Image
from tcc.report.comparison import Comparison, compare
from tcc.report.performance import perform
from tcc.report.pictures import draw_overlay
from tcc.side_by_side import SLOW, Shown, pair_times, schedule
from tcc.synthetic.camera import film
from tcc.synthetic.skater import sample_motion
from tcc.video import write_video
from tcc_config import Config
from tcc_data import load_clip
from tcc_pair import PANEL_SIZE

# Frames of each clip, and frames that Matplotlib draws in a round, because each takes equally long.
FRAMES, PLOTTED, ROUNDS = 60, 30, 3
FPS, THRESHOLD, SIZE_PX, FIGURE_PX = 30, 0.2, (1280, 720), (1280, 828)


class Raw(PillowWriter):
    """Gets the pixels of each frame and encodes none."""

    def finish(self) -> None:
        """Write no file."""


def main() -> None:
    """Measure and print the table."""
    images.read_image = lru_cache(maxsize=None)(images.read_image)
    with TemporaryDirectory() as folder:
        clips = [make(Path(folder, name), seed) for seed, name in enumerate("ab")]
        for clip in clips:
            for frame in range(clip.num_frames):
                clip.read_image(frame)
        learner, standard = (perform(clip, {}, THRESHOLD) for clip in clips)
        found = compare(learner, standard, np.stack([np.arange(FRAMES)] * 2, axis=1), 0.9)
        gif, mp4 = Path(folder, "out.gif"), Path(folder, "out.mp4")
        ways: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {
            "redraws": (
                lambda: plot(found, True, Raw(FPS), gif),
                lambda: plot(found, True, PillowWriter(FPS), gif),
            ),
            "updates": (
                lambda: plot(found, False, Raw(FPS), gif),
                lambda: plot(found, False, PillowWriter(FPS), gif),
            ),
            "side by side": (
                lambda: timed(lambda: sum(1 for _ in side(found))),
                lambda: timed(lambda: write_video(mp4, side(found), FPS, hold_repeated=True)),
            ),
            "side by side, own speed only": (
                lambda: timed(lambda: sum(1 for _ in side(found, slow=1))),
                lambda: timed(
                    lambda: write_video(mp4, side(found, slow=1), FPS, hold_repeated=True)
                ),
            ),
            "overlay": (
                lambda: timed(lambda: sum(1 for _ in overlay(found))),
                lambda: timed(lambda: write_video(mp4, overlay(found), FPS, hold_repeated=True)),
            ),
        }
        rounds = [[[run() for run in both] for both in ways.values()] for _ in range(ROUNDS)]
    ms = dict(zip(ways, np.median(rounds, axis=0), strict=True))
    rows = [
        [name, *own, *(ms["redraws"] / own), *(ms["updates"] / own)] for name, own in ms.items()
    ]
    header = ["", "drawing, ms", "and encoding, ms", "redraws: drawing", "and encoding"]
    header += ["updates: drawing", "and encoding"]
    print(tabulate(rows, header, "github", floatfmt=".1f"))


def make(folder: Path, seed: int) -> Clip:
    """Write a clip of a synthetic jump with pictures, and read it."""
    generator = np.random.default_rng(seed)
    motion = sample_motion(generator, jump="axel", turns=1, fps=FPS, lead_in_s=1, lead_out_s=1)
    coarse = generator.integers(0, 255, (36, 96, 3), np.uint8)
    rink = np.asarray(cv2.resize(coarse, (2 * SIZE_PX[0], SIZE_PX[1])), np.uint8)
    for frame in range(FRAMES):  # the camera follows the skater
        image = rink[:, 4 * frame : 4 * frame + SIZE_PX[0]]
        images.write_image(folder / "vis" / f"{frame}.jpg", image)
    found = to_detections([film(generator, motion)[:FRAMES]], [f"{n}.jpg" for n in range(FRAMES)])
    write_detections(folder / ALPHAPOSE_FILE, found)
    return load_clip(folder, Config())


def side(found: Comparison, slow: float = SLOW) -> Iterable[Image]:
    """Return the frames of the side-by-side video."""
    clips = (found.learner.clip, found.standard.clip)
    pairs_s = pair_times(found.rows, *clips)
    shown = [
        Shown(clip, clip.name, "", False, pairs_s[:, [0, place]], (0, clip.num_frames), ("",) * 3)
        for place, clip in enumerate(clips)
    ]
    times_s, speeds = schedule((0, clips[0].times_s[-1]), FPS, slow)
    return side_by_side.draw(shown, times_s, speeds, "axel", False, THRESHOLD, PANEL_SIZE, 2)


def overlay(found: Comparison) -> Iterable[Image]:
    """Return the frames of the overlay."""
    return draw_overlay(found, PANEL_SIZE, THRESHOLD, SLOW)


def timed(run: Callable[[], int]) -> float:
    """Return ms for each frame of a video; `run` returns the number of frames."""
    start_s = perf_counter()
    count = run()
    return (perf_counter() - start_s) / count * 1000


def plot(found: Comparison, redraws: bool, writer: PillowWriter, path: Path) -> float:
    """Save an animation of both clips with Matplotlib and return ms for each frame."""
    clips = (found.learner.clip, found.standard.clip)
    figure, axes = plt.subplots(1, 2, figsize=np.divide(FIGURE_PX, 100), dpi=100)
    pictures = [axis.imshow(np.zeros((*SIZE_PX[::-1], 3), np.uint8)) for axis in axes]
    lines = [[axis.plot([], [], linewidth=3)[0] for _ in LIMBS] for axis in axes]

    def draw(row: int) -> None:
        for place, (axis, clip, frame) in enumerate(
            zip(axes, clips, found.rows[row % len(found.rows)], strict=True)
        ):
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

    def save() -> int:
        FuncAnimation(figure, draw, frames=PLOTTED).save(path, writer, dpi=100)
        return PLOTTED

    ms = timed(save)
    plt.close(figure)
    return ms


if __name__ == "__main__":
    main()
