"""The reader and writer: every layout of real files, and the messages about unusable ones."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcc.alphapose import (
    read_detections,
    to_detections,
    write_detections,
)
from tcc.coco import FLIP, JOINTS, LAYOUTS, LIMBS
from tcc.files import UserError
from tcc.frame_names import natural_key

Write = Callable[[Any], Path]


def make_person(image: str | int, first: float = 1.0, **other: Any) -> dict[str, Any]:
    """One AlphaPose person whose keypoints count up from `first`, confidence 0.5."""
    keypoints = [value for j in range(17) for value in (first + j, first + 2 * j, 0.5)]
    return {"image_id": image, "keypoints": keypoints, "score": 2.0, **other}


def with_value(index: int, value: float | None) -> list[float | None]:
    keypoints: list[float | None] = [1.0] * 51
    keypoints[index] = value
    return keypoints


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes text, bytes or what json can write to axel_03.json."""

    def write_file(content: Any) -> Path:
        path = tmp_path / "axel_03.json"
        if not isinstance(content, bytes | str):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def test_reads_every_value(write: Write) -> None:
    people = [make_person("0.jpg"), make_person("0.jpg", 50), make_person("2.jpg", 90, score=3.5)]
    detections = read_detections(write(people))
    assert detections.frame.tolist() == [0, 0, 2]
    assert detections.frame.dtype == np.int32
    assert detections.score.tolist() == [2, 2, 3.5]
    expected = np.array([p["keypoints"] for p in people], np.float32).reshape(3, 17, 3)
    np.testing.assert_array_equal(detections.keypoints, expected)
    assert detections.image_names == ["0.jpg", "", "2.jpg"]
    assert detections.num_frames == 3


@given(order=st.permutations(range(6)))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_order_of_frames_does_not_matter(write: Write, order: list[int]) -> None:
    people = [make_person(f"{frame}.jpg", frame) for frame in range(6)]
    detections = read_detections(write([people[i] for i in order]))
    assert detections.frame.tolist() == list(range(6))
    np.testing.assert_array_equal(detections.keypoints[:, 0, 0], np.arange(6))


@pytest.mark.parametrize("count", [17, 26, 136])
def test_first_17_keypoints_are_read(write: Write, count: int) -> None:
    person = make_person("0.jpg", keypoints=[float(i) / 1000 for i in range(3 * count)])
    detections = read_detections(write([person]))
    np.testing.assert_allclose(detections.keypoints.ravel(), np.arange(51) / 1000, rtol=1e-6)


@pytest.mark.parametrize("idx", [0, [0.0], [[0.0], [0.0]], None, "a"])
def test_idx_may_be_anything(write: Write, idx: Any) -> None:
    assert read_detections(write([make_person("0.jpg", idx=idx, box=[1, 2])])).num_frames == 1


def test_confidence_is_clipped_and_missing_score_is_one(write: Write) -> None:
    person = make_person("0.jpg", keypoints=with_value(5, 1.12))
    del person["score"]
    detections = read_detections(write([person]))
    assert detections.keypoints[0, 1, 2] == 1
    assert detections.score[0] == 1


def test_one_person_instead_of_a_list(write: Write) -> None:
    assert read_detections(write(make_person("DABC1_0001.jpg"))).keypoints.shape == (1, 17, 3)


@pytest.mark.parametrize("count", [18, 25])
def test_openpose_is_one_frame_with_joints_of_the_same_side(write: Write, count: int) -> None:
    """Both layouts: nose 0, neck 1, then right arm 2 to 4 and left arm 5 to 7."""
    values = [value for j in range(count) for value in (j, 100 * (j == 10), 1)]
    detections = read_detections(write({"people": [{"pose_keypoints_2d": values}]}))
    read = dict(zip(JOINTS, detections.keypoints[0, :, 0], strict=True))
    assert [read[j] for j in ("nose", "right_wrist", "left_shoulder", "left_wrist")] == [0, 4, 5, 7]
    assert read["left_eye"] - read["right_eye"] == read["left_ear"] - read["right_ear"] == 1
    assert read["right_ankle"] == {18: 10, 25: 11}[count]
    assert read["left_ankle"] == {18: 13, 25: 14}[count]
    assert detections.frame.tolist() == [0]
    assert 1 not in LAYOUTS[count][1], "COCO has no neck"


