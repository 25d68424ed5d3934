"""Mutated inputs, which the server gives to the program: each brings a result or a UserError."""

from __future__ import annotations

import faulthandler
import json
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import cv2
import hypothesis
import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tcc_train
from tcc import checkpoint
from tcc.contact_sheet import check_clips
from tcc.evaluate.labels import check_labels, read_labels, read_recordings, shared_events
from tcc.files import UserError, write_json
from tcc.images import read_image
from tcc.sidecars import picture_size, read_clip_toml
from tcc.video import count_frames, read_frames, write_video
from tcc_config import CONFIG
from tcc_data import load_clip, make_features
from tcc_model import GENERIC, embed, load_encoder
from tests.conftest import wave
from tests.test_formats import FOLDERS, PEOPLE, SINGLE_FILES

LIMIT_S = 10.0
DEEP, LONG = '"@deep@"', b"[" * 60_000 + b"]" * 60_000
NASTY: tuple[Any, ...] = (
    None, True, 0, -1, 0.5, 1e308, -1e308, 1e5, 9e4, 1e9, 2**31, 2**63, 10**4000, float("nan"),
    float("inf"), "", "x" * 100_000, "9" * 5000 + ".jpg", "9" * 400, "99999999999.jpg", "NaN", "\n",
    "\x00", "\ud800", "../../x.jpg", "0.5.jpg", "1e5.jpg", "-3.jpg", "跳 1.jpg", "@deep@", [], {},
    [[]], [{}], {"": None}, [0] * 51, [1e5] * 51, [9e4, 0.0, 1.0] * 17, [None] * 17, [[0, 0]] * 17,
    [1.0] * 10_000,
)  # fmt: skip
LABELS = (
    "mode,video,takeoff_frame,landing_frame,recording\nval,a,3,9,one\nval,b,4,10,one\ntest,c,,12,\n"
)
TOML = 'person = 2\nstart_s = 0.1\nend_s = 0.6\n'  # fmt: skip

VALUES = ("1e308", "-1", "nan", "inf", "9" * 5000, "[" * 9000, "'x'", "1979-05-27")
CELLS = ("-1", "9" * 5000, "1_0", "٣", "nan", "../..", "x" * 200_000, "\0", '"', "\ud800", "\r")


def mutate_bytes(random: Random, content: bytes) -> bytes:
    """Return bytes that are cut, changed, repeated or put into other bytes."""
    changed = bytearray(content)
    for _ in range(random.randint(1, 4)):
        place = random.randint(0, len(changed))
        end = min(len(changed), place + random.choice((1, 4, 50, 1000)))
        match random.randint(0, 7):
            case 0:
                del changed[place:]
            case 1:
                del changed[place:end]
            case 2:
                changed[place:place] = changed[place:end]
            case 3:
                changed[place:place] = random.choice((b"\xff", b"\0", b"\n", b'"', b"\xef\xbb\xbf"))
            case 4:
                changed[place : place + 4] = random.choice(
                    (b"\xff\xff\xff\xff", b"\x7f" * 4, b"\0" * 4)
                )
            case 5 | 6 if end > place:
                changed[place] = random.randint(0, 255)
            case _:
                changed[place:end] = reversed(changed[place:end])
    return bytes(changed)


def mutate_value(random: Random, content: Any) -> Any:
    """Return a value of JSON in which some values are replaced, left out or repeated."""
    content = json.loads(json.dumps(content))
    holder: Any = [content]
    for _ in range(random.randint(1, 3)):
        node, key = holder, 0
        while isinstance(inner := node[key], dict | list) and inner and random.randint(0, 5):
            node = inner
            key = random.choice(list(node) if isinstance(node, dict) else range(len(node)))
        match random.randint(0, 4):
            case 0 if node is not holder:
                del node[key]
            case 1 if isinstance(node, list) and node is not holder:
                node.insert(key, node[key])
            case 2:
                node[key] = [node[key]]
            case _:
                node[key] = random.choice(NASTY)
    return holder[0]


def mutate_json(random: Random, content: Any) -> bytes:
    """Return mutated JSON as it is written to a file."""
    encoded = json.dumps(mutate_value(random, content)).encode()
    encoded = encoded.replace(DEEP.encode(), LONG)
    return encoded if random.randint(0, 3) else mutate_bytes(random, encoded)


