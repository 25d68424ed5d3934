"""The frame of an image is found by its name: names of any system, numbers, times, hashes."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest

from tcc.files import UserError
from tcc.frame_names import match_images, number_frames, read_numbers, sort_images, stem

FILE = Path("clip/alphapose-results.json")
HASHES = [f"{random.Random(index).getrandbits(128):032x}" for index in range(40)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("0001.jpg", "0001"), ("0001.JPEG", "0001"), ("66.666", "66.666"), ("66.666.png", "66.666"),
        (r"C:\skate\a.b\0001.jpg", "0001"), (r"vis\0.jpg", "0"), ("/a/b9/1.jpg", "1"),
        (r"\\nas\skate/7.tif", "7"), ("https://h/a%20b/c%20d_7.jpg?x=9", "c d_7"),
        ("file:///C:/s/vis/3.webp", "3"), ("1.rf.abc123.jpg", "1.rf.abc123"), (".jpg", ".jpg"),
        ("e\N{COMBINING ACUTE ACCENT}7.jpg", "\N{LATIN SMALL LETTER E WITH ACUTE}7"),
    ],
)  # fmt: skip
def test_folders_and_suffix_are_left_out(name: str, expected: str) -> None:
    assert stem(name) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["clip_2.0_000123", "clip_2.0_000124"], [123, 124]),
        (["v1.2-15", "v1.2-9"], [15, 9]),
        (["2024-11-25 10.30.15 0042", "2024-11-25 10.30.15 0043"], [42, 43]),
        ([f"{n:04d}.rf.{HASHES[n]}" for n in range(40)], list(range(40))),
        ([f"f-{n}_jpg.rf.{HASHES[n]}" for n in range(40)], list(range(40))),
        ([f"{HASHES[n]}-{n}" for n in range(40)], list(range(40))),
        (["a 1 of 9", "a 2 of 9"], [1, 2]),
        (["frame_7_1920x1080", "frame_8_1920x1080"], [7, 8]),
        (["66.666", "100.000"], [66.666, 100.0]),
        (["t0.033", "t0.1", "t0.0667"], [0.033, 0.1, 0.0667]),
        (["0,033", "0,067"], [0.033, 0.067]),
        (["999", "1,000"], [999, 1000]),
        (["take1.9", "take1.10"], [9, 10]),
        (["shot_v2.0001", "shot_v2.0002"], [1, 2]),
        (["0001_t0.033", "0002_t0.067"], [1, 2]),
        (["7 1732530615033", "8 1732530615066"], [7, 8]),
        (["out-002"], [2]),
        (["cam1_7", "cam2_7", "cam1_8"], None),
        (["a", "b"], None),
    ],
)
def test_the_number_that_tells_the_images_apart(
    names: list[str], expected: list[float] | None
) -> None:
    assert read_numbers(names) == expected


@pytest.mark.parametrize(
    "names",
    [
        ["9.jpg", "10.jpg", "11.jpg"],
        ["t0.1.jpg", "t0.133.jpg", "t0.2.jpg"],
        ["take1.9.jpg", "take1.10.jpg"],
        ["0.90.jpg", "1.00.jpg", "10.25.jpg"],
        [f"{n}.rf.{HASHES[n]}.jpg" for n in range(40)],
        ["1_2.jpg", "1_10.jpg", "2_2.jpg"],
        ["x.jpg", "y.png"],
    ],
)
def test_images_are_sorted_by_their_numbers(names: list[str]) -> None:
    mixed = names.copy()
    random.Random(0).shuffle(mixed)
    assert sort_images(mixed) == names


def names_at(times: list[float], form: str) -> list[str]:
    return [form.format(time) + ".jpg" for time in times]


@pytest.mark.parametrize(
    ("names", "frames", "note"),
    [
        (names_at([33.333 * n for n in range(1, 9)], "{:.3f}"), range(8),
         "named by time, 33.333 apart; frame 0 in labels and results is 33.333.jpg"),
        (names_at([n / 30 for n in range(9)], "t{:.3f}"), range(9), "is t0.000.jpg"),
        (names_at([n / 30 for n in (0, 1, 2, 5, 6)], "{:.2f}s"), [0, 1, 2, 5, 6], "is 0.00s.jpg"),
        (names_at([0, 0.1, 0.5, 0.57, 1.9], "{:.2f}"), range(5),
         "unevenly spaced, so their order is used; frame 0 in labels and results is 0.00.jpg"),
        (names_at([round(n / 0.03) for n in range(9)], "{:d}"), range(9), "33.375 apart"),
        (names_at([round(n / 0.24) for n in range(9)], "{:d}"), range(9), "4.125 apart"),
        (names_at([7 * n // 2 for n in range(9)], "{:d}"), [7 * n // 2 for n in range(9)], None),
        (names_at([40 * n for n in range(8)], "{:06d}"), range(8), "40 apart"),
        (names_at([40 * n for n in range(7)], "{:06d}"), range(0, 280, 40), None),
        (names_at([5 * n for n in range(9)], "{:d}"), range(0, 45, 5), None),
        (names_at([1732530615000 + 33 * n for n in range(3)], "{:d}"), range(3), "33 apart"),
        (names_at([10**10 + n for n in range(3)], "{:d}"), range(3), "from 10000000000; frame 0"),
        (["33.333.jpg"], [0], "is 33.333.jpg"),
        (["a0b.jpg", "c1d.jpg"], [0, 1], None),
        (["1", "2", "3"], range(3), "numbered from 1; frame 0 in labels and results is number 1"),
        (["1", "3"], [1, 3], "the first image is number 1, so frame 0 shows nobody; if that image"),
        (["1.jpg", "2.jpg"], [1, 2], "the first image is number 1, so frame 0 shows nobody"),
    ],
)  # fmt: skip
def test_times_are_not_taken_for_the_numbers_of_frames(
    caplog: pytest.LogCaptureFixture, names: list[str], frames: range | list[int], note: str | None
) -> None:
    caplog.set_level(logging.INFO, "tcc")
    order = list(range(len(names)))
    random.Random(0).shuffle(order)
    found = number_frames(FILE, [names[index] for index in order], listed=False)
    assert found == [list(frames)[index] for index in order]
    assert len(caplog.messages) == (note is not None)
    assert (note or "") in caplog.text


def test_the_first_of_all_listed_frames_is_frame_0(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tcc")
    assert number_frames(FILE, ["a_1", "a_2", "a_4"], listed=True) == [0, 1, 3]
    assert "numbered from 1; frame 0 in labels and results is a_1" in caplog.text


@pytest.mark.parametrize(
    ("names", "images", "listed", "frames"),
    [
        ([r"C:\a\2.jpg", "x/1.PNG"], ["1.jpg", "2.jpg"], False, [1, 0]),
        (["IMG_2.JPG"], ["img_1.jpg", "img_2.jpg"], False, [1]),
        (
            ["e\N{COMBINING ACUTE ACCENT}2"],
            ["\N{LATIN SMALL LETTER E WITH ACUTE}2.jpg"],
            False,
            [0],
        ),
        (["2", "1"], ["000001.jpg", "000002.jpg", "000003.jpg"], False, [1, 0]),
        (["1.jpg", "2.jpg"], ["f_0.png", "f_1.png", "f_2.png"], False, [1, 2]),
        (["0", "1"], ["f_1.png", "f_2.png"], False, [0, 1]),
        (["cam_5", "cam_6"], ["f_1.png", "f_2.png"], True, [0, 1]),
        (["2", "1"], ["f_0.png", "f_1.png"], False, [1, 0]),
        (["33.333"], ["0.000.jpg", "33.333.jpg"], False, [1]),
    ],
)
def test_images_are_matched_by_name_number_or_order(
    names: list[str], images: list[str], listed: bool, frames: list[int]
) -> None:
    assert match_images(FILE, names, images, listed) == frames


@pytest.mark.parametrize(
    ("names", "images", "notes"),
    [
        (["1.jpg"], ["0.jpg", "1.jpg"], []),
        (["1"], ["f_0.jpg", "f_1.jpg"], []),
        (["F_1.JPG"], ["f_0.jpg", "f_1.jpg"], []),
        (["000001.jpg"], ["000001.jpg", "000002.jpg"],
         ["images are numbered from 1; frame 0 in labels and results is 000001.jpg"]),
        (["33.333.jpg"], ["33.333.jpg", "66.666.jpg"],
         ["images are named by time, 33.333 apart; frame 0 in labels and results is 33.333.jpg"]),
        (["1.jpg"], ["f_0.jpg", "f_1.jpg"],
         ["the images in vis/ have other names: 1.jpg is f_1.jpg"]),
    ],
)  # fmt: skip
def test_what_differs_from_vis_is_told(
    caplog: pytest.LogCaptureFixture, names: list[str], images: list[str], notes: list[str]
) -> None:
    caplog.set_level(logging.INFO, "tcc")
    match_images(FILE, names, images, listed=False)
    assert [text.removeprefix(f"{FILE}: ") for text in caplog.messages] == notes


@pytest.mark.parametrize(
    ("names", "images"),
    [
        (["3.jpg"], ["0.jpg", "1.jpg"]), (["cam_5", "cam_6"], ["f_1.png", "f_2.png"]),
        (["0", "2"], ["f_1.png", "f_2.png"]), (["a"], ["f_1.png"]),
    ],
)  # fmt: skip
def test_an_image_that_vis_lacks_is_named(names: list[str], images: list[str]) -> None:
    with pytest.raises(UserError, match=r"vis/ holds no such image \(.* to .*\); put every frame"):
        match_images(FILE, names, images, listed=False)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a1_7.jpg", "a2_7.jpg", "a1_8.jpg"], "images a1_7.jpg and a2_7.jpg have the same frame"),
        (["5761825584613739059.jpg", "7230965426674854430.jpg"], "holds no frame number"),
        (["skater.jpg"], "frame skater.jpg: the name holds no frame number; put the images"),
        (["1_1.jpg", "1_2.jpg", "2_2.jpg"], "images 1_2.jpg and 2_2.jpg have the same"),
        (["a1.jpg", "b.jpg"], "frame b.jpg: the name holds no frame number"),
        (["1.jpg", "2.jpg", "900000000.jpg"], "3 images are numbered 1 to 900000000; put the"),
    ],
)
def test_names_without_a_frame_number_are_told(names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        number_frames(FILE, names, listed=False)
