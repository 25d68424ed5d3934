"""Clips with marked events, and data/<motion>/labels.csv, which marks them."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.clip_folders import VIDEO_SUFFIXES
from tcc.clips import Clip
from tcc.clock import Times, nearest, rate, resample
from tcc.files import UserError, sha256_of
from tcc.flight import Flight, airborne

log = logging.getLogger("tcc")
Array = NDArray[np.floating[Any]]
Labels = dict[tuple[str, str], dict[str, int]]
SHOWN = 5  # names in a message


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """One clip of data/<motion>/<mode>/ with its marked events.

    Attributes:
        folder: MOTION/MODE.
        name: of the clip's folder in it.
        features: (G, C) keypoint features or (G, D) embeddings of them; then, if the mirror image
            may be matched too, the same of the mirror image.
        ticks_s: (G,) times of the features.
        times_s: (F,) times of the frames.
        events: (E,) marked frames, NaN for an event that is not marked.
        recording: clips of one recording show the same moments from several cameras.
        start_frame: frame of the recording that is the clip's first.
        turn: direction in which the skater turns, as returned by `tcc.features.turn`.
        flights: in the clip, see `tcc.flight.find_flights`.
    """

    folder: str
    name: str
    features: tuple[Array, ...]
    ticks_s: Times
    times_s: Times
    events: Array
    recording: str
    start_frame: int = 0
    turn: float = 0.0
    flights: tuple[Flight, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Folder and name, which no two clips share."""
        return self.folder, self.name

    @property
    def num_frames(self) -> int:
        """F, the number of frames."""
        return len(self.times_s)

    @property
    def fps(self) -> float:
        """Frames per second of the median interval."""
        return rate(self.times_s)

    @property
    def airborne(self) -> NDArray[np.bool_]:
        """Whether the skater is in the air at each tick (G,)."""
        return airborne(self.flights, self.ticks_s)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the features, times and events."""
        arrays = (self.features[0], self.times_s, self.events)
        return sha256_of(b"".join(array.tobytes() for array in arrays))

    def nearest_frames(self) -> NDArray[np.int64]:
        """Return the frame nearest to each tick (G,)."""
        return nearest(self.times_s, self.ticks_s)

    def per_frame(self) -> Array:
        """Return the features at the clip's frames (F, C), not mirrored."""
        return resample(self.features[0], self.ticks_s, self.times_s)

    def correct(self, offset: Array) -> Array:
        """Return the events (E,) with offsets (E,) taken off, within the clip."""
        return np.clip(self.events - offset, 0, self.num_frames - 1)

    def represent(self, function: Callable[[Any], Array]) -> LabelledClip:
        """Return the clip with `function` applied to its features and those of its mirror image."""
        return replace(self, features=tuple(map(function, self.features)))


def read_labels(data_dir: Path, motion: str) -> Labels:
    """Return {(mode, video): {event: frame}} of labels.csv; an empty cell marks nothing.

    Raises:
        UserError: the file or a column is missing, a cell holds no frame number, or a clip has two
            rows.
    """
    path = data_dir / motion / "labels.csv"
    rows = _label_rows(path)
    labels: Labels = {}
    for line, row in rows.items():
        try:
            events = {
                name.removesuffix("_frame"): int(frame)
                for name, frame in row.items()
                if frame and name.endswith("_frame")
            }
        except ValueError as error:
            raise UserError(
                f"{path} line {line}: {error}; expected a frame number from 0"
            ) from None
        if labels.setdefault((row["mode"], row["video"]), events) is not events:
            raise UserError(
                f"{path} line {line}: {row['mode']} {row['video']} has two rows; keep one"
            )
    if not any(name.endswith("_frame") for row in rows.values() for name in row):
        raise UserError(f"{path} marks no event; it holds mode, video and <event>_frame columns")
    return labels