@cache
def generic() -> Any:
    return load_encoder(GENERIC, Path("log"), CONFIG, torch.device("cpu"))[0]


def use_clip(folder: Path) -> None:
    """Read, embed and draw a clip."""
    clip = load_clip(folder, CONFIG)
    assert np.isfinite(embed(generic(), make_features(clip, CONFIG))).all()
    check_clips([folder], Path("check"), "check", CONFIG.FPS, CONFIG.SKELETON_CONF_THRESHOLD)


def fuzz_json(random: Random) -> None:
    name = random.choice([*SINGLE_FILES, *FOLDERS, "alphapose"])
    Path("clip").mkdir()
    if name in FOLDERS:
        form, one = FOLDERS[name]
        broken = random.randrange(len(PEOPLE))
        for frame, people in enumerate(PEOPLE):
            content = one(people)
            made = mutate_json(random, content) if frame == broken else json.dumps(content).encode()
            Path("clip", f"{form.format(frame)}.json").write_bytes(made)
    else:
        content = SINGLE_FILES.get(name, alphapose)()
        Path("clip", "alphapose-results.json").write_bytes(mutate_json(random, content))
    use_clip(Path("clip"))


def alphapose() -> Any:
    return [
        {"image_id": f"{frame}.jpg", "category_id": 1, "score": 2.5,
         "keypoints": pose.astype(float).ravel().tolist()}
        for frame, pose in enumerate(wave(12, 0))
    ]  # fmt: skip


def write_alphapose() -> Path:
    Path("clip").mkdir()
    Path("clip", "alphapose-results.json").write_text(json.dumps(alphapose()))
    return Path("clip")


def fuzz_video_json(random: Random) -> None:
    content = {
        "timestamps_s": [frame / 30 for frame in range(12)],
        "width_px": 640,
        "height_px": 480,
    }
    folder = write_alphapose()
    (folder / "video.json").write_bytes(mutate_json(random, content))
    use_clip(folder)


def fuzz_toml(random: Random) -> None:
    folder = write_alphapose()
    text = mutate_bytes(random, TOML.encode())
    if not random.randint(0, 2):
        value = random.choice(
            ("1e308", "-1", "nan", "inf", "9" * 5000, "[" * 9000, "'x'", "1979-05-27")
        )
        text = f"{random.choice(('person', 'start_s', 'end_s', 'other'))} = {value}\n".encode()
    (folder / "clip.toml").write_bytes(text)
    read_clip_toml(folder)
    use_clip(folder)


def fuzz_labels(random: Random) -> None:
    folder = Path("data", "axel")
    folder.mkdir(parents=True)
    text = mutate_bytes(random, LABELS.encode())
    if not random.randint(0, 2):
        cell = random.choice(
            ("-1", "9" * 5000, "1_0", "٣", "nan", "../..", "x" * 200_000, "\0", '"', "\ud800")
        )
        places = [place for place, character in enumerate(LABELS) if character == ","]
        place = random.choice(places)
        text = f"{LABELS[:place]},{cell}{LABELS[place:]}".encode(errors="surrogatepass")
    (folder / "labels.csv").write_bytes(text)
    labels = read_labels(Path("data"), "axel")
    read_recordings(Path("data"), "axel")
    check_labels(Path("data"), "axel", "val", labels, {"a": 20, "b": 20})
    shared_events(Path("data"), ["axel/val"])


@cache
def trained() -> tuple[dict[str, Any], bytes]:
    """Return a checkpoint of a training in data/, as values and as bytes."""
    path = Path("log", "wave_checkpoint.pt")
    content = torch.load(path, weights_only=True)
    for name, value in content["config"].items():
        setattr(CONFIG, name, value)
    return content, path.read_bytes()


