"""Films synthetic skaters on a rink and writes them as clips in the input layout."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tcc.alphapose import to_detections, write_detections
from tcc.coco import LIMBS
from tcc.images import write_image
from tcc.synthetic.camera import Camera, detect, sample_camera
from tcc.synthetic.jumps import BEND, TAKEOFF
from tcc.synthetic.skater import Motion, sample_motion

Array = NDArray[np.float64]
Image = NDArray[np.uint8]
Generator = np.random.Generator
Bar = Callable[[Sequence[tuple[str, int]]], Iterable[tuple[str, int]]]

SIZE_PX = (640, 360)
COARSE = 4  # the rink is drawn at 1 / COARSE of the size and enlarged
RADIUS_M, BOARD_M = 28.0, 1.2
ICE, BLUE, RED, BOARD, KICK, STANDS = np.array(
    [(238, 232, 222), (190, 120, 60), (80, 70, 200), (225, 225, 225), (60, 200, 230), (90, 80, 75)],
    np.float64,
)
SKIN, DARK = (150, 180, 225), (45, 40, 40)
EVENTS = ("start", "takeoff", "landing")
JUMP, TURNS = "axel", 1
VARIETY = 0.5  # how much the skaters differ
NOISE = 0.5  # factor of the detector's errors; small, as the skaters are large in the picture
MISSED = 0.01  # share of frames in which a person is not found, one frame at a time
BEARING = 30.0  # degrees; the directions of travel are from -BEARING to BEARING
BESIDE_M, BEHIND_M = (8, 14), (8, 16)  # distances of a bystander from the skater
AZIMUTH, ELEVATION = (80.0, 100.0), (1.0, 8.0)
LEAN = 25.0  # degrees by which a learner leans too far forward at the take-off


def write_dataset(
    motion_dir: Path,
    seed: int,
    counts: dict[str, int],
    progress: Bar = iter,
) -> None:
    """Write data/<motion>/ with train, val and test clips and labels.csv, completely or not at all.

    In test, every first clip shows a learner, who glides before a slow jump and leans too far
    forward at its take-off. Every second clip is a standard, which starts and ends with the motion.

    Args:
        motion_dir: data/<motion>, which must not exist.
        seed: of all random numbers.
        counts: number of clips for each mode.
        progress: wraps the list of clips, for a progress bar.
    """
    partial = motion_dir.with_name(f".{motion_dir.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a run that was killed
    try:
        rows = [("mode", "video", *(f"{event}_frame" for event in EVENTS))]
        modes = list(counts)
        for mode, index in progress([(name, k) for name in modes for k in range(counts[name])]):
            generator = np.random.default_rng([seed, modes.index(mode), index])
            role = ("learner", "standard")[index % 2] if mode == "test" else ""
            name = f"{index + 1}_{role}" if role else f"{mode}{index:02d}"
            motion = _sample(generator, role)
            write_clip(partial / mode / name, generator, motion)
            rows.append((mode, name, *(str(motion.events[event]) for event in EVENTS)))
        with (partial / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        partial.rename(motion_dir)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sample(generator: Generator, role: str) -> Motion:
    """Return the motion of a clip; `role` is learner, standard, or empty in train and val."""
    motion = sample_motion(
        generator,
        jump=JUMP,
        turns=TURNS,
        tempo=0.85 if role == "learner" else generator.uniform(0.9, 1.2),
        lead_in_s=1.2 if role == "learner" else generator.uniform(0, 0.6),
        lead_out_s=0 if role == "standard" else generator.uniform(0, 0.5),
        clockwise=not role and generator.random() < 0.2,
        heading=(-BEARING, BEARING),
        variety=VARIETY,
        alter=_lean if role == "learner" else None,
    )
    middle = motion.joints_m.mean(axis=(0, 1)) * [1, 1, 0]
    motion = replace(motion, joints_m=motion.joints_m - middle)
    return (
        motion.cut(motion.events["start"], motion.events["end"]) if role == "standard" else motion
    )


def _lean(keys: Array, _: Array) -> None:
    """Bend the trunk forward from the deepest bend to the take-off, in place."""
    keys[BEND : TAKEOFF + 1, 0] += LEAN


def write_clip(folder: Path, generator: Generator, motion: Motion) -> None:
    """Film a motion, with up to two bystanders; write vis/ and alphapose-results.json."""
    camera = sample_camera(
        generator, motion.joints_m, motion.fps, azimuth=AZIMUTH, elevation=ELEVATION,
        size_px=SIZE_PX,
    )  # fmt: skip
    people = [motion.joints_m]
    people += [_sample_bystander(generator, motion) for _ in range(generator.integers(0, 3))]
    suits = generator.integers(30, 200, (len(people), 3)).tolist()
    seen = [
        detect(generator, camera.project(joints), motion.fps, NOISE, missed=0) for joints in people
    ]
    for keypoints in seen:
        missed = generator.random(len(keypoints)) < MISSED
        keypoints[missed | _outside(keypoints)] = 0
    vis = folder / "vis"
    vis.mkdir(parents=True)
    for frame in range(len(motion.joints_m)):
        image = _draw_rink(camera, frame)
        for index in np.argsort([-_depth(camera, joints[frame]) for joints in people]):
            _draw_person(image, camera, people[index][frame], frame, suits[index])
        write_image(vis / f"{frame:06d}.jpg", image)
    write_detections(folder / "alphapose-results.json", to_detections(seen))


def _sample_bystander(generator: Generator, motion: Motion) -> Array:
    """Return the joints (F, 17, 3) in m of a person who glides behind the skater."""
    num_frames = len(motion.joints_m)
    other = sample_motion(generator, fps=motion.fps, lead_in_s=num_frames / motion.fps + 0.1)
    joints = other.joints_m[:num_frames].copy()
    beside = generator.choice([-1, 1]) * generator.uniform(*BESIDE_M)
    place = np.array([beside, -generator.uniform(*BEHIND_M)])
    joints[..., :2] += place - joints[..., :2].mean(axis=(0, 1))
    return joints


def _outside(keypoints: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return (F,) whether the middle of the joints (F, 17, 3) is outside of the picture."""
    centre = keypoints[..., :2].mean(axis=1)
    return np.asarray(((centre < 0) | (centre > SIZE_PX)).any(axis=1))


