"""Every format of other programs gives the same people as AlphaPose's; the rest is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tcc.alphapose import Detections, read_detections
from tcc.coco import JOINTS, LAYOUTS
from tcc.files import UserError
from tests.conftest import wave

F, EMPTY = 9, 4  # frames, and the one that shows nobody
SIZE_PX = (1280, 720)
Pose = NDArray[np.float64]
People = list[list[Pose]]
Content = Any


def make_people() -> People:
    """Return the poses (17, 3) of each frame: two people, nobody in one, one person in another."""
    first = wave(F, 0).astype(float).round(3)
    second = first + np.array([400, 100, -0.25])
    frames = [[first[frame], second[frame]] for frame in range(F)]
    frames[EMPTY] = []
    frames[6].pop()
    return frames


PEOPLE = make_people()


def score(pose: Pose) -> float:
    return float(pose[:, 2].mean())


def flat(pose: Pose) -> list[float]:
    return pose.ravel().tolist()


def place(pose: Pose, count: int) -> Pose:
    """Return a pose in another layout, with neck and mid-hip of OpenPose in between."""
    joints = np.full((count, 3), 0.5)
    joints[list(LAYOUTS[count][1])] = pose
    if count in (18, 25):
        joints[1] = pose[5:7].mean(axis=0)
    if count == 25:
        joints[8] = pose[11:13].mean(axis=0)
    return joints


def openpose(people: list[Pose], count: int = 25) -> Content:
    return {
        "version": 1.3,
        "people": [
            {"person_id": [-1], "pose_keypoints_2d": flat(place(pose, count)), "hand_left": []}
            for pose in people
        ],
    }


def mmpose(people: list[Pose]) -> Content:
    return [
        {
            "keypoints": pose[:, :2].tolist(), "keypoint_scores": pose[:, 2].tolist(),
            "bbox": [[1, 2, 3, 4]], "bbox_score": score(pose),
        }
        for pose in people
    ]  # fmt: skip


def ultralytics(people: list[Pose], scale: tuple[float, float] = (1, 1)) -> Content:
    return [
        {
            "name": "person", "class": 0, "confidence": score(pose), "box": {"x1": 1, "y1": 2},
            "keypoints": {
                "x": (pose[:, 0] / scale[0]).tolist(), "y": (pose[:, 1] / scale[1]).tolist(),
                "visible": pose[:, 2].tolist(),
            },
        }
        for pose in people
    ]  # fmt: skip


def landmarks(pose: Pose) -> Content:
    return [
        {"x": x / SIZE_PX[0], "y": y / SIZE_PX[1], "z": 0.1, "visibility": confidence}
        for x, y, confidence in place(pose, 33)
    ]


def named(pose: Pose) -> Content:
    """One person as TensorFlow.js writes it, in another order of the joints."""
    return [
        {"y": y, "x": x, "score": confidence, "name": name}
        for name, (x, y, confidence) in reversed(list(zip(JOINTS, pose, strict=True)))
    ]


def coco_annotations() -> Content:
    """COCO's annotations, with ids that are no frame numbers, and the images in another order."""
    return {
        "images": [
            {"id": 500 - frame, "file_name": f"f_{frame:03d}.jpg"} for frame in reversed(range(F))
        ],
        "annotations": [
            {"id": 1, "image_id": 500 - frame, "category_id": 1, "keypoints": flat(pose)}
            for frame, people in enumerate(PEOPLE)
            for pose in people
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(JOINTS)}],
    }


def tracks() -> Content:
    return {
        str(index + 1): {
            f"{frame:04d}": {"keypoints": flat(people[index]), "scores": score(people[index])}
            for frame, people in enumerate(PEOPLE)
            if len(people) > index
        }
        for index in range(2)
    }


def by_image(one: Callable[[list[Pose]], Content]) -> Content:
    return {f"{frame}.jpg": one(people) for frame, people in enumerate(PEOPLE) if people}


