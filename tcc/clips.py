"""Read the folder of a clip, and choose the skater who is followed in it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tcc.alphapose import Detections, read_detections
from tcc.appearance import Look
from tcc.clip_folders import list_clips, shorten
from tcc.clock import rate
from tcc.files import UserError, require_utf8, sha256_of
from tcc.frame_names import read_numbers, sort_images
from tcc.joints import WAY_ON
from tcc.sidecars import CLIP_TOML, MAX_PIXELS, Trim, picture_size, read_clip_toml, read_times
from tcc.tracking import Track, choose_person, drop_twins

log = logging.getLogger("tcc")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
ALPHAPOSE_FILE = "alphapose-results.json"
MIN_CONFIDENCE = 1e-6
MIN_EXTENT_PX = 1.0
# A person who is chosen by number must be seen in this share of the frames, and in this many.
MIN_SEEN_SHARE = 0.1
MIN_SEEN_FRAMES = 5


@dataclass(frozen=True, slots=True)
class Clip:
    """One skater in one video of F frames.

    Attributes:
        name: of the clip's folder.
        folder: of the clip.
        track: the skater in each of the F frames.
        times_s: (F,) time of each frame, s.
        images: the files of the F frames; empty if there is no vis/.
        first_frame: number of the first of the F frames in the folder; greater than 0 if the clip
            is trimmed.
        total_frames: number of frames in the folder.
        picture_px: width and height of the frames in px; None if unknown.
    """

    name: str
    folder: Path
    track: Track
    times_s: NDArray[np.float64]
    images: list[Path] = field(repr=False)
    first_frame: int = 0
    total_frames: int = 0
    picture_px: tuple[int, int] | None = None

    @property
    def keypoints(self) -> NDArray[np.float32]:
        """Keypoints of the skater, (F, 17, 3): x px, y px, confidence."""
        return self.track.keypoints

    @property
    def num_frames(self) -> int:
        """F, the number of frames."""
        return len(self.times_s)

    @property
    def fps(self) -> float:
        """Frames per second: one over the median time between two frames."""
        return rate(self.times_s)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the keypoints and times: it says which clip and person this is."""
        return sha256_of(self.keypoints.tobytes() + self.times_s.tobytes())

    @property
    def drawn_px(self) -> tuple[int, int]:
        """Width and height px of the picture that `read_image` returns.

        Without vis/ and video.json, the size is estimated from the keypoints.

        Raises:
            UserError: the first image can't be read.
        """
        from tcc.images import image_size  # OpenCV, which training does not need

        if self.images:
            return image_size(self.images[0])
        return self.picture_px or estimate_size(self.keypoints)

    def read_image(self, frame: int) -> NDArray[np.uint8]:
        """Return the image of a frame, (H, W, 3) uint8 BGR: plain ground if there is no vis/.

        Raises:
            UserError: the file is not an image of the size of the first frame.
        """
        from tcc.images import plain_image, read_frame

        return read_frame(self.images, frame) if self.images else plain_image(self.drawn_px)


@dataclass(frozen=True, slots=True)
class ClipFolder:
    """The content of a clip's folder, of which F frames are used.

    Attributes:
        path: of the folder.
        images: the files of the F frames; empty if there is no vis/.
        detections: all persons in the F frames.
        times_s: (F,) time of each frame, s.
        picture_px: width and height of the frames in px; None if unknown.
        person: the number in clip.toml, 1 for the main person; None if it gives none.
        first_frame: see `Clip`.
        total_frames: see `Clip`.
    """

    path: Path
    images: list[Path]
    detections: Detections
    times_s: NDArray[np.float64]
    picture_px: tuple[int, int] | None
    person: int | None
    first_frame: int
    total_frames: int

    @property
    def look(self) -> Look | None:
        """Function that returns the image of a frame; None if there is no vis/."""
        from tcc.images import read_frame

        return partial(read_frame, self.images) if self.images else None


def load_clip(
    folder: Path,
    fps: float,
    confidence_threshold: float,
    person: int | None = None,
    trim: Trim | None = None,
) -> Clip:
    """Read a clip and choose its skater.

    Args:
        folder: of the clip; see `read_folder`.
        fps: frames per second of a clip without video.json.
        confidence_threshold: see `choose_skater`.
        person: see `choose_skater`.
        trim: see `read_folder`.

    Raises:
        UserError: the clip can't be used; the message says why.
    """
    contents = read_folder(folder, fps, trim)
    track = choose_skater(contents, confidence_threshold, person)
    return Clip(
        folder.resolve().name,
        folder,
        track,
        contents.times_s,
        contents.images,
        contents.first_frame,
        contents.total_frames,
        contents.picture_px,
    )


def read_folder(folder: Path, fps: float, trim: Trim | None = None) -> ClipFolder:
    """Read the files in the folder of a clip.

    Args:
        folder: holds one keypoint file (*.json), or one for each frame. These are optional: vis/
            with the frames as images; video.json with the times of the frames, which
            tcc_get_pose.py writes; clip.toml with lines such as `person = 2`, if the skater is not
            the main person, and `start_s = 4.2` and `end_s = 6.0`, if only a part of the clip is
            used.
        fps: frames per second of a clip without video.json.
        trim: the part of the clip to use; None: the part in clip.toml, else all of it.

    Raises:
        UserError: a file is missing or can't be used; the message says why.
    """
    require_utf8(folder.resolve())
    images = image_files(folder)
    size_px = picture_size(folder, images)
    names = [path.name for path in images] or None
    detections = drop_twins(read_detections(keypoint_file(folder), names, size_px))
    times_s = read_times(folder, detections.num_frames, fps)
    person, part = read_clip_toml(folder)
    try:
        first, end = (trim or part).frames(times_s)
    except UserError as error:
        where = folder if trim else folder / CLIP_TOML
        raise UserError(f"{where}: {error}") from None
    total = len(times_s)
    detections, times_s, images = detections.part(first, end), times_s[first:end], images[first:end]
    if not len(detections.frame):
        raise UserError(f"{folder}: nobody was found between {trim or part}; choose another part")
    return ClipFolder(folder, images, detections, times_s, size_px, person, first, total)


