"""Draw a contact sheet of clips and make a table of them: is the right person followed?"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from tcc.clips import ClipFolder, choose_skater, estimate_size, read_folder
from tcc.clock import rate
from tcc.draw import (
    DARK,
    FAINT,
    FONT,
    LIGHT,
    MARK,
    Color,
    Image,
    Viewport,
    draw_skeleton,
    follow,
    measure_body,
    write_text,
)
from tcc.files import UserError, require_utf8, write_json
from tcc.images import PLAIN, image_size, plain_image, read_frame, write_image
from tcc.progress import progress
from tcc.sidecars import CLIP_TOML, Trim
from tcc.tracking import CLEAR_MARGIN, Track, choose_person, find_doubts

log = logging.getLogger("tcc")

SHOWN = 6  # frames that are shown of each clip
CLIPS_PER_SHEET = 25  # 8,500 to 13,000 px high; many programs show at most 16,384
CELL_PX = (300, 300)
WHOLE_PX = (300, 170)  # of the whole picture, which is added if there is a doubt
TITLE_PX, LABEL_PX = 36, 26
ROOM = 1.8  # smallest height of a cell in heights of the skater; shows people nearby too
REMEDY = (
    "Purple: another person who is nearly as likely. If the wrong person is followed, write the "
    "line person = 2 into clip.toml in the clip's folder."
)
SECOND: Color = (167, 121, 204)  # BGR, the reddish purple of Okabe and Ito


@dataclass(frozen=True, slots=True)
class CheckedClip:
    """The results of checking a clip.

    `missed_frames` are the frames in which the skater was not found, `empty_frames` those in which
    nobody was found. `margin` is that of the `Track`. `doubts` are reasons to look at the clip.
    """

    name: str
    num_frames: int
    fps: float
    missed_frames: list[int]
    empty_frames: list[int]
    people_per_frame: float
    margin: float
    doubts: list[str]


def check_and_print(
    folders: Sequence[Path],
    result_dir: Path,
    motion: str,
    mode: str,
    fps: float,
    confidence_threshold: float,
) -> list[str]:
    """Check the clips of a mode and print what was found and written.

    Args:
        folders: of the clips.
        result_dir: where the sheets and the JSON go, as check_<motion>_<mode>.
        motion: name of the motion.
        mode: train, val or test.
        fps: frames per second of clips without video.json.
        confidence_threshold: joints below it are not drawn.

    Returns:
        The names of the clips that can't be read; the log says why.

    Raises:
        UserError: a name is not UTF-8.
    """
    for folder in folders:
        require_utf8(folder)
    checked, failed, sheets = check_clips(
        progress(folders, "checking", "clip"), result_dir / f"check_{motion}_{mode}",
        f"{motion} {mode}", fps, confidence_threshold,
    )  # fmt: skip
    print(describe_clips(checked))
    if doubtful := [clip.name for clip in checked if clip.doubts]:
        example = next(folder for folder in folders if folder.name == doubtful[0]) / CLIP_TOML
        log.info("to follow another person, write person = 2 into clip.toml, as in %s", example)
    for sheet in sheets:
        print(sheet)
    return failed


def check_clips(
    folders: Iterable[Path],
    stem: Path,
    title: str,
    fps: float,
    confidence_threshold: float,
    choices: Sequence[tuple[int | None, Trim | None]] | None = None,
) -> tuple[list[CheckedClip], list[str], list[Path]]:
    """Write a contact sheet of the clips, <stem>.jpg, and the results, <stem>.json.

    More clips than CLIPS_PER_SHEET continue on <stem>_2.jpg, and so on.

    Args:
        folders: of the clips.
        stem: path of the outputs without suffix.
        title: of the sheet.
        fps: frames per second of the clips without video.json.
        confidence_threshold: joints below it are not drawn.
        choices: person and part of each clip; None: those in clip.toml.

    Returns:
        The clips, the names of those that can't be read (the log says why), and the sheets' paths.
    """
    checked: list[CheckedClip] = []
    strips: list[Image] = []
    failed: list[str] = []
    sheets: list[Path] = []

    def write_sheet() -> None:
        doubtful = sum(bool(clip.doubts) for clip in checked[-len(strips) :])
        text = f"{title}: {len(strips)} clips, {doubtful} to look at (orange). {REMEDY}"
        sheets.append(_sheet_path(stem, len(sheets) + 1))
        write_image(sheets[-1], draw_sheet(text, strips))
        strips.clear()

    for index, folder in enumerate(folders):
        person, trim = choices[index] if choices else (None, None)
        try:
            contents = read_folder(folder, fps, trim)
            track, times_s = choose_skater(contents, confidence_threshold, person), contents.times_s
            clip = CheckedClip(
                folder.name,
                len(times_s),
                rate(times_s),
                (np.flatnonzero(~track.observed) + contents.first_frame).tolist(),
                (np.flatnonzero(track.num_people == 0) + contents.first_frame).tolist(),
                float(track.num_people.mean()),
                track.margin,
                list(map(str, find_doubts(track, times_s, contents.first_frame))),
            )
            strips.append(draw_strip(clip, contents, track, confidence_threshold))
            checked.append(clip)
        except UserError as error:
            log.error("%s", error)
            failed.append(folder.name)
        if len(strips) == CLIPS_PER_SHEET:
            write_sheet()
    if strips:
        write_sheet()
    old = len(sheets) + 1
    while (path := _sheet_path(stem, old)).exists():  # from an earlier run with more clips
        path.unlink()
        old += 1
    write_json(
        stem.with_name(f"{stem.name}.json"),
        {"clips": list(map(asdict, checked)), "unreadable": failed},
    )
    return checked, failed, sheets


def _sheet_path(stem: Path, number: int) -> Path:
    return stem.with_name(f"{stem.name}_{number}.jpg" if number > 1 else f"{stem.name}.jpg")


def describe_clips(clips: Sequence[CheckedClip]) -> str:
    """Return a table of the clips, followed by the shortest clip and the clips to look at."""
    rows = [
        [
            clip.name, f"{clip.num_frames}", f"{clip.num_frames / clip.fps:.2f}",
            f"{len(clip.missed_frames)}", f"{clip.people_per_frame:.1f}", f"{clip.margin:.2f}",
            "; ".join(clip.doubts),
        ]
        for clip in clips
    ]  # fmt: skip
    head = ["clip", "frames", "seconds", "missed", "people", "margin", ""]
    align = ("left", *["right"] * 5, "left")
    lines = [tabulate([head, *rows], tablefmt="plain", colalign=align, disable_numparse=True)]
    if clips:
        shortest = min(clips, key=lambda clip: clip.num_frames)
        lines.append(f"{len(clips)} clips, min(seq_lens) {shortest.num_frames} ({shortest.name})")
    doubtful = [clip.name for clip in clips if clip.doubts]
    return "\n".join([*lines, f"clips to look at: {', '.join(doubtful) or 'none'}"])


def draw_strip(
    clip: CheckedClip,
    contents: ClipFolder,
    track: Track,
    confidence_threshold: float,
) -> Image:
    """Return a title above SHOWN evenly spaced frames with the chosen person drawn in colour.

    Other people are grey. If the margin is small, the second choice is purple, and a row of whole
    pictures is added, as this person may be anywhere. Without images the ground is plain.
    """
    detections = contents.detections
    second = None
    if track.margin < CLEAR_MARGIN:
        with suppress(UserError):  # there is no second person
            second = choose_person(detections, 2, clip.fps, contents.picture_px, contents.look)
    size = image_size(contents.images[0]) if contents.images else contents.picture_px
    size = size or estimate_size(detections.keypoints)
    body = measure_body(track.keypoints, size, clip.fps, confidence_threshold)
    viewports = follow(body, size, CELL_PX, max(ROOM, body.room(CELL_PX)))
    whole = Viewport((0, 0, *size), *WHOLE_PX)
    frames = np.linspace(0, len(viewports) - 1, SHOWN).round().astype(int)
    rows: list[list[Image]] = [[] for _ in range(1 if second is None else 2)]
    for frame in frames:
        people: list[tuple[NDArray[np.float32], Color | None]] = [
            (detections.keypoints[index], FAINT)
            for index in np.flatnonzero(detections.frame == frame)
            if index != track.detection[frame]
        ]
        if second is not None:
            people.append((second.keypoints[frame], SECOND))
        people.append((track.keypoints[frame], None))
        image = read_frame(contents.images, frame) if contents.images else plain_image(size)
        for row, viewport, thickness_px in zip(
            rows, (viewports[frame], whole), (3, 2), strict=False
        ):
            cell = viewport.show(image, DARK if contents.images else PLAIN)
            for keypoints, color in people:
                cell = draw_skeleton(
                    cell,
                    viewport.place(keypoints),
                    confidence_threshold=confidence_threshold,
                    thickness_px=thickness_px,
                    color=color,
                )
            row.append(cell)
        number = contents.first_frame + frame
        note = " unsure" if track.unsure[frame] else "" if track.observed[frame] else " missed"
        _label(rows[0][-1], f"{number}{note}", is_doubtful=bool(note))
    cells = [np.concatenate(row, axis=1) for row in rows]
    strip = np.concatenate([_title(clip, SHOWN * CELL_PX[0]), *cells])
    if clip.doubts:
        cv2.rectangle(strip, (0, 0), (strip.shape[1] - 1, strip.shape[0] - 1), MARK, 3)
    return strip


def draw_sheet(title: str, strips: Sequence[Image]) -> Image:
    """Arrange the strips of the clips below a title."""
    head = np.full((2 * TITLE_PX, strips[0].shape[1], 3), DARK, np.uint8)
    write_text(head, title, (8, 46), 0.8, LIGHT)
    edged = [
        cv2.copyMakeBorder(strip, 0, 6, 0, 0, cv2.BORDER_CONSTANT, value=DARK) for strip in strips
    ]
    return np.concatenate([head, *edged])


def _title(clip: CheckedClip, width_px: int) -> Image:
    ground, ink = (MARK, DARK) if clip.doubts else (DARK, LIGHT)
    bar = np.full((TITLE_PX, width_px, 3), ground, np.uint8)
    text = f"{clip.name}   {clip.num_frames} frames, {clip.people_per_frame:.1f} people"
    write_text(bar, f"{text}   {'; '.join(clip.doubts)}", (8, 25), 0.7, ink)
    return bar


def _label(cell: Image, text: str, is_doubtful: bool) -> None:
    """Write a text into the upper left corner of a cell."""
    (length, _), _ = cv2.getTextSize(text, FONT, 0.6, 1)
    cv2.rectangle(cell, (0, 0), (length + 9, LABEL_PX), MARK if is_doubtful else DARK, -1)
    write_text(cell, text, (5, 19), 0.6, DARK if is_doubtful else LIGHT)