def by_frame(one: Callable[[list[Pose]], Content], key: str = "frame", first: int = 0) -> Content:
    return [{key: first + frame} | one(people) for frame, people in enumerate(PEOPLE)]


SINGLE_FILES: dict[str, Callable[[], Content]] = {
    "coco_results": lambda: [
        {"image_id": frame, "category_id": 1, "keypoints": flat(pose), "score": score(pose)}
        for frame, people in enumerate(PEOPLE)
        for pose in people
    ],
    "coco_annotations": coco_annotations,
    "detectron_pairs": lambda: [
        {"image_id": float(frame), "keypoints": pose.tolist(), "score": score(pose)}
        for frame, people in enumerate(PEOPLE)
        for pose in people
    ],
    "mmpose_demo": lambda: {
        "meta_info": {"dataset_name": "coco", "keypoint_id2name": dict(enumerate(JOINTS))},
        "instance_info": by_frame(lambda people: {"instances": mmpose(people)}, "frame_id", 1),
    },
    "mmpose_inferencer": lambda: by_frame(
        lambda people: {"instances": mmpose(people)}, "frame_id", 0
    ),
    "mmpose_other_order": lambda: {
        "meta_info": {"keypoint_id2name": dict(enumerate(reversed(JOINTS)))},
        "instance_info": by_frame(
            lambda people: {"instances": mmpose([pose[::-1] for pose in people])}, "frame_id", 1
        ),
    },
    "ultralytics": lambda: [ultralytics(people) for people in PEOPLE],
    "ultralytics_text": lambda: [json.dumps(ultralytics(people)) for people in PEOPLE],
    "rtmlib_flat": lambda: by_frame(lambda people: {"keypoints": list(map(flat, people))}),
    "rtmlib_arrays": lambda: by_frame(
        lambda people: {
            "keypoints": [pose[:, :2].tolist() for pose in people],
            "scores": [pose[:, 2].tolist() for pose in people],
        },
        "frame_id", 1,
    ),
    "rtmlib_pairs": lambda: [
        [[pose[:, :2].tolist() for pose in people], [pose[:, 2].tolist() for pose in people]]
        for people in PEOPLE
    ],
    "rtmlib_all_frames": lambda: {
        "keypoints": [[pose.tolist() for pose in people] for people in PEOPLE]
    },
    "mmpose_samples": lambda: by_frame(
        lambda people: {
            "keypoints": [
                {"keypoints": [pose[:, :2].tolist()], "scores": [pose[:, 2].tolist()]}
                for pose in people
            ]
        },
        "frame_idx",
    ),
    "torchvision": lambda: [
        {
            "boxes": [[0, 0, 1, 1]] * len(people), "scores": list(map(score, people)),
            "keypoints": [(pose * [1, 1, 0] + [0, 0, 1]).tolist() for pose in people],
            "keypoints_scores": [pose[:, 2].tolist() for pose in people],
        }
        for people in PEOPLE
    ],
    "tensorflow_js": lambda: [
        [{"score": score(pose), "keypoints": named(pose)} for pose in people] for people in PEOPLE
    ],
    "kinetics": lambda: {
        "data": by_frame(
            lambda people: {
                "skeleton": [
                    {
                        "pose": flat(place(pose, 18)[:, :2]),
                        "score": place(pose, 18)[:, 2].tolist(),
                    }
                    for pose in people
                ]
            },
            "frame_index", 1,
        )
    },
    "comfy": lambda: list(map(openpose, PEOPLE)),
    "comfy_shares": lambda: [
        openpose([pose / [*SIZE_PX, 1] for pose in people])
        | {"canvas_width": SIZE_PX[0], "canvas_height": SIZE_PX[1]}
        for people in PEOPLE
    ],
    "alphapose_open": lambda: by_image(lambda people: openpose(people, 18)),
    "alphapose_cmu": lambda: by_image(
        lambda people: {"bodies": [{"joints": flat(place(pose, 18))} for pose in people]}
    ),
    "poseflow": lambda: by_image(
        lambda people: [{"keypoints": flat(pose), "scores": score(pose)} for pose in people]
    ),
    "tracked": tracks,
    "mediapipe": lambda: by_frame(
        lambda people: {"landmarks": [landmarks(pose) for pose in people]}
    ),
    "mediapipe_flat": lambda: by_frame(
        lambda people: {
            "pose_landmarks": [
                [value for mark in landmarks(pose) for value in mark.values()] for pose in people
            ]
        }
    ),
    "ultralytics_shares": lambda: [ultralytics(people, SIZE_PX) for people in PEOPLE],
    "wholebody": lambda: by_frame(
        lambda people: {"keypoints": [flat(place(pose, 133)) for pose in people]}
    ),
}  # fmt: skip
FOLDERS: dict[str, tuple[str, Callable[[list[Pose]], Content]]] = {
    **{
        f"openpose_{count}": (
            "cam1_{:012d}_keypoints", partial(openpose, count=count)
        )
        for count in (17, 18, 25, 26, 133, 135, 136)
    },
    "body_25b": (
        "cam1.{:06d}",
        lambda people: {
            "people": [{"pose_keypoints_2d": flat(p) + flat(p)[:24]} for p in people] + [{}]
        },
    ),
    "old_openpose": (
        "{}_pose",
        lambda people: {"people": [{"pose_keypoints": flat(place(p, 18))} for p in people]},
    ),
    "mmpose_images": ("img_{}", mmpose),
    "ultralytics_images": ("{}", ultralytics),
    "alphapose_images": (
        "f{}",
        lambda people: [
            {"image_id": "x.jpg", "keypoints": flat(pose), "score": score(pose)} for pose in people
        ],
    ),
}  # fmt: skip


