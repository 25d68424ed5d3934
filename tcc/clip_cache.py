"""Clips of videos that a command is given by name: made at first use, kept by the file's hash."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tcc.files import sha256

log = logging.getLogger("tcc")


@dataclass(frozen=True, slots=True)
class VideoCache:
    """Where clips of videos are kept, and how they are made: see `Rtmo`."""

    folder: Path
    weights: Path | None
    device: str

    def find_clip(self, video: Path, also: Iterable[Path] = ()) -> Path:
        """Return the folder of a video's clip, made where there is none of this very file.

        Args:
            video: any file.
            also: folders where tcc_get_pose.py may have made it.

        Raises:
            UserError: see `video_to_keypoints`.
        """
        from tcc.estimator import Rtmo  # OpenCV and PyAV, which clips with keypoints do without
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
        log.info("%s: making its keypoints, kept in %s", video, kept)
        video_to_keypoints(video, kept, Rtmo(self.weights, self.device), force=True)
        return kept
