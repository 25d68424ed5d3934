"""Put public recordings with marked events into the input layout, to measure accuracy on.

    python3 benchmarks/real_data.py --out /tmp/real
    python3 benchmarks/real_data.py --out /tmp/real --motions fs_axel penn_golf_swing --cameras 2

Reads penn_action/ and fs_jump3d/ of the folder that TCC_REAL_DATA names (default ../shared/data);
writes DIR/<motion>/<train|val>/<video>/alphapose-results.json and DIR/<motion>/labels.csv.

penn_<action>: Penn Action's 2D joints, official split, every second frame, phase changes as events.
fs_jump, fs_<jump>: FS-Jump3D's markers, skaters A and B in train and C in val, each repetition seen
by random cameras that pan after the skater, with a detector's noise; take-off, landing as events.
The column `recording` is the same for the cameras of one repetition: they share every frame.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtr, ndtri

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tcc import cli  # noqa: E402
from tcc.alphapose import to_detections, write_detections  # noqa: E402
from tcc.coco import FLIP, JOINTS  # noqa: E402
from tcc.files import UserError  # noqa: E402

Array = NDArray[np.float64]

PENN_JOINTS = [
    f"{side}_{part}"
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
]
PENN_STRIDE = 2
GUESSED = 0.3  # confidence of a joint that the annotators placed but could not see
FS_FPS = 60.0
FS_MARKERS = ("nose", "left_ear", "right_ear", *JOINTS[5:])
PICTURE = (1280, 720)  # px
# AlphaPose on 40 clips of amateur skaters: 5th percentile and quartiles of the confidence, standard
# deviation of the jitter from frame to frame in torso lengths.
# fmt: off
CONFIDENCE = {
    "nose": (0.00, 0.03, 0.32, 0.62), "eye": (0.00, 0.01, 0.10, 0.50),
    "ear": (0.00, 0.05, 0.32, 0.61),
    "shoulder": (0.30, 0.53, 0.68, 0.75), "elbow": (0.05, 0.28, 0.57, 0.74),
    "wrist": (0.03, 0.16, 0.45, 0.72), "hip": (0.35, 0.51, 0.60, 0.66),
    "knee": (0.35, 0.55, 0.67, 0.75), "ankle": (0.28, 0.47, 0.60, 0.69),
}
JITTER = {
    "nose": 0.04, "eye": 0.045, "ear": 0.03, "shoulder": 0.03, "elbow": 0.06, "wrist": 0.08,
    "hip": 0.03, "knee": 0.035, "ankle": 0.045,
}
# fmt: on
MISSED_FRAMES = 0.006  # share of frames in which the detector misses the skater
SWAPPED_FRAMES = 0.03  # share of frames in which it swaps left and right


@dataclass(frozen=True, slots=True)
class Recording:
    """One clip: keypoints (F, 17, 3) px and confidence; a frame that is all 0 was missed."""

    mode: str
    video: str
    keypoints: Array
    events: dict[str, int]
    recording: str = ""
    fps: float | None = None


def main() -> None:
    """Convert what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a data/ folder")
    parser.add_argument(
        "--motions", nargs="+", metavar="NAME", help="(default: penn_* and fs_jump)"
    )
    parser.add_argument(
        "--cameras", type=int, default=3, metavar="N", help="views of a jump (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(default: %(default)s)")
    args = parser.parse_args()
    source = Path(os.environ.get("TCC_REAL_DATA", ROOT / "../shared/data"))
    penn, jumps = penn_actions(source), fs_jumps(source)
    known = [*(f"penn_{action}" for action in penn), "fs_jump", *(f"fs_{jump}" for jump in jumps)]
    for motion in args.motions or known[: len(penn) + 1]:
        if motion not in known:
            raise UserError(f"no motion {motion}; there are {', '.join(known)}")
        kind, _, name = motion.partition("_")
        if kind == "penn":
            recordings = read_penn(source, name)
        else:
            recordings = read_fs(
                source, jumps if name == "jump" else [name], args.cameras, args.seed
            )
        print(f"{args.out / motion}: {write_motion(args.out / motion, recordings)} clips")


def load(path: Path) -> Any:
    """Read an .npz or .json of the recordings."""
    if not path.exists():
        raise UserError(f"no {path}; set TCC_REAL_DATA to the folder that holds the recordings")
    return np.load(path) if path.suffix == ".npz" else msgspec.json.decode(path.read_bytes())


