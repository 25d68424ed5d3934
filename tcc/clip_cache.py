"""Find or make the clip of a video file that is given to a command."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from tcc.files import UserError, sha256

log = logging.getLogger("tcc")


@dataclass(frozen=True, slots=True)
class VideoCache:
    """Makes the clips of video files and keeps each in a folder that is named by the file's hash.

    Attributes:
        folder: where the clips are kept.
        weights: of the pose model; see `Rtmo`.
        device: for the pose model; see `Rtmo`.
        root: folder of the mode, where tcc_get_pose.py may have put the clip of a video.
    """

    folder: Path
    weights: Path | None
    device: str
    root: Path

    def find_clip(self, source: Path, capture_fps: float | None = None) -> Path:
        """Return the folder of a clip; make it if the source is a video without one.

        Args:
            source: folder of a clip, or a video file.
            capture_fps: see `video_to_keypoints`.

        Raises:
            UserError: see `video_to_keypoints`; or the weights don't exist, or `capture_fps` is
                given for a folder.
        """
        if source.is_dir():
            if capture_fps is not None:
                raise UserError(
                    f"{source}: --capture-fps {capture_fps:g} is for video files, and this is a "
                    "folder; its video.json holds the times of its frames"
                )
            return source
        from tcc.estimator import Rtmo, require_weights  # OpenCV and PyAV, which only videos need
        from tcc.pose import read_info, require_capture_fps, video_to_keypoints

        require_capture_fps(capture_fps)
        require_weights(self.weights)
        content = sha256(source)
        slow = "" if capture_fps is None else f"-{capture_fps:g}fps"
        kept = self.folder / f"{content[:16]}{slow}" / source.stem
        model = self.weights and sha256(self.weights)
        others = []
        for folder in dict.fromkeys((source.with_suffix(""), self.root / source.stem, kept)):
            info = read_info(folder)
            if (
                not info
                or info["source_sha256"] != content
                or capture_fps not in (None, info["capture_fps"])
            ):
                continue
            if not model or info["estimator"].get("weights_sha256") == model:
                return folder
            others.append(f"{folder} (by {info['estimator']['name']})")
        if others:
            log.info(
                "%s: has keypoints of another model than --weights in %s",
                source, " and ".join(others),
            )  # fmt: skip
        log.info("%s: finding the keypoints; they are kept in %s", source, kept)
        video_to_keypoints(
            source, kept, Rtmo(self.weights, self.device), capture_fps=capture_fps, force=True
        )
        return kept