def check_labels(
    data_dir: Path, motion: str, mode: str, labels: Labels, num_frames: Mapping[str, int]
) -> None:
    """Check the labels of clips; warn about rows without a clip and events in the wrong order.

    Args:
        data_dir, motion: where labels.csv is.
        mode: of the clips.
        labels: from `read_labels`.
        num_frames: {video: number of frames} of the clips, before they are trimmed.

    Raises:
        UserError: an event lies outside its clip.
    """
    path = data_dir / motion / "labels.csv"
    for video, count in num_frames.items():
        for event, frame in labels.get((mode, video), {}).items():
            if not 0 <= frame < count:
                raise UserError(
                    f"{path}: {event}_frame of {mode} {video} is {frame}; the clip has frames 0 to "
                    f"{count - 1}"
                )
    missing = ["/".join(clip) for clip in labels if not path.parent.joinpath(*clip).is_dir()]
    if missing:
        names = ", ".join([*missing[:SHOWN], *["..."] * (len(missing) > SHOWN)])
        log.warning("%s: %d of %d rows have no clip: %s", path, len(missing), len(labels), names)
    order = order_events(events for (row_mode, _), events in labels.items() if row_mode == mode)
    swapped: dict[tuple[str, str], list[str]] = {}
    for video in num_frames:
        events = labels.get((mode, video), {})
        for pair in pairwise(event for event in order if event in events):
            if events[pair[0]] >= events[pair[1]]:
                swapped.setdefault(pair, []).append(video)
    for (first, second), videos in swapped.items():
        log.warning(
            "%s: %s_frame is not after %s_frame in %s %s; correct it, because the time between "
            "them can't be measured",
            path, second, first, mode, ", ".join(videos),
        )  # fmt: skip


def mark_events(marks: Mapping[str, int], names: Sequence[str], clip: Clip) -> Array:
    """Return the frames (E,) of events of a clip, counted from the first frame that is used.

    Args:
        marks: {event: frame} of the clip, counted from its first frame in the folder.
        names: of the E events.
        clip: an event outside its trimmed part is NaN, as is an event that is not marked.
    """
    frames = np.array([marks.get(name, np.nan) for name in names], np.float64) - clip.first_frame
    frames[(frames < 0) | (frames >= clip.num_frames)] = np.nan
    return frames


def read_marks(clip: Clip, data_dir: Path, motion: str, mode: str) -> dict[str, int]:
    """Return {event: frame} of labels.csv for one clip; empty if nothing is marked.

    The file is that of the motion whose clip it is; for a clip from elsewhere, that of `motion`.
    The row may name the clip or its video file. A warning tells marks that can't be used.

    Args:
        clip: from any folder.
        data_dir, motion, mode: where the row of a clip from elsewhere is.
    """
    mode_dir, *above = clip.folder.resolve().parents
    own = (above[1], above[0].name, mode_dir.name) if len(above) > 1 else None
    places = [place for place in (own, (data_dir, motion, mode)) if place]
    found = [place for place in places if (place[0] / place[1] / "labels.csv").exists()]
    if not found:
        return {}
    home, motion, mode = found[0]
    key = (mode, clip.name)
    try:
        labels = read_labels(home, motion)
        videos = [f"{clip.name}{suffix}" for suffix in ("", *VIDEO_SUFFIXES)]
        marks = next((labels[mode, video] for video in videos if (mode, video) in labels), {})
        lengths = {clip.name: clip.total_frames}
        check_labels(home, motion, mode, {key: marks} if marks else {}, lengths)
    except UserError as error:
        log.warning("%s; no events are shown", error)
        return {}
    if marks.get("landing", np.inf) <= marks.get("takeoff", -np.inf):
        log.warning(
            "%s: landing_frame is not after takeoff_frame in %s %s; no events are shown",
            home / motion / "labels.csv", *key,
        )  # fmt: skip
        return {}
    return marks


def carry_events(mapped: Array, events: Array) -> Array:
    """Return the learner's frames (E,) of a standard's events, interpolated; infinite for a miss.

    Args:
        mapped: (N,) learner's frame of each standard's frame, NaN before and after the match.
        events: (E,) frames of the standard, whole or between two frames; NaN if not marked.
    """
    found = np.full(len(events), np.nan)
    marked = np.isfinite(events)
    before = np.floor(events[marked]).astype(int)
    share = events[marked] - before
    after = before + (share > 0)
    found[marked] = (1 - share) * mapped[before] + share * mapped[after]
    return np.where(marked & np.isnan(found), np.inf, found)