def share_sure(path: NDArray[np.int64], standard: Clip, learner: Clip) -> float:
    """Return the share of pairs of frames, (K, 2), that surely show the skater in both clips."""
    unsure = standard.track.unsure[path[:, 0]] | learner.track.unsure[path[:, 1]]
    return 1.0 - float(unsure.mean())


def choose_skater(
    contents: ClipFolder, confidence_threshold: float, person: int | None = None
) -> Track:
    """Choose the skater of a clip and return the track, F frames.

    Args:
        contents: of the clip's folder.
        confidence_threshold: at least one joint of the skater must have this confidence.
        person: 1 for the main person, 2 for the next and so on; None: the number in clip.toml, or 1
            if it gives none.

    Raises:
        UserError: there is no such person, or the clip can't be used; the message says why.
    """
    folder, fps = contents.path, rate(contents.times_s)
    given = contents.person if person is None else person
    try:
        track = choose_person(
            contents.detections,
            1 if given is None else given,
            fps,
            contents.picture_px,
            contents.look,
        )
    except UserError as error:
        raise UserError(f"{folder}: {error}") from None
    seen, total = int(track.observed.sum()), len(track.observed)
    if given not in (None, 1) and seen < max(MIN_SEEN_SHARE * total, min(MIN_SEEN_FRAMES, total)):
        raise UserError(
            f"{folder}: person {given} is seen in only {seen} of {total} frames; choose another "
            "person (1: the main person)"
        )
    highest = float(track.keypoints[..., 2].max())
    if highest < max(confidence_threshold, MIN_CONFIDENCE):
        raise UserError(
            f"{folder}: no joint reaches SKELETON_CONF_THRESHOLD={confidence_threshold} "
            f"(highest confidence {highest:.2f}); lower the setting or remove the clip"
        )
    extent_px = float(np.ptp(track.keypoints[..., :2], axis=1).max())
    if extent_px < MIN_EXTENT_PX:
        raise UserError(
            f"{folder}: all joints of the skater are within {extent_px:.2g} px, so their positions "
            "can't be in pixels; run AlphaPose again or remove the clip"
        )
    # If the user has chosen the person, there is no doubt about the choice.
    return track if given is None else replace(track, margin=1.0)


def estimate_size(keypoints: NDArray[np.float32]) -> tuple[int, int]:
    """Estimate the width and height px of the frames from keypoints (..., 3) in them."""
    largest = keypoints[..., :2].reshape(-1, 2).max(axis=0)
    width, height = (1.2 * largest).clip(1, MAX_PIXELS**0.5)  # a wrong joint may be anywhere
    return int(width), int(height)


def keypoint_file(folder: Path) -> Path:
    """Return the keypoint file in the folder of a clip, or the folder with one file for each frame.

    The files of the frames may be in a folder of their own, such as json/ or output_jsons/.

    Raises:
        UserError: there is no such file, or more than one that is not for one frame.
    """
    found = json_files(folder)
    inner = [path for path in list_clips(folder) if path.name != "vis" and json_files(path)]
    if not found and len(inner) == 1:
        return keypoint_file(inner[0])
    main = [path for path in found if path.name.lower() == ALPHAPOSE_FILE] or found
    if len(main) == 1:
        unused = [path.name for path in found if path not in main] + [f"{i.name}/" for i in inner]
        if unused:
            log.info("%s is used; not used: %s", main[0], shorten(unused))
        return main[0]
    if found and read_numbers([path.stem for path in found]) is not None:
        return folder
    names = [path.name for path in found] or [f"{path.name}/" for path in inner]
    expected = f"{folder}: expected one keypoint file (*.json), found"
    if names:
        raise UserError(f"{expected} {shorten(names)}; keep only the file of AlphaPose")
    present = sorted(path.name + "/" * path.is_dir() for path in folder.glob("[!.]*"))
    holds = f"it holds {shorten(present)}" if present else "it is empty"
    raise UserError(f"{expected} none; {holds}; {WAY_ON}")


def json_files(folder: Path) -> list[Path]:
    """Return the files in a folder that may hold keypoints, sorted by name."""
    files = (path for path in folder.glob("[!.]*") if path.name.lower() != "video.json")
    return sorted(path for path in files if path.suffix.lower() == ".json")


def image_files(folder: Path) -> list[Path]:
    """Return the image files of a clip's frames, in the order of the numbers in their names.

    The list is empty if the clip has no vis/.

    Raises:
        UserError: there is a vis/, but it holds no image.
    """
    vis = folder / "vis"
    found = [path for path in vis.glob("[!.]*") if path.suffix.lower() in IMAGE_SUFFIXES]
    if vis.is_dir() and not found:
        raise UserError(f"{vis} holds no image; put all frames there or remove the folder")
    return [vis / name for name in sort_images([path.name for path in found])]
