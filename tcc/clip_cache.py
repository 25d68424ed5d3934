"""Find or make the clip of a video file that is given to a command."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tcc.files import sha256

log = logging.getLogger("tcc")


@dataclass(frozen=True, slots=True)
class VideoCache:
    """Makes the clips of video files and keeps each in a folder that is named by the file's hash.

    Attributes:
        folder: where the clips are kept.
        weights: of the pose model; see `Rtmo`.
        device: for the pose model; see `Rtmo`.
    """

    folder: Path
    weights: Path | None
    device: str

    def find_clip(self, video: Path, also: Iterable[Path] = ()) -> Path:
        """Return the folder of a video's clip; make it if there is none for this content.

        Args:
            video: path of the video.
            also: other folders that may hold this clip, made by tcc_get_pose.py.

        Raises:
            UserError: see `video_to_keypoints`.
        """
        from tcc.estimator import Rtmo  # imports OpenCV and PyAV, which only videos need
        from tcc.pose import read_info, video_to_keypoints

        source = sha256(video)
        kept = self.folder / source[:16] / video.stem
        model = self.weights and self.weights.is_file() and sha256(self.weights)
        for folder in (*also, kept):
            info = read_info(folder)
            if (
                info
                and info["source_sha256"] == source
                and (not model or info["estimator"].get("weights_sha256") == model)
            ):
                return folder
        log.info("%s: finding the keypoints; they are kept in %s", video, kept)
        video_to_keypoints(video, kept, Rtmo(self.weights, self.device), force=True)
        return kept