def order_events(marks: Iterable[Mapping[str, int]]) -> list[str]:
    """Return the names of all events of clips {event: frame}, in the order of time.

    One event precedes another if it is earlier in most of the clips that mark both. These rules can
    contradict each other only in a cycle: A precedes B, B precedes C, and C precedes A. All other
    rules are kept. Events of a cycle, and events without a rule, are sorted by the median of their
    frames, and then by their first position in `marks`.
    """
    clips = list(marks)
    frames: dict[str, list[int]] = {}
    for clip in clips:
        for event, frame in clip.items():
            frames.setdefault(event, []).append(frame)
    earlier = {
        event: {other for other in frames if _lead(other, event, clips) > 0} for event in frames
    }
    for via in frames:  # transitive closure (Warshall): add events that precede through others
        for event in frames:
            if via in earlier[event]:
                earlier[event] |= earlier[via]
    medians = {event: float(np.median(values)) for event, values in frames.items()}
    ordered: list[str] = []
    while rest := [event for event in frames if event not in ordered]:
        free = [
            event
            for event in rest
            if all(event in earlier[other] for other in earlier[event].intersection(rest))
        ]
        ordered.append(min(free, key=lambda event: medians[event]))
    return ordered


def _lead(one: str, other: str, clips: Iterable[Mapping[str, int]]) -> int:
    """Return in how many more clips `one` is before `other` than after it."""
    marked = [clip for clip in clips if one in clip and other in clip]
    return sum((clip[one] < clip[other]) - (clip[one] > clip[other]) for clip in marked)


def shared_events(data_dir: Path, folders: Sequence[str]) -> list[str]:
    """Return the events that are marked in clips of every MOTION/MODE, in the order of time.

    Raises:
        UserError: there is no such event.
    """
    found: list[list[str]] = []
    for folder in folders:
        motion, mode = folder.split("/")[:2]
        labels = read_labels(data_dir, motion)
        found.append(
            order_events(events for (row_mode, _), events in labels.items() if row_mode == mode)
        )
        if not found[-1]:
            raise UserError(
                f"{data_dir / motion / 'labels.csv'} marks no event in mode {mode}; add "
                "rows with mode, video and a frame for each event"
            )
    names = [name for name in found[0] if all(name in other for other in found)]
    if not names:
        marked = " against ".join(", ".join(events) for events in found)
        raise UserError(f"{' and '.join(folders)} have no event in common: {marked}")
    return names


def draw_folders(
    folders: Sequence[Path],
    recordings: Mapping[str, str],
    count: int,
    generator: np.random.Generator,
) -> list[Path]:
    """Draw at most `count` folders of clips and keep their order.

    Recordings are drawn one after the other, each with all its clips, until there are `count`.

    Args:
        folders: of the clips.
        recordings: {folder's name: recording}; a clip without one is a recording of its own.
        count: largest number of folders.
        generator: draws them.
    """
    names = [recordings.get(folder.name, folder.name) for folder in folders]
    order = list(dict.fromkeys(generator.permutation(names).tolist()))
    drawn = sorted(range(len(folders)), key=lambda index: order.index(names[index]))[:count]
    return [folders[index] for index in sorted(drawn)]


def read_recordings(data_dir: Path, motion: str) -> dict[tuple[str, str], str]:
    """Return {(mode, video): recording} of labels.csv's optional column `recording`.

    Clips of one recording show the same moments from several cameras.

    Raises:
        UserError: the file or a column is missing.
    """
    rows = _label_rows(data_dir / motion / "labels.csv").values()
    return {(row["mode"], row["video"]): row["recording"] for row in rows if row.get("recording")}


def _label_rows(path: Path) -> dict[int, dict[str, str]]:
    """Return {line of the file: {column: cell}}."""
    if not path.exists():
        raise UserError(f"no {path}; it holds columns mode, video and <event>_frame for each event")
    rows = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if not {"mode", "video"} <= set(columns):
                raise UserError(
                    f"{path}: expected columns mode, video and <event>_frame, "
                    f"got {', '.join(columns)}"
                )
            for row in reader:
                if not any(row.values()):  # an empty row of a spreadsheet, with commas only
                    continue
                if None in row or not (row["mode"] and row["video"]):
                    raise UserError(
                        f"{path} line {reader.line_num}: expected a mode, a video and at most "
                        f"{len(columns)} cells, as many as the columns"
                    )
                rows[reader.line_num] = row
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: {error}; save it as CSV UTF-8") from None
    return rows
