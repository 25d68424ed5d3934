"""Writers that the server runs, each with the version of the content as its argument."""

from __future__ import annotations

import codecs
import sys
import tomllib  # noqa: F401
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tcc import checkpoint
from tcc.dtw import accumulate, accumulate_common
from tcc.files import whole, write_json
from tcc.images import Image, write_image
from tcc.pose import video_to_keypoints
from tcc.report.page import write_page
from tcc.sidecars import write_person
from tcc.video import write_video
from tests.test_page import make_data, make_images
from tests.test_pose import Stub


def warm_up() -> None:
    """Load what a fork of another user can't read: compiled code and parts of Python."""
    codecs.lookup("utf-8-sig")
    FigureCanvasAgg(Figure()).draw()  # type: ignore[no-untyped-call]  # reads the fonts
    accumulate(np.zeros((3, 3)))
    accumulate_common(np.zeros((3, 3)))


def version() -> int:
    return int(sys.argv[1])


def noise(*shape: int) -> Any:
    return np.random.default_rng(version()).integers(0, 256, shape, np.uint8)


def write_checkpoint() -> None:
    content = {"encoder": {"weight": torch.full((300_000,), float(version()))}, "step": version()}
    checkpoint.save(Path("out.pt"), content)


def write_numbers() -> None:
    write_json(Path("out.json"), {"values": [version()] * 30_000})


def write_array() -> None:
    with whole(Path("out.npy")) as temporary:
        np.save(temporary, noise(3_000_000), allow_pickle=False)


def write_png() -> None:
    write_image(Path("out.png"), noise(300, 400, 3))


def write_jpeg() -> None:
    write_image(Path("out.jpg"), noise(600, 800, 3))


def write_mp4() -> None:
    pictures: list[Image] = list(noise(10, 120, 160, 3))
    write_video(Path("out.mp4"), pictures, 30)


def write_html() -> None:
    write_page(Path("out.html"), {**make_data(), "title": f"version {version()}"}, make_images())


def write_clip_toml() -> None:
    write_person(Path(), version() + 1)


def write_clip_folder() -> None:
    video_to_keypoints(Path(f"{version()}.mp4"), Path("clip"), Stub(3), force=True)
