"""Convert public recordings with marked events to the input layout, to measure accuracy.

    python3 benchmarks/real_data.py --out /tmp/real
    python3 benchmarks/real_data.py --out /tmp/real --motions fs_axel penn_golf_swing --cameras 2

Reads penn_action/ and fs_jump3d/ of the folder that TCC_REAL_DATA names (default ../shared/data);
writes DIR/<motion>/<train|val>/<video>/alphapose-results.json and DIR/<motion>/labels.csv. Links
skate/ and skate_full/, which have this layout, into DIR.

penn_<action>: Penn Action's 2D joints, every second frame, in the official split. The events are
the frames where a new phase starts.
fs_jump, fs_<jump>: FS-Jump3D's markers, skaters A and B in train and C in val. Each repetition is
seen by random cameras and a simulated pose detector (tcc/synthetic/camera.py). The events are
take-off and landing. The column `recording` is the same for all cameras of a repetition, because
their frames show the same moments.
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

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tcc import cli  # noqa: E402
from tcc.alphapose import to_detections, write_detections  # noqa: E402
from tcc.coco import JOINTS  # noqa: E402
from tcc.files import UserError  # noqa: E402
from tcc.synthetic.camera import detect, sample_camera  # noqa: E402

Array = NDArray[np.float64]

PENN_JOINTS = [
    f"{side}_{part}"
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
]
LINKED = ("skate", "skate_full")
PENN_STRIDE = 2
GUESSED = 0.3  # confidence of a hidden joint that the annotators placed by guess
FS_FPS = 60.0
FS_MARKERS = ("nose", "left_ear", "right_ear", *JOINTS[5:])


@dataclass(frozen=True, slots=True)
class Recording:
    """One clip: `keypoints` (F, 17, 3) x px, y px, confidence; a frame of zeros shows nobody."""

    mode: str
    video: str
    keypoints: NDArray[np.floating[Any]]
    events: dict[str, int]
    recording: str = ""
    fps: float | None = None


def main() -> None:
    """Convert the motions that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--motions", nargs="+", metavar="NAME", help="(default: penn_* and fs_jump)"
    )
    parser.add_argument(
        "--cameras", type=int, default=3, metavar="N", help="cameras for a jump (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(default: %(default)s)")
    args = parser.parse_args()
    source = Path(os.environ.get("TCC_REAL_DATA", ROOT / "../shared/data"))
    penn, jumps = penn_actions(source), fs_jumps(source)
    names = [*(f"penn_{action}" for action in penn), "fs_jump", *(f"fs_{jump}" for jump in jumps)]
    for motion in args.motions or names[: len(penn) + 1]:
        if motion not in names:
            raise UserError(f"no motion {motion}; choose from {', '.join(names)}")
        kind, _, name = motion.partition("_")
        if kind == "penn":
            recordings = read_penn(source, name)
        else:
            recordings = read_fs(
                source, jumps if name == "jump" else [name], args.cameras, args.seed
            )
        print(f"{args.out / motion}: {write_motion(args.out / motion, recordings)} clips")
    for name in LINKED:
        if not (link := args.out / name).exists():
            link.symlink_to((source / name).resolve(), target_is_directory=True)


def load(path: Path) -> Any:
    """Read an .npz or .json file of the recordings."""
    if not path.exists():
        raise UserError(f"no {path}; set TCC_REAL_DATA to the folder that holds the recordings")
    return np.load(path) if path.suffix == ".npz" else msgspec.json.decode(path.read_bytes())


def write_motion(root: Path, recordings: Iterator[Recording]) -> int:
    """Write every recording and labels.csv; return the number of recordings."""
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
    """Return COCO's 17 joints of Penn's 13 (F, 13, 3); the head stands for nose, eyes and ears.

    A joint at (1, 1) has no position and gets confidence 0; another hidden joint gets GUESSED.
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
        seen = [
            film(joints, np.random.default_rng([seed, camera, *name.encode()]))
            for camera in range(cameras)
        ]
        # Without images, a clip ends at the last frame that shows the skater.
        end = min(int(np.flatnonzero(keypoints.any(axis=(1, 2)))[-1]) + 1 for keypoints in seen)
        recording = f"{letter}_{repetition}"
        for camera, keypoints in enumerate(seen):
            video, events = f"{recording}_cam{camera}", frames if plausible else {}
            yield Recording(mode, video, keypoints[:end], events, recording, FS_FPS)


def film(joints_m: Array, generator: np.random.Generator) -> NDArray[np.float32]:
    """Return the keypoints (F, 17, 3) that a detector finds for joints (F, 17, 3) in m."""
    camera = sample_camera(generator, joints_m, FS_FPS)
    return detect(generator, camera.project(joints_m), FS_FPS)


def joints_3d(markers: Array, names: list[str]) -> tuple[Array, int]:
    """Return COCO's joints (F, 17, 3) in m and the first frame that is used.

    Markers are missing while a skater enters the measured volume, so the clip starts after the last
    gap. Eyes have no markers and are placed between nose and ear.
    """
    points = markers[:, [names.index(name) for name in FS_MARKERS]].astype(np.float64) / 1000
    gaps = np.flatnonzero(np.isnan(points).any(axis=(1, 2)))
    first = int(gaps[-1]) + 1 if len(gaps) else 0
    nose, ears = points[first:, :1], points[first:, 1:3]
    eyes = 0.7 * nose + 0.3 * ears + (0.0, 0.0, 0.03)
    return np.concatenate([nose, eyes, ears, points[first:, 3:]], axis=1), first


if __name__ == "__main__":
    cli.run(main)