def _depth(camera: Camera, joints: Array) -> float:
    return float(np.linalg.norm(joints.mean(axis=0) - camera.position_m))


def _draw_rink(camera: Camera, frame: int) -> Image:
    """Return a picture of the ice, its lines, the boards and the stands, by ray tracing."""
    width, height = SIZE_PX[0] // COARSE, SIZE_PX[1] // COARSE
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([across, down], -1) * COARSE + COARSE / 2 - np.array(SIZE_PX) / 2
    rays = np.concatenate([pixels, np.full((height, width, 1), camera.focal_px)], -1)
    rays = rays @ camera.axes[frame]
    origin = camera.position_m
    flat = (rays[..., :2] ** 2).sum(-1)
    along = (rays[..., :2] * origin[:2]).sum(-1)
    reach = (
        -along + np.sqrt(np.maximum(along**2 - flat * ((origin[:2] ** 2).sum() - RADIUS_M**2), 0))
    ) / flat
    wall = origin + reach[..., None] * rays
    angle = np.arctan2(wall[..., 1], wall[..., 0])
    ice = wall[..., 2] < 0
    ground = origin + (-origin[2] / np.minimum(rays[..., 2], -1e-6))[..., None] * rays
    picture = (
        STANDS * (0.8 + 0.2 * np.sign(np.sin(60 * angle) * np.sin(9 * wall[..., 2])))[..., None]
    )
    advert = BOARD * (1 - 0.25 * (np.sin(14 * angle) > 0.6))[..., None]
    picture = np.where((wall[..., 2] < BOARD_M)[..., None], advert, picture)
    picture = np.where((wall[..., 2] < 0.25)[..., None], KICK, picture)
    distance = np.linalg.norm(ground[..., :2] - origin[:2], axis=-1)
    surface = ICE * (1 - 0.12 * np.clip(distance / 30, 0, 1))[..., None]
    surface = np.where((np.abs(np.abs(ground[..., 1]) - 6) < 0.15)[..., None], BLUE, surface)
    surface = np.where((np.abs(ground[..., 1]) < 0.15)[..., None], RED, surface)
    circle = np.abs(np.linalg.norm(ground[..., :2], axis=-1) - 4.5) < 0.1
    surface = np.where(circle[..., None], BLUE, surface)
    picture = np.where(ice[..., None], surface, picture)
    enlarged = cv2.resize(
        picture.clip(0, 255).astype(np.uint8), SIZE_PX, interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(enlarged, np.uint8)


def _draw_person(image: Image, camera: Camera, joints: Array, frame: int, suit: list[int]) -> None:
    """Draw a person into the picture, and a shadow."""
    view = Camera(camera.position_m, camera.axes[frame : frame + 1], camera.focal_px, *SIZE_PX)
    points = view.project(joints[None])[0]
    scale = camera.focal_px / _depth(camera, joints)
    if not np.isfinite(points).all() or np.abs(points).max() > 1e4:
        return
    feet = view.project((joints[15:17] * [1, 1, 0])[None])[0].mean(axis=0)
    axes = (max(int(0.35 * scale), 1), max(int(0.06 * scale), 1))
    cv2.ellipse(
        image, (int(feet[0]), int(feet[1])), axes, 0, 0, 360, (205, 198, 190), -1, cv2.LINE_AA
    )
    depths = np.linalg.norm(joints - camera.position_m, axis=-1)
    draw_figure(image, points, depths, scale, suit, DARK)


def draw_figure(
    image: Image,
    points: Array,
    depths: Array,
    scale: float,
    suit: Sequence[float],
    trousers: Sequence[float],
) -> None:
    """Draw a person: the limbs from far to near, and the head.

    Args:
        image: (H, W, 3) uint8 BGR, changed in place.
        points: (17, 2) px.
        depths: (17,) distances of the joints from the camera.
        scale: px per m.
        suit, trousers: colours BGR of arms and trunk, and of the legs.
    """
    limbs = [limb for limb in LIMBS if min(limb) >= 5]
    for first, second in sorted(limbs, key=lambda limb: -depths[list(limb)].mean()):
        arm = min(first, second) >= 5 and max(first, second) <= 10
        thickness = max(int(scale * (0.09 if arm else 0.13)), 1)
        color = trousers if first >= 11 else suit
        cv2.line(
            image, _pixel(points[first]), _pixel(points[second]), color, thickness, cv2.LINE_AA
        )
    trunk = np.array([_pixel(points[joint]) for joint in (5, 6, 12, 11)], np.int32)
    cv2.fillConvexPoly(image, trunk, suit, cv2.LINE_AA)
    for wrist in (9, 10):
        cv2.circle(image, _pixel(points[wrist]), max(int(0.06 * scale), 1), SKIN, -1, cv2.LINE_AA)
    head = points[[0, 3, 4]].mean(axis=0)
    cv2.circle(image, _pixel(head), max(int(0.12 * scale), 2), SKIN, -1, cv2.LINE_AA)


def _pixel(point: Array) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
