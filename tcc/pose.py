"""Makes the folder of a clip from a video: frames, every person's keypoints, and times."""

from __future__ import annotations

import json
import logging
import shutil
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from tcc.alphapose import Detections, write_detections
from tcc.clips import read_folder
from tcc.clock import rate
from tcc.estimator import Estimator, EstimatorError, People, shared_rtmo
from tcc.files import UserError, require_utf8, result_stem, sha256, write_json
from tcc.images import Image, read_image, write_image
from tcc.progress import long_step, progress
from tcc.sidecars import CLIP_TOML, UNREADABLE, write_person
from tcc.tracking import choose_person
from tcc.video import Frame, count_frames, read_frames

log = logging.getLogger("tcc")
Item = TypeVar("Item")

KEYPOINT_FILE, INFO_FILE, FRAME_FOLDER = "alphapose-results.json", "video.json", "vis"
OWN_KEYS = {
    "source", "source_sha256", "capture_fps", "num_frames", "width_px", "height_px", "estimator",
}  # fmt: skip
MAX_CAPTURE_FPS = 100_000
AHEAD = 4  # frames by which decoding may be ahead of the model, and writing behind it
# Constants of the second look at a small skater, chosen with benchmarks/pose.py.
SMALL_PX = 100  # height in the model's input below which a crop gives more exact joints
CROP = 4.0  # side of the crop in body sizes; at 2, the skater is lost in many frames
NEAR = 0.3  # largest median distance of the joints, in body sizes, between poses of one person


def require_capture_fps(fps: float | None) -> None:
    """Check --capture-fps.

    Raises:
        UserError: no camera has this rate.
    """
    if fps is not None and not 1 <= fps <= MAX_CAPTURE_FPS:
        raise UserError(f"--capture-fps {fps:g}: expected 1 to {MAX_CAPTURE_FPS}, as in 240")