def write_motion(root: Path, recordings: Iterator[Recording]) -> int:
    """Write every recording and labels.csv; return how many."""
    rows: list[dict[str, str | int]] = []
    for recording in recordings:
        folder = root / recording.mode / recording.video
        folder.mkdir(parents=True, exist_ok=True)
        detections = to_detections([recording.keypoints])
        write_detections(folder / "alphapose-results.json", detections)
        if recording.fps:
            times_s = np.arange(len(recording.keypoints)) / recording.fps
            (folder / "video.json").write_bytes(
                msgspec.json.encode({"timestamps_s": times_s.tolist()})
            )
        row = {name: getattr(recording, name) for name in ("mode", "video", "recording")}
        events = {f"{name}_frame": frame for name, frame in recording.events.items()}
        rows.append({**row, "frames": len(recording.keypoints), **events})
    table = io.StringIO()
    writer = csv.DictWriter(table, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    (root / "labels.csv").write_text(table.getvalue(), encoding="utf-8")
    return len(rows)


def penn_actions(source: Path) -> list[str]:
    """Return the actions that have joints and phase labels."""
    return sorted({entry["action"] for entry in load(source / "penn_action/meta.json").values()})


def read_penn(source: Path, action: str) -> Iterator[Recording]:
    """Yield the labelled clips of one action."""
    joints = load(source / "penn_action/joints13.npz")
    for mode, clips in load(source / "penn_action/phase_labels.json")[action].items():
        for video, label in clips.items():
            keypoints = penn_to_coco(joints[video].astype(np.float64))[::PENN_STRIDE]
            frames = [-(-frame // PENN_STRIDE) for frame in label["transitions"]]
            events = {
                f"transition{number}": min(frame, len(keypoints) - 1)
                for number, frame in enumerate(frames, 1)
            }
            yield Recording(mode, video, keypoints, events)


def penn_to_coco(joints: Array) -> Array:
    """Lay Penn's 13 joints (F, 13, 3) out as COCO's 17, the head standing for all five of its own.

    Joints without a position, at (1, 1), get confidence 0; hidden ones with a position GUESSED.
    """
    keypoints = np.concatenate([np.repeat(joints[:, :1], 5, axis=1), joints[:, 1:]], axis=1)
    seen = keypoints[..., 2] > 0
    placed = (keypoints[..., :2] > 1).any(axis=-1)
    keypoints[..., 2] = np.where(seen, 1.0, np.where(placed, GUESSED, 0.0))
    return keypoints


def fs_jumps(source: Path) -> list[str]:
    """Return the jumps, in lower case."""
    return sorted({name.split("/")[1].lower() for name in fs_events(source)})


def fs_events(source: Path) -> dict[str, dict[str, Any]]:
    """Return the derived events of every sequence."""
    events: dict[str, dict[str, Any]] = load(source / "fs_jump3d/derived_events.json")["events"]
    return events


def read_fs(source: Path, jumps: list[str], cameras: int, seed: int) -> Iterator[Recording]:
    """Yield every repetition of these jumps from several random cameras."""
    markers = load(source / "fs_jump3d/markers_60hz_mm.npz")
    for name, event in fs_events(source).items():
        skater, jump, repetition = name.split("/")
        if jump.lower() not in jumps:
            continue
        joints, first = joints_3d(markers[name], markers["joint_names"].tolist())
        plausible = event["plausible"] and event["takeoff"] >= first
        frames = {"takeoff": event["takeoff"] - first, "landing": event["landing"] - first}
        mode, letter = ("val" if skater == "Skater_C" else "train"), skater[-1]
        for camera in range(cameras):
            generator = np.random.default_rng([seed, camera, *name.encode()])
            keypoints = detect(project(joints, generator), generator)
            shown = f"{letter}_{repetition}"
            yield Recording(
                mode, f"{shown}_cam{camera}", keypoints, frames if plausible else {}, shown, FS_FPS
            )


def joints_3d(markers: Array, names: list[str]) -> tuple[Array, int]:
    """Return COCO's joints (F, 17, 3) in m and the first frame that is used.

    A skater who enters the measured volume late has gaps at the beginning: the clip starts behind
    the last. No marker is on an eye: each lies between nose and ear.
    """
    points = markers[:, [names.index(name) for name in FS_MARKERS]].astype(np.float64) / 1000
    gaps = np.flatnonzero(np.isnan(points).any(axis=(1, 2)))
    first = int(gaps[-1]) + 1 if len(gaps) else 0
    nose, ears = points[first:, :1], points[first:, 1:3]
    eyes = 0.7 * nose + 0.3 * ears + (0.0, 0.0, 0.03)
    return np.concatenate([nose, eyes, ears, points[first:, 3:]], axis=1), first


def project(joints: Array, generator: np.random.Generator, fps: float = FS_FPS) -> Array:
    """See a skater (F, 17, 3) in m, z up, through a random camera that pans after them.

    Returns:
        (F, 17, 2) px. The camera stands in any direction, 0 to 20 degrees above the hips and 5 to
        15 m off; the hand that turns it lags and trembles, so the ice moves through the picture.
    """
    hips = joints[:, 11:13].mean(axis=1)
    azimuth, elevation = generator.uniform(0, 2 * np.pi), np.radians(generator.uniform(0, 20))
    away = np.array(
        [
            np.cos(azimuth) * np.cos(elevation),
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
    )
    distance_m = generator.uniform(5, 15)
    camera = np.median(hips, axis=0) + distance_m * away
    tremble_m = gaussian_filter1d(generator.normal(0, 1, hips.shape), 0.2 * fps, axis=0)
    lag = round(generator.uniform(0, 0.2) * fps)
    seen = np.concatenate([np.repeat(hips[:1], lag, axis=0), hips])[: len(hips)]
    target = gaussian_filter1d(seen, generator.uniform(0.2, 0.6) * fps, axis=0, mode="nearest")
    forward = target + 0.3 * tremble_m - camera
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    axes = np.stack(
        [right, np.cross(forward, right), forward], axis=1
    )  # (F, 3, 3): x, y down, depth
    local = np.einsum("fij,fkj->fki", axes, joints - camera)
    focal_px = generator.uniform(0.25, 0.5) * PICTURE[1] / 1.7 * distance_m
    depth = np.maximum(local[..., 2:], 1.0)
    return np.asarray(local[..., :2] / depth * focal_px + np.array(PICTURE) / 2)


def detect(points: Array, generator: np.random.Generator, fps: float = FS_FPS) -> Array:
    """Add a detector's errors to (F, 17, 2) px: jitter, doubt, swapped sides, missed frames.

    Returns:
        (F, 17, 3) px and confidence. The less confident a joint, the larger its error; both drift
        over a fifth of a second.
    """
    torso = np.linalg.norm(points[:, 5:7].mean(axis=1) - points[:, 11:13].mean(axis=1), axis=-1)
    parts = [name.split("_")[-1] for name in JOINTS]
    doubt = _drift(points.shape[:2], fps, generator)  # (F, J), standard normal
    levels = (0.05, 0.25, 0.5, 0.75)
    confidence = np.stack(
        [
            np.interp(ndtr(-doubt[:, joint]), levels, CONFIDENCE[part])
            for joint, part in enumerate(parts)
        ],
        axis=1,
    )
    spread = np.array([JITTER[part] for part in parts]) * np.exp(0.5 * doubt) * np.median(torso)
    error = _drift(points.shape, fps, generator) + generator.normal(0, 1, points.shape)
    points = points + spread[..., None] * error
    swapped = _drift((len(points), 1), fps, generator)[:, 0] > ndtri(1 - SWAPPED_FRAMES)
    points[swapped] = points[swapped][:, list(FLIP)]
    keypoints = np.concatenate([points, confidence[..., None]], axis=-1)
    missed = generator.random(len(points)) < MISSED_FRAMES
    missed[[0, -1]] = False
    keypoints[missed] = 0
    return keypoints


def _drift(shape: tuple[int, ...], fps: float, generator: np.random.Generator) -> Array:
    """Return standard normal numbers that change slowly along the first axis."""
    smooth = gaussian_filter1d(generator.normal(0, 1, shape), 0.1 * fps, axis=0, mode="reflect")
    return np.asarray(smooth * np.sqrt(2 * np.sqrt(np.pi) * 0.1 * fps))


if __name__ == "__main__":
    cli.run(main)