def check(found: Detections, tolerance: float = 0.002) -> None:
    expected = [(frame, pose) for frame, people in enumerate(PEOPLE) for pose in people]
    assert found.num_frames == F
    assert found.frame.tolist() == [frame for frame, _ in expected]
    order = np.lexsort((found.keypoints[:, 0, 0], found.frame))  # the first person is on the left
    keypoints = np.stack([pose for _, pose in expected])
    np.testing.assert_allclose(found.keypoints[order], keypoints, atol=tolerance)
    mean = keypoints[..., 2].mean(axis=1)
    np.testing.assert_allclose(found.score[order] / found.score[0], mean / mean[0], rtol=0.001)


@pytest.mark.parametrize("name", SINGLE_FILES)
def test_a_file_of_another_program_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "poses.json"
    path.write_text(json.dumps(SINGLE_FILES[name]()))
    check(read_detections(path, picture_px=SIZE_PX))
    check(read_detections(path, [f"{number:05d}.png" for number in range(F)], SIZE_PX))


@pytest.mark.parametrize("first", [0, 1, 40])
@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_with_one_file_for_each_frame_is_read(
    tmp_path: Path, name: str, first: int
) -> None:
    form, one = FOLDERS[name]
    for frame, people in enumerate(PEOPLE):
        (tmp_path / f"{form.format(first + frame)}.json").write_text(json.dumps(one(people)))
    check(read_detections(tmp_path))
    check(read_detections(tmp_path, [f"{number:05d}.png" for number in range(F)]))


@pytest.mark.parametrize("is_flat", [True, False])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("img", lambda frame: f"{frame}.jpg"),
        ("time", lambda frame: frame / 25),
        ("timestamp", lambda frame: 1.7e9 + frame / 30),
        ("timestamp_ms", lambda frame: 40 * frame),
    ],
)
def test_people_are_put_into_frames_by_image_or_time(
    tmp_path: Path, key: str, value: Callable[[int], object], is_flat: bool
) -> None:
    content = [
        {key: value(frame), "keypoints": flat(pose) if is_flat else pose.tolist()}
        for frame, people in enumerate(PEOPLE)
        for pose in people
    ]
    (tmp_path / "a.json").write_text(json.dumps(content))
    check(read_detections(tmp_path / "a.json"))


