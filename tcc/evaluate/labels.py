"""Marked events of clips: data/<motion>/labels.csv, which is never needed to train."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Mapping
from functools import cmp_to_key
from pathlib import Path

from tcc.files import UserError

log = logging.getLogger("tcc")
Labels = dict[tuple[str, str], dict[str, int]]
SHOWN = 5


def read_labels(data_dir: Path, motion: str) -> Labels:
    """Return {(mode, video): {event: frame}} of labels.csv, empty cells left out.

    Raises:
        UserError: no file, no mode or video column, no <event>_frame column, a bad number, or a
            clip twice.
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
                f"{path} line {line}: {row['mode']} {row['video']} has a row before; keep one"
            )
    if not any(name.endswith("_frame") for row in rows.values() for name in row):
        raise UserError(f"{path} marks no event; it holds mode, video and <event>_frame columns")
    return labels


def check_labels(
    data_dir: Path, motion: str, mode: str, labels: Labels, num_frames: Mapping[str, int]
) -> None:
    """Check that events lie in their clips; warn of rows without a clip.

    Args:
        data_dir, motion: where labels.csv is.
        mode: of the clips.
        labels: of `read_labels`.
        num_frames: of each clip.

    Raises:
        UserError: names the event.
    """
    path = data_dir / motion / "labels.csv"
    for video, count in num_frames.items():
        for event, frame in labels.get((mode, video), {}).items():
            if not 0 <= frame < count:
                raise UserError(
                    f"{path}: {event}_frame of {mode} {video} is {frame}; the clip has frames 0 to "
                    f"{count - 1}"
                )
    lost = ["/".join(clip) for clip in labels if not path.parent.joinpath(*clip).is_dir()]
    if lost:
        names = ", ".join([*lost[:SHOWN], *["..."] * (len(lost) > SHOWN)])
        log.warning("%s: %d of %d rows have no clip: %s", path, len(lost), len(labels), names)


def order_events(marks: Iterable[Mapping[str, int]]) -> list[str]:
    """Return the names of all events of clips {event: frame}, as they follow one another."""
    clips = list(marks)

    def follows(one: str, other: str) -> int:
        both = [clip for clip in clips if one in clip and other in clip]
        return sum((clip[one] > clip[other]) - (clip[one] < clip[other]) for clip in both)

    return sorted(dict.fromkeys(event for clip in clips for event in clip), key=cmp_to_key(follows))


def read_recordings(data_dir: Path, motion: str) -> dict[tuple[str, str], str]:
    """Return {(mode, video): recording} of labels.csv's optional column `recording`.

    Clips of one recording show it frame by frame from several cameras.

    Raises:
        UserError: no file, or no mode or video column.
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
                if not any(row.values()):  # a spreadsheet's empty row, all commas
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