@pytest.mark.parametrize(
    ("images", "frames", "names"),
    [
        (["2.jpg", "5.jpg", "4.jpg"], [2, 4, 5], ["", "", "2.jpg", "", "4.jpg", "5.jpg"]),
        (["1.jpg", "0.jpg"], [0, 1], ["0.jpg", "1.jpg"]),
        ([7, 8], [0, 1], ["7", "8"]),
        (["clip2_frame_0300.png", "clip2_frame_0302.png"], [0, 2],
         ["clip2_frame_0300.png", "", "clip2_frame_0302.png"]),
        (["a/b9/0.jpg", "a/b9/1.jpg"], [0, 1], ["a/b9/0.jpg", "a/b9/1.jpg"]),
    ],
)  # fmt: skip
def test_numbers_without_vis(
    write: Write, images: list[str | int], frames: list[int], names: list[str]
) -> None:
    detections = read_detections(write([make_person(image) for image in images]))
    assert detections.frame.tolist() == frames
    assert detections.image_names == names


def test_other_origin_is_told(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tcc")
    read_detections(write([make_person("300.jpg")]))
    assert "numbered from 300; frame 0 in labels and results is 300.jpg" in caplog.text


@pytest.mark.parametrize(
    ("first", "told"),
    [(0, ""), (1, "frame 0 shows"), (4, "frames 0 to 3 show"), (30, "frames 0 to 29 show")],
)
def test_frames_in_front_of_the_first_image_are_told(
    write: Write, caplog: pytest.LogCaptureFixture, first: int, told: str
) -> None:
    caplog.set_level(logging.INFO, "tcc")
    path = write([make_person(f"{number}.jpg") for number in range(first, first + 41)])
    assert read_detections(path).num_frames == first + 41
    expected = [f"the first image is number {first}, so {told} nobody; if that"] if told else []
    assert [text.partition(": ")[2][: len(expected[0])] for text in caplog.messages] == expected


def test_a_byte_order_mark_is_no_mistake(write: Write) -> None:
    content = json.dumps([make_person("0.jpg")]).encode("utf-8-sig")
    assert read_detections(write(content)).num_frames == 1


def test_vis_decides_the_frame(write: Write) -> None:
    path = write([make_person("9.jpg"), make_person("x10.jpg"), make_person(7)])
    detections = read_detections(path, ["7.png", "9.png", "x10.png", "x11.png"])
    assert detections.frame.tolist() == [0, 1, 2]
    assert detections.image_names == ["7.png", "9.png", "x10.png", "x11.png"]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    people = np.random.default_rng(0).uniform(1, 900, (2, 5, 17, 3)).round(3).astype(np.float32)
    people[..., 2] = np.array([0.25, 0.75])[:, None, None]
    people[0, 1] = people[:, 3] = 0
    written = to_detections(list(people), [f"a{number}.png" for number in range(5)])
    assert written.frame.tolist() == [0, 0, 1, 2, 2, 4, 4]
    np.testing.assert_allclose(written.score, [0.75, 2.25, 2.25, 0.75, 2.25, 0.75, 2.25])
    write_detections(tmp_path / "a.json", written)
    again = read_detections(tmp_path / "a.json")
    assert again.image_names == ["a0.png", "a1.png", "a2.png", "", "a4.png"]
    assert again.frame.tolist() == written.frame.tolist()
    surest_first = [1, 0, 2, 4, 3, 6, 5]
    np.testing.assert_array_equal(again.keypoints, written.keypoints[surest_first])
    np.testing.assert_array_equal(again.score, written.score[surest_first])
    records = json.loads((tmp_path / "a.json").read_text())
    assert [record["idx"] for record in records] == [0, 1, 0, 0, 1, 0, 1]
    assert all(record["category_id"] == 1 for record in records)
    points = people[1, 0, :, :2]
    around = [*points.min(axis=0), *np.ptp(points, axis=0)]
    np.testing.assert_allclose(records[0]["box"], around, atol=0.006)
    boxes = np.arange(28, dtype=np.float32).reshape(7, 4)
    write_detections(tmp_path / "a.json", written, boxes)
    records = json.loads((tmp_path / "a.json").read_text())
    assert [record["box"] for record in records] == boxes[surest_first].tolist()


def test_natural_order() -> None:
    names = ["10.jpg", "a10b.jpg", "9.jpg", "a9b.jpg", "b9²9.jpg"]
    assert sorted(names, key=natural_key)[:4] == ["9.jpg", "10.jpg", "a9b.jpg", "a10b.jpg"]


def test_flip_swaps_the_sides_of_joints_and_limbs() -> None:
    swapped = [JOINTS[i] for i in FLIP]
    for name, other in zip(JOINTS, swapped, strict=True):
        assert {name.replace("left", "right"), name.replace("right", "left")} == {name, other}
    limbs = {frozenset(limb) for limb in LIMBS}
    assert {frozenset(FLIP[joint] for joint in limb) for limb in limbs} == limbs


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([make_person("17.jpg", keypoints=[1.0] * 48)],
         " frame 17.jpg: 16 keypoints a person (MPII), not one of 17, 18, 23, 25, 26, 33, 68, 133"),
        ([make_person("1.jpg"), make_person("17.jpg", keypoints=with_value(3, math.nan))],
         " frame 17.jpg: value NaN; run AlphaPose again"),
        ([make_person("17.jpg", score=-math.inf)], " frame 17.jpg: value -Infinity; run"),
        ([make_person("17.jpg", keypoints=with_value(3, 1e300))], " frame 17.jpg: keypoint value"),
        ([make_person("17.jpg", keypoints=with_value(4, -1e30))],
         " frame 17.jpg: keypoint value -1.0000000150474662e+30; expected positions within 100000"),
        ([make_person("17.jpg", keypoints=with_value(5, -0.5))], " frame 17.jpg: keypoint value -"),
        ([make_person("17.jpg", score=-2)], " frame 17.jpg: score -2.0; expected positions"),
        ([make_person("17.jpg", keypoints=with_value(3, None))],
         " frame 17.jpg: keypoints: Expected `float`, got `null` - at `$[3]`"),
        ([{"image_id": "17.jpg"}],
         ": a list of objects with image_id, not keypoints in a known format; make the keypoints"),
        ([make_person("0.jpg"), {"keypoints": [1]}],
         " frame of person 1 (counted from 0): person: Object missing required field `image_id`"),
        ([], " holds no person; run AlphaPose on the video again"),
        ("[" * 60_000 + "]" * 60_000, " is not valid JSON: maximum recursion depth exceeded"),
        ([make_person("9" * 5000)], ": the name of an image has 5000 characters; put the images"),
        ("", " is not valid JSON: Expecting value: line 1 column 1"),
        ('[{"image_id": "1.jpg"}, xx', " is not valid JSON: Expecting value: line 1 column 25"),
        ("[" * 100_000, " is not valid JSON: "),
        ("[]".encode("utf-16"), " holds no person; run AlphaPose on the video again"),
        (b'[{"image_id": "\xe9", "keypoints": []}]', " is not valid JSON: 'utf-8' codec can't"),
        (b'{"\xe9": "1.jpg"}', " is not valid JSON: 'utf-8' codec can't decode byte 0xe9"),
        (3, ": expected a list of persons in UTF-8: Expected `array`, got `int`"),
        ({"0.jpg": []}, ", read as PoseFlow, AlphaPose --format open or cmu, holds no person"),
        ({"version": 1, "x": [2]}, ": an object with version, x, not keypoints in a known format"),
        ({"people": [{"pose_keypoints_2d": [1, 2]}]}, " frame 0: 1 keypoints a person (an unknown"),
        ({"people": [{}]}, ", read as OpenPose, one image, holds no person; make"),
        ([make_person("skater.jpg")], " frame skater.jpg: the name holds no frame number; put"),
        ([make_person("a1.jpg"), make_person("b1.jpg")], ": images a1.jpg and b1.jpg have the"),
        ([make_person("1.jpg"), make_person("20210101.jpg")], ": 2 images are numbered 1 to 2021"),
    ],
)  # fmt: skip
def test_error_names_file_frame_value_and_remedy(write: Write, content: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        read_detections(write(content))
    text = str(error.value)
    assert f"axel_03.json{message}" in text
    assert "; " in text, "no remedy"
    assert "\n" not in text


def test_errors_about_vis_and_the_file(write: Write, tmp_path: Path) -> None:
    path = write([make_person("3.jpg")])
    with pytest.raises(UserError, match=r"axel_03.json frame 3.jpg: vis/ holds no such image"):
        read_detections(path, ["0.jpg", "1.jpg"])
    with pytest.raises(
        UserError, match="vis/ holds 2 images with 1 different names; keep one image file"
    ):
        read_detections(path, ["3.jpg", "3.png"])
    with pytest.raises(UserError, match=r"none.json: No such file"):
        read_detections(tmp_path / "none.json")


VARIANTS: dict[str, tuple[int, int] | str] = {  # persons and frames, or the error
    "arnis-trainer": (122, 122),
    "dance-tracker": (639, 156),
    "figureskating_wz": (694, 377),
    "hockey": (13, 1),
    "parking7907": (153, 150),
    "phamtrongthang_converted_openpose": (1, 1),
    "phamtrongthang_halpe136": (1, 1),
    "racket_img-keypoints": (1, 1),
    "swim2d": (20, 22),
    "sypchadi_test": r"frame 46_15761825584613739059.jpg: the name holds no frame number; put the"
    r" images of all frames into vis/ beside this file: their sorted names give the order",
    "mvig_poseflow_sample": r"is not valid JSON: Expecting value: line 164 column 19",
}


@pytest.mark.real
@pytest.mark.parametrize("name", VARIANTS)
def test_real_variants(real_data: Path, name: str) -> None:
    path = real_data / "alphapose_variants" / f"{name}.json"
    expected = VARIANTS[name]
    if isinstance(expected, str):
        with pytest.raises(UserError, match=expected):
            read_detections(path)
    else:
        detections = read_detections(path)
        assert (len(detections.frame), detections.num_frames) == expected
        assert np.isfinite(detections.keypoints).all()
        assert detections.keypoints[..., 2].max() <= 1


@pytest.mark.real
def test_variants_are_all_listed(real_data: Path) -> None:
    assert {path.stem for path in (real_data / "alphapose_variants").iterdir()} == set(VARIANTS)


@pytest.mark.real
def test_openpose_agrees_with_the_halpe_file_it_was_made_of(real_data: Path) -> None:
    folder = real_data / "alphapose_variants"
    openpose = read_detections(folder / "phamtrongthang_converted_openpose.json").keypoints[0]
    halpe = read_detections(folder / "phamtrongthang_halpe136.json").keypoints[0]
    both = openpose[:, 2] > 0
    assert both.sum() >= 10
    np.testing.assert_allclose(openpose[both], halpe[both], atol=1e-3)


@pytest.mark.real
def test_frame_numbers_agree_with_the_labels(real_data: Path) -> None:
    """The last frame of a12 holds nobody and no vis/ names it: one frame is missing at its end."""
    rows = (real_data / "skate" / "labels.csv").read_text().splitlines()[1:]
    different = {}
    for row in rows:
        mode, video, num_frames, *_ = row.split(",")
        path = real_data / "skate" / mode / video / "alphapose-results.json"
        if missing := int(num_frames) - read_detections(path).num_frames:
            different[video] = missing
    assert different == {"a12": 1}