def test_files_of_frames_may_have_an_upper_case_suffix(tmp_path: Path) -> None:
    for frame, people in enumerate(PEOPLE):
        (tmp_path / f"{frame}.JSON").write_text(json.dumps(openpose(people)))
    check(read_detections(tmp_path))


def test_mediapipe_has_the_joints_at_known_places() -> None:
    """See the figure of the 33 landmarks in the documentation of its pose landmarker."""
    places = dict(zip(JOINTS, LAYOUTS[33][1], strict=True))
    assert [places[name] for name in ("nose", "left_eye", "right_eye", "left_ear")] == [0, 2, 5, 7]
    assert [places[f"left_{name}"] for name in ("shoulder", "wrist", "hip", "ankle")] == [
        11, 15, 23, 27
    ]  # fmt: skip
    for name, number in places.items():
        if name.startswith("left"):
            step = 3 if name == "left_eye" else 1
            assert places[name.replace("left", "right")] == number + step


def test_a_file_may_tell_the_size_of_the_picture(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(SINGLE_FILES["comfy_shares"]()))
    check(read_detections(tmp_path / "a.json"))


def test_positions_from_minus_1_to_1_are_refused(tmp_path: Path) -> None:
    scale, shift = np.array([1 / 400, 1 / 400, 1]), np.array([0.5, 0.5, 0])
    content = by_frame(
        lambda people: {"keypoints": [(pose * scale - shift).tolist() for pose in people]}
    )
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(
        UserError, match=r"shares of the picture, -0.25 to 1.35; save them in pixels$"
    ):
        read_detections(tmp_path / "a.json", picture_px=SIZE_PX)


@pytest.mark.parametrize(
    "content",
    [
        {
            "images": [{"id": n, "file_name": f"f_{n}.jpg"} for n in range(3, 9)],
            "annotations": [{"image_id": n, "keypoints": flat(PEOPLE[0][0])} for n in range(3, 9)],
        },
        {"instance_info": [{"frame_id": n, "instances": mmpose(PEOPLE[0])} for n in range(3, 9)]},
    ],
)
def test_the_first_of_all_frames_that_a_file_lists_is_frame_0(
    tmp_path: Path, content: Content
) -> None:
    """Though its number is less than the number of frames, and all frames show somebody."""
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert set(read_detections(tmp_path / "a.json").frame.tolist()) == set(range(6))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_text_of_windows_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "poses.json"
    for name in ("coco_results", "rtmlib_flat"):
        path.write_text(json.dumps(SINGLE_FILES[name]()), encoding=encoding)
        check(read_detections(path))


def test_json_lines_are_read(tmp_path: Path) -> None:
    lines = "\n".join(map(json.dumps, SINGLE_FILES["rtmlib_flat"]()))
    (tmp_path / "poses.json").write_text(lines + "\n")
    check(read_detections(tmp_path / "poses.json"))


def test_joints_without_a_position_are_not_seen(tmp_path: Path) -> None:
    """Ultralytics puts them at 0, 0 and keeps their confidence; others write NaN or null."""
    content = SINGLE_FILES["ultralytics"]()
    joints = content[0][0]["keypoints"]
    joints["x"][3] = joints["y"][3] = 0.0
    joints["x"][4] = float("nan")
    joints["y"][5] = None
    joints["visible"][6] = -0.1
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = read_detections(tmp_path / "a.json").keypoints[0]
    assert np.flatnonzero(found[:, 2] == 0).tolist() == [3, 4, 5, 6]
    row = SINGLE_FILES["coco_results"]()[:1]
    row[0]["keypoints"][9:11] = 0.0, 0.0
    (tmp_path / "a.json").write_text(json.dumps(row))
    assert np.flatnonzero(read_detections(tmp_path / "a.json").keypoints[0, :, 2] == 0) == [3]


def test_frames_are_told_apart_from_the_people_of_one(tmp_path: Path) -> None:
    """One person in each of several frames, in the order of the list."""
    content = [{"joints": p[0].tolist()} for p in PEOPLE if p]
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = read_detections(tmp_path / "a.json")
    assert found.frame.tolist() == list(range(F - 1))