def fuzz_checkpoint(random: Random) -> None:
    content, encoded = trained()
    if random.randint(0, 1):
        changed = dict(content)
        for _ in range(random.randint(1, 2)):
            holder: Any = changed
            key = random.choice(list(holder))
            while isinstance(holder[key], dict) and holder[key] and random.randint(0, 4):
                holder[key] = dict(holder[key])
                holder = holder[key]
                key = random.choice(list(holder))
            if random.randint(0, 2):
                holder[key] = random.choice((*NASTY, torch.zeros(3), torch.zeros(2, 2).long()))
            else:
                del holder[key]
        buffer = BytesIO()
        torch.save(changed, buffer)
        encoded = buffer.getvalue()
    else:
        encoded = mutate_bytes(random, encoded)
    path = Path("log", "fuzz_checkpoint.pt")
    path.write_bytes(encoded)
    with suppress(UserError):
        encoder, config, _ = load_encoder(path, Path("log"), CONFIG, torch.device("cpu"))
        clip = load_clip(Path("data/wave/train/train0"), config)
        embed(encoder, make_features(clip, config))
    saved = checkpoint.load(path, "wave")
    tcc_train.check_resumable(saved)
    clips = [load_clip(folder, CONFIG) for folder in sorted(Path("data/wave/train").iterdir())]
    trainer = tcc_train.Trainer(clips, [], 8, torch.device("cpu"))
    trainer.restore(saved)
    if trainer.step < len(trainer.sequences):
        trainer.train_step(trainer.sequences[trainer.step])


@cache
def picture(suffix: str) -> bytes:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    encoded: bytes = cv2.imencode(suffix, image)[1].tobytes()
    return encoded


def fuzz_image(random: Random) -> None:
    folder = write_alphapose()
    suffix = random.choice((".jpg", ".png", ".bmp", ".webp"))
    (folder / "vis").mkdir()
    for frame in range(12):
        (folder / "vis" / f"{frame}{suffix}").write_bytes(picture(suffix))
    broken = folder / "vis" / f"{random.randint(0, 2)}{suffix}"
    broken.write_bytes(mutate_bytes(random, picture(suffix)))
    picture_size(folder, [broken])
    with suppress(UserError):
        read_image(broken)
    use_clip(folder)


@cache
def film(suffix: str) -> bytes:
    path = Path(f"film{suffix}")
    frames = np.random.default_rng(0).integers(0, 256, (8, 48, 64, 3), np.uint8)
    write_video(path, list(frames), 30)
    return path.read_bytes()


def fuzz_video(random: Random) -> None:
    path = Path(f"x{random.choice(('.mp4', '.mov', '.mkv', '.avi'))}")
    encoded = film(random.choice((".mp4", ".mkv", ".avi")))
    path.write_bytes(mutate_bytes(random, encoded))
    with suppress(UserError):
        count_frames(path)
    for frame in read_frames(path):
        assert frame.image.ndim == 3


def fuzz_array(random: Random) -> None:
    """No command reads arrays, but a user may name one as a checkpoint or as keypoints."""
    buffer = BytesIO()
    np.save(buffer, np.random.default_rng(0).random((20, 3)))
    encoded = mutate_bytes(random, buffer.getvalue())
    Path("x.npy").write_bytes(encoded)
    with suppress(UserError):
        checkpoint.load(Path("x.npy"), "wave")
    folder = write_alphapose()
    (folder / "alphapose-results.json").write_bytes(encoded)
    use_clip(folder)


KINDS: dict[str, Callable[[Random], None]] = {
    "json": fuzz_json, "video_json": fuzz_video_json, "toml": fuzz_toml, "labels": fuzz_labels,
    "checkpoint": fuzz_checkpoint, "image": fuzz_image, "video": fuzz_video, "array": fuzz_array,
}  # fmt: skip


def fuzz() -> None:
    """Try mutated inputs of a kind; print how many were used and how many refused."""
    kind, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    told = {"used": 0, "refused": 0}
    faulthandler.register(signal.SIGPROF, chain=True)

    @hypothesis.seed(seed)
    @settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.integers(0, 2**32 - 1))
    def attempt(number: int) -> None:
        signal.setitimer(signal.ITIMER_PROF, LIMIT_S)  # of processor time: others may be busy too
        faulthandler.dump_traceback_later(6 * LIMIT_S, exit=True)
        for folder in ("clip", "data/axel"):
            shutil.rmtree(folder, ignore_errors=True)
        Path("number").write_text(str(number))
        try:
            KINDS[kind](Random(number))
            result = "used"
        except UserError as error:
            result = "not in one line" if "\n" in str(error) else "refused"
        assert result in told
        told[result] += 1

    try:
        attempt()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
    write_json(Path("told.json"), told)
