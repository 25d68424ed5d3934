"""Measure how well the skater is followed among bystanders, on synthetic scenes with the truth.

    python3 -m benchmarks.tracking
    python3 -m benchmarks.tracking --scenes 10 --seed 1

A hand-held camera follows a skater who jumps among 2 to 8 people. They stand, bend or walk by, and
some of them cross the skater in the picture. People who are covered are missed, or found as one
mixture with the person in front. The camera loses the skater for a while, or finds him late, and
the detector splits bodies into halves. Four rows: with and without pictures, in which everyone has
clothes of random colours, and with and without the `idx` of a tracker that makes mistakes itself.

Prints the share of the frames on the right person; the switches from person to person for each
scene; the stretches of more than LONG frames on a wrong person; the share of these for which the
clip has a doubt, and of which at least half of the frames are marked as unsure; the share of all
frames that are marked although they are right; and the median time for each scene without reading
the pictures.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tcc.alphapose import Detections, to_detections
from tcc.progress import progress
from tcc.synthetic import rink
from tcc.synthetic.camera import Camera, detect, sample_camera
from tcc.synthetic.skater import Motion, sample_motion
from tcc.tracking import Track, choose_person, drop_twins, find_doubts

Array = NDArray[np.float64]
Generator = np.random.Generator
Image = NDArray[np.uint8]

SIZE_PX = rink.SIZE_PX
LONG = 5  # frames; a longer stretch on a wrong person must be doubted
PEOPLE = (2, 8)  # bystanders
CROSSING = 0.3  # share of the bystanders who are in one line with the skater at some moment
COVERED = (0.35, 0.8)  # range of the share of a body behind others from which it is missed
MIXED = 0.3  # share of the crossings that begin with 2 to 8 frames of a mixture of two people
SPLIT = 0.5  # share of the people whose body is split for a while
LOST = 0.5  # share of the clips in which the camera loses the skater or finds him late
DARK = 0.4  # share of the clothes that are nearly black
SHOWN = 0.7  # least share of the frames in which the skater is detected
SAME = 0.3  # body sizes; a skeleton at this distance from the skater's is his
IDX_ERROR = 0.2  # share of the gaps after which a tracker gives another number


@dataclass(frozen=True, slots=True)
class Scene:
    """Detections of F frames, and the truth.

    `points` (N, F, 17, 2) px and `depths` (N, F, 17) m of all people, the skater first; `here` (F,)
    whether the skater was detected; `clothes` (N, 2, 3) BGR; `scale` (N, F) px per m.
    """

    detections: Detections
    points: Array
    depths: Array
    here: NDArray[np.bool_]
    clothes: Array
    scale: Array

    def draw(self, frame: int) -> Image:
        """Return the picture of a frame, (H, W, 3) uint8 BGR."""
        generator = np.random.default_rng(frame)
        image = np.full((*SIZE_PX[::-1], 3), rink.ICE, np.uint8)
        image[: SIZE_PX[1] // 3] = rink.STANDS
        for person in np.argsort(-self.depths[:, frame].mean(axis=1)):
            points, suit = self.points[person, frame], self.clothes[person]
            if np.abs(points).max() < 1e4:
                rink.draw_figure(
                    image, points, self.depths[person, frame], self.scale[person, frame],
                    suit[0].tolist(), suit[1].tolist(),
                )  # fmt: skip
        light = generator.uniform(0.9, 1.1) * image + generator.normal(0, 6, image.shape)
        return light.clip(0, 255).astype(np.uint8)


def main() -> None:
    """Print a table of four rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scenes", type=int, default=100, help="number of scenes (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the scenes (%(default)s)")
    args = parser.parse_args()
    counts: dict[tuple[bool, bool], list[list[float]]] = {}
    for number in progress(range(args.scenes), "following", "scene"):
        scene = sample_scene(np.random.default_rng([args.seed, number]))
        for pictures in (False, True):
            for idx in (False, True):
                counts.setdefault((pictures, idx), []).append(score(scene, pictures, idx))
    head = ["pictures", "idx", "right", "switches", "wrong stretches", "doubted", "marked"]
    rows = []
    for (pictures, idx), scores in counts.items():
        *sums, seconds = np.array(scores).T
        right, frames, switches, wrong, doubted, marked, needless = (row.sum() for row in sums)
        told = [f"{part / wrong:.2f}" if wrong else "-" for part in (doubted, marked)]
        rows.append(
            [
                "yes" if pictures else "no", "yes" if idx else "no", f"{right / frames:.4f}",
                f"{switches / len(scores):.2f}", f"{wrong:.0f}", *told, f"{needless / frames:.3f}",
                f"{np.median(seconds):.2f}",
            ]
        )  # fmt: skip
    print(tabulate([[*head, "needless", "s"], *rows], headers="firstrow", disable_numparse=True))


def score(scene: Scene, pictures: bool, idx: bool) -> list[float]:
    """Follow the main person of a scene.

    Returns:
        Frames that are right, all frames, switches, long wrong stretches, those that are doubted,
        those that are marked, frames that are marked needlessly, and seconds.
    """
    found = scene.detections if idx else replace(scene.detections, idx=None)
    start_s = time.perf_counter()
    look = scene.draw if pictures else None
    track = choose_person(drop_twins(found), picture_px=SIZE_PX, look=look)
    seconds = time.perf_counter() - start_s
    who = identify(scene, track)
    right = (who == 0) | ((who < 0) & ~scene.here)
    shown = who[who >= 0]
    doubts = find_doubts(track, np.arange(len(who)) / 30)
    told = any("person" in doubt.kind for doubt in doubts)
    wrong = [run for run in runs(who > 0) if len(run) > LONG]
    marked = [track.unsure[run].mean() >= 0.5 for run in wrong]
    doubted = [told or bool(track.unsure[run].any()) for run in wrong]
    return [
        right.sum(), len(who), (shown[1:] != shown[:-1]).sum(), len(wrong), sum(doubted),
        sum(marked), (right & track.unsure).sum(), seconds,
    ]  # fmt: skip


def identify(scene: Scene, track: Track) -> NDArray[np.int64]:
    """Return who is followed in each frame, (F,): 0 for the skater, -1 for nobody."""
    confidence = track.keypoints[..., 2]
    weight = confidence * (confidence >= np.minimum(confidence.max(axis=1, keepdims=True), 0.3))
    apart = np.linalg.norm(scene.points - track.keypoints[..., :2], axis=-1)
    apart = (apart * weight).sum(axis=-1) / np.maximum(weight.sum(axis=-1), 1e-9)
    size = np.linalg.norm(np.ptp(scene.points, axis=2), axis=-1)
    who = (apart / size).argmin(axis=0)
    who[(apart / size)[0] < SAME] = 0
    return np.where(track.observed, who, -1)


def runs(mask: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return the frames of each run of True."""
    frames = np.flatnonzero(mask)
    return np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1) if len(frames) else []


def sample_scene(generator: Generator) -> Scene:
    """Return a random scene whose skater is detected in at least SHOWN of the frames."""
    while True:
        scene = _sample(generator)
        if scene.here.mean() >= SHOWN:
            return scene


def _sample(generator: Generator) -> Scene:
    motion = sample_motion(
        generator, lead_in_s=generator.uniform(0.5, 4), lead_out_s=generator.uniform(0.5, 3)
    )
    camera = sample_camera(generator, motion.joints_m, motion.fps, size_px=SIZE_PX)
    people = [motion.joints_m]
    people += [
        _bystander(generator, motion, camera) for _ in range(generator.integers(*PEOPLE) + 1)
    ]
    num_frames = len(motion.joints_m)
    shift = _lose(generator, num_frames)
    points = np.stack([camera.project(joints) for joints in people]) + shift[:, None]
    depths = np.stack([np.linalg.norm(joints - camera.position_m, axis=-1) for joints in people])
    found = [detect(generator, person, motion.fps, 1.0, missed=0.01) for person in points]
    keypoints = np.stack(found)  # (N, F, 17, 3)
    keypoints[generator.random(keypoints.shape[:2]) < rink.MISSED] = 0
    centre = points.mean(axis=2)
    keypoints[((centre < 0) | (centre > SIZE_PX)).any(axis=-1)] = 0
    number = _numbers(generator, keypoints, _cover(generator, points, depths, keypoints))
    here = keypoints[0].any(axis=(1, 2))
    clothes = generator.uniform(20, 230, (len(people), 2, 3))
    dark = generator.random((len(people), 2)) < DARK
    clothes[dark] = generator.uniform(20, 50, (int(dark.sum()), 3))
    whole, lower = _split(generator, keypoints)
    detections = to_detections([*whole, *lower])
    seen = np.concatenate([whole, lower]).any(axis=(2, 3)).T
    detections = replace(detections, idx=np.concatenate([number, number]).T[seen])
    scale = camera.focal_px / depths.mean(axis=2)
    return Scene(_shuffle(generator, detections), points, depths, here, clothes, scale)


def _bystander(generator: Generator, motion: Motion, camera: Camera) -> Array:
    """Return the joints (F, 17, 3) m of a person who stands, bends or walks."""
    num_frames = len(motion.joints_m)
    kind = generator.choice(["stand", "bend", "walk"], p=[0.3, 0.2, 0.5])
    other = sample_motion(generator, lead_in_s=num_frames / motion.fps + 0.1)
    joints = other.joints_m[:num_frames].copy()
    if kind == "bend":  # to and fro between the poses before a take-off
        first, last = other.events["start"] - 10, other.events["takeoff"] - 1
        swing = np.abs((np.arange(num_frames) + generator.integers(99)) % (2 * (last - first)))
        joints = other.joints_m[last - np.abs(swing - (last - first))].copy()
    joints[..., :2] -= joints[:, 11:13, :2].mean(axis=1, keepdims=True)
    moment = generator.integers(num_frames)
    skater = motion.joints_m[moment].mean(axis=0)[:2]
    line = skater - camera.position_m[:2]
    ratio = generator.uniform(0.6, 0.9) if generator.random() < 0.4 else generator.uniform(1.1, 2)
    beside = np.array([-line[1], line[0]]) / np.linalg.norm(line)
    aside = 0 if generator.random() < CROSSING else generator.choice([-1, 1]) * 4
    speed = generator.choice([-1, 1]) * generator.uniform(0.7, 3) if kind == "walk" else 0
    along = aside + speed * (np.arange(num_frames) - moment) / motion.fps
    place = camera.position_m[:2] + ratio * line + along[:, None] * beside
    joints[..., :2] += place[:, None]
    return joints


def _lose(generator: Generator, num_frames: int) -> Array:
    """Return how far the camera points away from the skater, (F, 2) px."""
    away = np.zeros((num_frames, 2))
    if generator.random() < LOST:
        first = -30 if generator.random() < 0.5 else generator.integers(30, num_frames - 20)
        times = first + np.cumsum([0, *generator.integers(10, 30, 3)])
        ramp = np.interp(np.arange(num_frames), times, [0, 1, 1, 0])
        away[:, 0] = generator.choice([-1, 1]) * 0.75 * SIZE_PX[0] * ramp
    return away


def _cover(
    generator: Generator, points: Array, depths: Array, keypoints: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Remove or mix the detections of people who are behind others; return which, (N, F)."""
    low, high = points.min(axis=2), points.max(axis=2)
    near = depths.mean(axis=2)
    changed = np.zeros(near.shape, np.bool_)
    for back in range(len(points)):
        for front in range(len(points)):
            both = np.minimum(high[back], high[front]) - np.maximum(low[back], low[front])
            share = np.prod(np.maximum(both, 0), -1) / np.prod(high[back] - low[back], -1)
            covered = (share > generator.uniform(*COVERED)) & (near[front] < near[back])
            covered &= keypoints[front].any(axis=(1, 2)) & (back != front)
            for run in runs(covered):
                if generator.random() < MIXED:
                    for frame in run[: generator.integers(2, 9)]:
                        joints = generator.random(17) < 0.4
                        keypoints[front, frame, joints] = keypoints[back, frame, joints]
            keypoints[back, covered] = 0
            changed[back] |= covered
    return changed


def _numbers(
    generator: Generator, keypoints: NDArray[np.float32], covered: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the numbers (N, F) that a tracker gives: after some gaps new or those of another."""
    num_people, num_frames = covered.shape
    number = np.repeat(np.arange(num_people)[:, None], num_frames, axis=1)
    for person in range(num_people):
        for run in runs(~keypoints[person].any(axis=(1, 2)) | covered[person]):
            if len(run) > 2 and generator.random() < IDX_ERROR:
                after = slice(run[-1] + 1, num_frames)
                other = generator.integers(num_people)
                if generator.random() < 0.5:
                    both = np.array([person, other])
                    number[both, after] = number[both[::-1], after]
                else:
                    number[person, after] = number.max() + 1
    return number + 1


def _split(
    generator: Generator, keypoints: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return two detections (N, F, 17, 3) of each body; for a while they are its halves."""
    upper, lower = keypoints.copy(), np.zeros_like(keypoints)
    for person in range(len(keypoints)):
        if generator.random() >= SPLIT:
            continue
        first = generator.integers(keypoints.shape[1])
        part = slice(first, first + generator.integers(3, 13))
        hips = keypoints[person, part, 11:13].mean(axis=1, keepdims=True)
        whole = keypoints[person, part]
        weak = hips + generator.normal(0, 3, whole.shape) * [1, 1, 0]
        weak[..., 2] = generator.uniform(0.05, 0.2, weak.shape[:2])
        seen = whole.any(axis=(1, 2), keepdims=True)
        legs = (np.arange(17) >= 11)[None, :, None]
        upper[person, part] = np.where(seen, np.where(legs, weak, whole), 0)
        lower[person, part] = np.where(seen, np.where(legs, whole, weak), 0)
    return upper, lower


def _shuffle(generator: Generator, detections: Detections) -> Detections:
    """Return the detections with the people of each frame in random order."""
    order = np.lexsort((generator.random(len(detections.frame)), detections.frame))
    assert detections.idx is not None
    return replace(
        detections, keypoints=detections.keypoints[order], score=detections.score[order],
        idx=detections.idx[order],
    )  # fmt: skip


if __name__ == "__main__":
    main()