def video_to_keypoints(
    video: Path,
    folder: Path,
    estimator: Estimator,
    *,
    capture_fps: float | None = None,
    force: bool = False,
    person: int | None = None,
) -> dict[str, Any]:
    """Make a clip's folder of a video: vis/, alphapose-results.json and video.json.

    The folder changes only when everything is ready. A finished folder is not made again, and the
    clip of another video is only replaced with `force`. Other files in the folder are kept. But if
    clip.toml was written for another video, its number is not valid, and `person` must replace it.
    Decoding, the model and writing run at the same time, with a few frames in memory.

    Args:
        video: path of the video.
        folder: of the clip; created if it is missing.
        estimator: finds the persons.
        capture_fps: frames per second that the camera recorded, for slow-motion videos.
        force: make a finished folder again, or replace the clip of another video.
        person: 1 for the main person, and so on; only used to replace a clip.toml that was written
            for another video.

    Returns:
        The content of video.json.

    Raises:
        UserError: the video can't be read to its end, shows nobody or has a name that is not
            UTF-8; the folder was made from another video or not by this function; its clip.toml is
            for another video, and `person` is None or not in the clip.
        EstimatorError: the model can't be used.
    """
    require_utf8(video)
    if not video.stem.strip("."):
        raise UserError(f"{video}: the name of its clip would be {video.stem}; rename it")
    expected_frames = count_frames(video)
    source_sha256 = sha256(video)
    finished = None if force else read_info(folder)
    if (
        finished
        and finished["source_sha256"] == source_sha256
        and capture_fps in (None, finished["capture_fps"])
    ):
        made_with = finished["estimator"]["name"]
        log.info("%s: already made with %s; use --force to make it again", folder, made_with)
        return finished
    _refuse_to_replace(folder, video, source_sha256, force)
    outdated = _has_outdated_person(folder, source_sha256)
    if outdated and person is None:
        raise UserError(
            f"{folder / CLIP_TOML}: chooses the skater in another video, not in {video}; add "
            "--person K for this one (1: the main person), or delete the file"
        )
    with long_step("loading the pose model"):
        described = estimator.load()
    partial = result_stem(folder.parent, ".{}.partial", folder.name)
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    try:
        (partial / FRAME_FOLDER).mkdir(parents=True)
        info = _write_clip(video, partial, estimator, capture_fps, expected_frames)
        info |= {"source_sha256": source_sha256, "estimator": described}
        write_json(partial / INFO_FILE, info)
        if outdated and person is not None:  # check it before the old clip is replaced
            new = read_folder(partial, info["fps"])
            try:
                choose_person(new.detections, person, rate(new.times_s), new.picture_px)
            except UserError as error:
                raise UserError(f"{video}: {error}; {folder} is unchanged") from None
            write_person(partial, person)
        _install(partial, folder)
    except OSError as error:
        raise UserError(
            f"{folder}: can't be written ({error.strerror}); free disk space or allow writing there"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return info


def _write_clip(
    video: Path,
    folder: Path,
    estimator: Estimator,
    capture_fps: float | None,
    expected_frames: int | None,
) -> dict[str, Any]:
    """Write frames and keypoints of a video; return what video.json tells of them."""
    people, times_s, last = _find_people(
        video, folder / FRAME_FOLDER, estimator, capture_fps, expected_frames
    )
    if not any(len(found.score) for found in people):
        raise UserError(
            f"{video}: nobody found in {len(people)} frames; film from a shorter distance"
        )
    height_px, width_px = last.image.shape[:2]
    fps = rate(np.array(times_s))
    refined = _refine(people, folder / FRAME_FOLDER, (width_px, height_px), estimator, fps)
    boxes = np.concatenate([found.box for found in people])
    write_detections(folder / KEYPOINT_FILE, _detections(people), boxes)
    span_s = times_s[-1] - times_s[0]
    return {
        "source": video.name,
        "fps": (len(times_s) - 1) / span_s if span_s else capture_fps,
        "capture_fps": capture_fps,
        "num_frames": len(times_s),
        "width_px": width_px,
        "height_px": height_px,
        "rotation_deg": last.rotation_deg,
        "mirrored": last.mirrored,
        "second_pass": refined,
        "versions": {name: version(name) for name in ("av", "numpy")} | {"cv2": cv2.__version__},
        "timestamps_s": times_s,
    }


def _find_people(
    video: Path,
    folder: Path,
    estimator: Estimator,
    capture_fps: float | None,
    expected_frames: int | None,
) -> tuple[list[People], list[float], Frame]:
    """Write every frame; return the people and the time of each, and the last frame."""
    people: list[People] = []
    times_s: list[float] = []
    writing: deque[Future[None]] = deque()
    with (
        closing(_ahead(read_frames(video, capture_fps))) as frames,
        ThreadPoolExecutor(2) as pool,
    ):
        for frame in progress(frames, video.name, "frame", expected_frames):
            path = folder / _image_name(len(people))
            writing.append(pool.submit(write_image, path, frame.image))
            people.append(estimator(frame.image))
            times_s.append(frame.time_s)
            if len(writing) > AHEAD:
                writing.popleft().result()
        for written in writing:
            written.result()
    return people, times_s, frame


def _refine(
    people: list[People],
    folder: Path,
    picture_px: tuple[int, int],
    estimator: Estimator,
    fps: float,
) -> bool:
    """Look again at a crop around the main person in every frame, if the person is small.

    Return whether that was done. `people` is changed in place: the main person's keypoints are
    replaced, or added to a frame where the first look missed the person.
    """
    detections = _detections(people)
    track = choose_person(detections, fps=fps, picture_px=picture_px)
    extent = np.ptp(track.keypoints[..., :2], axis=1).max(axis=1)
    usual = float(np.median(extent[track.observed]))
    if usual * estimator.input_px / max(picture_px) >= SMALL_PX:
        return False
    first = np.cumsum([0, *(len(found.score) for found in people)])
    images = (read_image(folder / name) for name in detections.image_names)
    with closing(_ahead(images)) as pictures:
        for frame, image in enumerate(progress(pictures, "second look", "frame", len(people))):
            target = track.keypoints[frame]
            side = CROP * max(extent[frame], usual / 2)
            found = _look_closer(image, target, side, estimator)
            apart = np.linalg.norm(found.keypoints[..., :2] - target[:, :2], axis=-1)
            distance = np.median(apart, axis=-1) / usual
            if not len(distance) or distance.min() > NEAR:
                continue
            best = distance.argmin()
            person = track.detection[frame] - first[frame]
            kept = np.arange(len(people[frame].score)) != person  # person < 0: it was missed
            people[frame] = People(
                *(
                    np.concatenate(
                        [getattr(people[frame], name)[kept], getattr(found, name)[[best]]]
                    )
                    for name in People.__slots__
                )
            )
    return True


def _look_closer(
    image: Image, target: NDArray[np.float32], side_px: float, estimator: Estimator
) -> People:
    """Return the people in a square around a pose, in pixels of the whole image."""
    height, width = image.shape[:2]
    centre = (target[:, :2].min(axis=0) + target[:, :2].max(axis=0)) / 2
    centre = np.clip(centre, 0, (width - 1, height - 1))
    left, top = np.maximum(centre - side_px / 2, 0).astype(int)
    right, bottom = np.ceil(centre + side_px / 2).astype(int) + 1
    found = estimator(np.ascontiguousarray(image[top:bottom, left:right]))
    keypoints, box = found.keypoints.copy(), found.box.copy()
    keypoints[..., :2] += (left, top)
    box[:, :2] += (left, top)
    return People(keypoints, box, found.score)


def _detections(people: Sequence[People]) -> Detections:
    """Return all people as the tracker reads them, with the image names of vis/."""
    return Detections(
        frame=np.repeat(
            np.arange(len(people), dtype=np.int32), [len(found.score) for found in people]
        ),
        keypoints=np.concatenate([found.keypoints for found in people]).astype(np.float32),
        score=np.concatenate([_person_score(found) for found in people]),
        image_names=[_image_name(frame) for frame in range(len(people))],
    )


def _image_name(frame: int) -> str:
    return f"{frame:06d}.jpg"


def _person_score(people: People) -> NDArray[np.float32]:
    """Return AlphaPose's score (P,) of each person: mean + detector's score + 1.25 x maximum.

    Mean and maximum are over the confidences of the joints; see alphapose/utils/pPose_nms.py.
    """
    confidence = people.keypoints[..., 2]
    score = confidence.mean(axis=1) + people.score + 1.25 * confidence.max(axis=1)
    return np.asarray(score, np.float32)


def _ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """Yield `items`, which another thread makes while the previous one is in use."""
    with ThreadPoolExecutor(1) as pool:
        futures = deque(pool.submit(next, items, None) for _ in range(AHEAD))
        while (item := futures.popleft().result()) is not None:
            futures.append(pool.submit(next, items, None))
            yield item


@dataclass(frozen=True, slots=True)
class MakeClip:
    """Makes the clip of a video, unless it is made already; see `Rtmo` and `video_to_keypoints`."""

    weights: Path | None
    device: str
    capture_fps: float | None
    force: bool
    person: int | None

    def __call__(self, place: tuple[Path, Path]) -> dict[str, Any] | UserError:
        """Do this in a job: as `make`, with the model that all jobs in this process share."""
        return self.make(shared_rtmo(self.weights, self.device), place)

    def make(self, estimator: Estimator, place: tuple[Path, Path]) -> dict[str, Any] | UserError:
        """Return the content of video.json, or the error of this video.

        Args:
            estimator: finds the persons.
            place: path of the video, and folder of the clip.

        Raises:
            EstimatorError: the model can't be used, for any video.
        """
        try:
            return video_to_keypoints(
                *place, estimator,
                capture_fps=self.capture_fps, force=self.force, person=self.person,
            )  # fmt: skip
        except EstimatorError:
            raise
        except UserError as error:
            return error


def read_info(folder: Path) -> dict[str, Any] | None:
    """Return video.json of a folder that was made here and is complete, else None."""
    complete = all((folder / name).exists() for name in (FRAME_FOLDER, KEYPOINT_FILE))
    return _read_own_info(folder) if complete else None


def _read_own_info(folder: Path) -> dict[str, Any] | None:
    """Return video.json if it was written here, else None: a user's file may hold only times."""
    try:
        info: Any = json.loads((folder / INFO_FILE).read_text(encoding="utf-8"))
    except UNREADABLE:
        return None
    return info if isinstance(info, dict) and info.keys() >= OWN_KEYS else None


def _refuse_to_replace(folder: Path, video: Path, source_sha256: str, force: bool) -> None:
    """Raise UserError if the folder was made from another video, or was not made here."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: a file with the name of the clip's folder; move or rename it")
    made = _read_own_info(folder)
    if made:
        # A new version of the video beside the folder is the same clip, filmed or cut again.
        beside = (video.name, video.parent.resolve()) == (made["source"], folder.parent.resolve())
        if not force and not beside and made["source_sha256"] != source_sha256:
            raise UserError(
                f"{video}: {folder} was made from another video, {made['source']}; rename this "
                "video to keep both, or use --force to replace the clip"
            )
        return
    foreign = [
        path.name for path in folder.glob("*") if path.suffix.lower() == ".json" or path.is_dir()
    ]
    if foreign:
        raise UserError(
            f"{folder}: holds {', '.join(foreign)}, not made by tcc_get_pose.py; to convert the "
            "video, move or rename this folder"
        )


def _has_outdated_person(folder: Path, source_sha256: str) -> bool:
    """Return whether the folder holds a clip.toml that was not written for this video."""
    made = _read_own_info(folder)
    is_same_video = made is not None and made["source_sha256"] == source_sha256
    return (folder / CLIP_TOML).exists() and not is_same_video


def _install(partial: Path, folder: Path) -> None:
    """Move the new files into the folder; video.json comes last and marks it as complete."""
    folder.mkdir(exist_ok=True)
    if (folder / FRAME_FOLDER).exists():
        (folder / FRAME_FOLDER).rename(partial / "old")
    for name in (FRAME_FOLDER, KEYPOINT_FILE, CLIP_TOML, INFO_FILE):
        if (partial / name).exists():
            (partial / name).replace(folder / name)
