"""Marked events of clips: data/<motion>/labels.csv, which is never needed to train."""

from __future__ import annotations

import csv
from pathlib import Path

from tcc.cli import UserError


def read_labels(data_dir: Path, motion: str) -> dict[tuple[str, str], dict[str, int]]:
    """Return {(mode, video): {event: frame}} of labels.csv, empty cells left out.

    Raises:
        UserError: no file, no mode or video column, no <event>_frame column, or a bad number.
    """
    path = data_dir / motion / "labels.csv"
    rows = _label_rows(path)
    events = [name for name in rows[0] if name.endswith("_frame")] if rows else []
    if not events:
        raise UserError(f"{path} marks no event; it holds mode, video and <event>_frame columns")
    labels: dict[tuple[str, str], dict[str, int]] = {}
    for line, row in enumerate(rows, 2):
        try:
            frames = {name.removesuffix("_frame"): int(row[name]) for name in events if row[name]}
        except ValueError as error:
            raise UserError(
                f"{path} line {line}: {error}; expected a frame number from 0"
            ) from None
        labels[row["mode"], row["video"]] = frames
    return labels


def read_recordings(data_dir: Path, motion: str) -> dict[tuple[str, str], str]:
    """Return {(mode, video): recording} of labels.csv's optional column `recording`.

    Clips of one recording show it frame by frame from several cameras.

    Raises:
        UserError: no file, or no mode or video column.
    """
    rows = _label_rows(data_dir / motion / "labels.csv")
    return {(row["mode"], row["video"]): row["recording"] for row in rows if row.get("recording")}


def _label_rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        raise UserError(f"no {path}; it holds columns mode, video and <event>_frame for each event")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if not {"mode", "video"} <= set(columns):
            raise UserError(
                f"{path}: expected columns mode, video and <event>_frame, got {', '.join(columns)}"
            )
        return list(reader)