H36M = ["root", "right_hip", "right_knee", "right_foot", "left_hip", "left_knee"]
REFUSED: dict[str, tuple[Callable[[], Content], str]] = {
    "mpii": (
        lambda: by_frame(lambda people: {"keypoints": [flat(p)[:48] for p in people]}),
        r"a.json frame 0: 16 keypoints a person \(MPII\), not one of 17, .*136; make the keypoints",
    ),
    "hand": (
        lambda: {"people": [{"pose_keypoints_2d": [1.0] * 63}]},
        r"21 keypoints a person \(a hand\)",
    ),
    "unknown": (
        lambda: [{"image_id": "0.jpg", "keypoints": [1.0] * 60}],
        r"frame 0.jpg: 20 keypoints a person \(an unknown layout\)",
    ),
    "h36m": (
        lambda: {
            "meta_info": {"dataset_name": "h36m", "keypoint_id2name": dict(enumerate(H36M))},
            "instance_info": by_frame(lambda people: {"instances": mmpose(people)}, "frame_id", 1),
        },
        r"6 keypoints \(h36m\) that lack joints of COCO; make",
    ),
    "mediapipe": (
        lambda: by_frame(lambda people: {"landmarks": [landmarks(p) for p in people]}),
        r"the positions are shares of the picture, 0.\d+ to 0.\d+; save them in pixels, or put the",
    ),
    "boxes": (
        lambda: [[{"name": "person", "class": 0, "confidence": 0.9, "box": {"x1": 1}}]],
        r"a list of lists of objects with name, class, confidence, box: boxes without keypoints;",
    ),
    "one_image": (
        lambda: mmpose(PEOPLE[0]),
        r"with keypoints, keypoint_scores, bbox, bbox_score: people without the number of a frame;",
    ),
    "flat_people": (
        lambda: [{"keypoints": flat(p), "score": score(p)} for people in PEOPLE for p in people],
        r"objects with keypoints, score: people without the number of a frame; add it .* image_id",
    ),
    "flat_people_in_an_object": (
        lambda: {"predictions": [{"keypoints": flat(p), "time": "now"} for p in PEOPLE[0]]},
        r"an object with predictions: people without the number of a frame; add it",
    ),
    "rtmlib_nobody": (lambda: [[[], []]] * 3, r"holds no person; make the"),
    "labelme": (
        lambda: {"version": "5", "shapes": [{"points": [[1, 2]]}], "a": 1, "b": 2, "c": 3},
        r"an object with version, shapes, a, b, ..., not keypoints in a known format; make the",
    ),
    "text": (lambda: ["a"], r"a list of text, not keypoints in a known format; make"),
    "deep": (lambda: [[[[[[1]]]]]], r"a list of lists of lists of lists .*, not keypoints in a"),
    "no_ids": (lambda: {"images": [1], "annotations": []}, r"not keypoints in a known format"),
    "nobody": (
        lambda: [openpose([])] * 3,
        r"a.json, read as a list of frames, holds no person; make the",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named_in_one_short_line(tmp_path: Path, name: str) -> None:
    content, message = REFUSED[name]
    (tmp_path / "a.json").write_text(json.dumps(content()))
    with pytest.raises(UserError, match=message) as error:
        read_detections(tmp_path / "a.json")
    text = str(error.value).removeprefix(str(tmp_path))
    assert len(text) < 260
    assert "\n" not in text
    assert "; " in text, "no remedy"


def test_a_folder_of_files_with_several_frames_is_refused(tmp_path: Path) -> None:
    for name in ("take1", "take2"):
        (tmp_path / f"{name}.json").write_text(json.dumps(SINGLE_FILES["coco_results"]()))
    with pytest.raises(UserError, match=r"but take1.json holds several frames; keep only one file"):
        read_detections(tmp_path)
    (tmp_path / "take1.json").write_text("{")
    with pytest.raises(UserError, match=r"take1.json is not valid JSON: .*; make the keypoints"):
        read_detections(tmp_path)
