"""Files for spreadsheets, players and Kinovea: tables, subtitles and OpenPose's keypoints."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tcc.coco import JOINTS, LAYOUTS
from tcc.features import HIPS, SHOULDERS
from tcc.files import whole
from tcc.report.comparison import Comparison
from tcc.report.events import Quantity
from tcc.report.measures import MEASURES
from tcc.report.performance import Performance

BODY_25 = LAYOUTS[25][1]  # index of each joint of COCO
NECK, MID_HIP = 1, 8  # of BODY_25: the means of the shoulders and of the hips
OPENPOSE_FILE = "pose_{:012d}_keypoints.json"


def write_alignment(path: Path, comparison: Comparison) -> None:
    """Write which frame of the standard belongs to each frame of the learner, as CSV.

    Frames are numbers in the whole video. `matched` is 1 in the part that the path matches. `phase`
    is that of the learner, empty outside of the jump.
    """
    clips = [comparison.learner.clip, comparison.standard.clip]
    rows: list[list[object]] = []
    for frames, matched in zip(comparison.rows.tolist(), comparison.matched, strict=True):
        row: list[object] = []
        for clip, frame in zip(clips, frames, strict=True):
            row += [clip.first_frame + frame, f"{clip.times_s[frame]:.4f}"]
        rows.append([*row, int(matched), phase_at(comparison.learner, frames[0])])
    header = ["learner_frame", "learner_s", "standard_frame", "standard_s", "matched", "phase"]
    _write_csv(path, [header, *rows])


def write_angles(path: Path, comparison: Comparison) -> None:
    """Write the measures of both clips in each frame that the report shows, as CSV.

    `clip` is learner or standard, and `frame` is the number in the whole video. Each of MEASURES
    has three columns: <measure>_raw, <measure>_filtered and <measure>_valid; see `Curve`. Degrees
    have 2 decimals, and torso lengths have 4. Left and right are those of the learner: where
    `mirrored` is 1, left is the right side of the skater in the video.
    """
    header = ["clip", "mirrored", "frame", "time_s"]
    header += [f"{name}_{kind}" for name in MEASURES for kind in ("raw", "filtered", "valid")]
    rows: list[list[object]] = [[*header]]
    for role, performance, frames in zip(
        ("learner", "standard"),
        (comparison.learner, comparison.standard),
        comparison.rows.T,
        strict=True,
    ):
        clip = performance.clip
        for frame in range(int(frames.min()), int(frames.max()) + 1):
            time = f"{clip.times_s[frame]:.4f}"
            row: list[object] = [role, int(performance.mirrored), clip.first_frame + frame, time]
            for name, measure in MEASURES.items():
                curve = performance.curves[name]
                decimals = 2 if measure.unit == "degrees" else 4
                row += [f"{values[frame]:.{decimals}f}" for values in (curve.raw, curve.filtered)]
                row.append(int(curve.valid[frame]))
            rows.append(row)
    _write_csv(path, rows)


def write_phases(path: Path, learner: Performance) -> None:
    """Write a subtitle for each phase of the jump, in SubRip's format, for the learner's video.

    A subtitle begins with the first frame of the phase. Times are cut to ms, so that it is not
    later than this frame. Without phases, the file is empty.
    """
    clip = learner.clip
    ends_s = np.append(clip.times_s, clip.times_s[-1] + 1 / clip.fps)
    lines = []
    for number, (phase, span) in enumerate(learner.phases.items(), 1):
        start_s, end_s = ends_s[list(span)]
        text = f"{phase}: {_duration(phase, end_s - start_s, learner.quantities)}"
        lines += [str(number), f"{_srt_time(start_s)} --> {_srt_time(end_s)}", text, ""]
    with whole(path) as temporary:
        temporary.write_bytes("".join(f"{line}\r\n" for line in lines).encode())


def write_openpose(folder: Path, performance: Performance) -> None:
    """Write the skater of each frame of the clip as OpenPose writes it, for Kinovea.

    Kinovea reads files named <prefix>_<12 digits>_keypoints.json, in which the number is that of
    the frame in the whole video from 0, and only the layout BODY_25. Neck and middle of the hips
    are the means of two joints. Joints that COCO does not have, and joints without a confidence,
    are 0. The skater is the one in the picture, also where the report shows the mirror image.

    Args:
        folder: of the files, which `tcc.files.whole_folder` makes whole.
        performance: of the clip.
    """
    clip = performance.clip
    people = to_body_25(clip.keypoints).reshape(clip.num_frames, -1)
    empty: dict[str, list[float]] = {
        f"{part}_keypoints_{axes}": []
        for axes in ("2d", "3d")
        for part in ("pose", "face", "hand_left", "hand_right")
    }
    folder.mkdir(parents=True, exist_ok=True)
    for frame, (numbers, observed) in enumerate(
        zip(people.round(3).tolist(), clip.track.observed, strict=True), clip.first_frame
    ):
        person = {"person_id": [-1], **empty, "pose_keypoints_2d": numbers}
        content = {"version": 1.3, "people": [person] if observed else []}
        (folder / OPENPOSE_FILE.format(frame)).write_bytes(msgspec.json.encode(content))


def to_body_25(keypoints: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return keypoints (F, 17, 3) in the layout BODY_25 of OpenPose, (F, 25, 3).

    The confidence of neck and middle of the hips is the smaller one of their two joints.
    """
    known = keypoints.astype(np.float64)
    known[~(np.isfinite(known).all(axis=-1) & (known[..., 2] > 0))] = 0
    body = np.zeros((len(known), 25, 3))
    body[:, BODY_25] = known[:, : len(JOINTS)]
    for joint, pair in ((NECK, SHOULDERS), (MID_HIP, HIPS)):
        both = known[:, pair]
        body[:, joint] = both.mean(axis=1)
        body[:, joint, 2] = both[..., 2].min(axis=1)
    body[body[..., 2] == 0] = 0
    return body


def phase_at(performance: Performance, frame: int) -> str:
    """Return the phase of a frame; empty if it is in none."""
    return next(
        (name for name, (first, end) in performance.phases.items() if first <= frame < end), ""
    )


def _duration(phase: str, seconds: float, quantities: dict[str, Quantity]) -> str:
    """Return how long a phase lasts; approach and glide have no end of their own."""
    if phase in ("approach", "glide"):
        return f"{'last' if phase == 'approach' else 'first'} {seconds:.2f} s"
    known = quantities.get(phase)
    off = f" +/- {known.uncertainty:.2f} s" if known else ""
    return f"{seconds:.2f} s{off}{' in the air' if phase == 'flight' else ''}"


def _srt_time(seconds: float) -> str:
    """Return a time as hours:minutes:seconds,milliseconds."""
    minutes, ms = divmod(int(seconds * 1000 + 1e-6), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{ms // 1000:02d},{ms % 1000:03d}"


def _write_csv(path: Path, rows: Iterable[Iterable[object]]) -> None:
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
