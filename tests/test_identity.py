"""Tracks keep one identity: by colours, by the numbers of a tracker, and doubts where neither."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import tracking as scenes
from tcc.alphapose import Detections
from tcc.appearance import Look, describe, distances
from tcc.tracking import MIXED_UP, Track, choose_person, drop_twins, find_doubts
from tcc.tracklets import useful_idx
from tests.jumpers import STANDING, keypoints_of
from tests.test_tracking import SKATER, F, gather, walk

Colour = tuple[int, int, int]
PICTURE_PX = (1280, 720)
RED, BLUE, DARK = (40, 40, 200), (200, 60, 40), (30, 30, 30)


def meet(gap: int = 6) -> Detections:
    """Return two people who meet, are not found for `gap` frames, and part.

    The person on the left comes first in each frame. They may have passed each other or not.
    """
    frame = np.arange(F)
    way = 220 * np.abs(frame - F // 2) / (F // 2) - 20
    detections = gather(walk(640 - way, bend=0.02), walk(640 + way, bend=0.02))
    return detections.take(np.flatnonzero(np.abs(detections.frame - F // 2) > gap // 2))


def draw(detections: Detections, before: list[Colour], after: list[Colour]) -> Look:
    """Return a function that draws the people in colours from left to right, in each half."""

    def image_of(frame: int) -> NDArray[np.uint8]:
        image = np.full((*PICTURE_PX[::-1], 3), 230, np.uint8)
        people = np.flatnonzero(detections.frame == frame)
        for person, colour in zip(people, before if frame < F // 2 else after, strict=False):
            points = detections.keypoints[person, :, :2].astype(int)
            cv2.rectangle(image, points.min(axis=0), points.max(axis=0), colour, -1)
        return image

    return image_of


def sides(track: Track) -> list[bool]:
    """Return whether the person is on the left side at the start and at the end."""
    return [bool(x < 640) for x in track.keypoints[[0, -1], :, 0].mean(axis=1)]


@pytest.mark.parametrize("passed", [False, True])
def test_colours_tell_people_apart_whose_keypoints_do_not(passed: bool) -> None:
    detections = meet()
    after = [BLUE, RED] if passed else [RED, BLUE]
    track = choose_person(
        detections, picture_px=PICTURE_PX, look=draw(detections, [RED, BLUE], after)
    )
    first, last = sides(track)
    assert (first != last) == passed
    assert not track.unsure[:20].any()
    assert not track.unsure[40:].any()


def test_numbers_of_a_tracker_tell_people_apart() -> None:
    detections = meet()
    side = (detections.keypoints[:, :, 0].mean(axis=1) < 640).astype(np.int64)
    for passed in (False, True):
        idx = np.where(detections.frame < F // 2, side, side ^ passed) + 5
        first, last = sides(choose_person(replace(detections, idx=idx), picture_px=PICTURE_PX))
        assert (first != last) == passed


def test_numbers_that_change_or_are_the_rank_by_score_are_not_used() -> None:
    detections = replace(meet(), score=np.tile([2.0, 1.0], len(meet().frame) // 2))
    own = np.flatnonzero(np.diff(detections.frame[::2]) == 1) * 2
    links = np.append(own, own + 1), np.append(own, own + 1) + 2
    person = np.tile([0, 1], len(detections.frame) // 2)
    for idx, used in (
        (None, False),
        (person * 0 + 3, False),
        (person, False),
        (person + 1, True),
        (np.where(detections.frame % 8 < 4, person, 1 - person) + 1, False),
    ):
        assert (useful_idx(replace(detections, idx=idx), links) is not None) == used


def test_a_crossing_that_nothing_resolves_is_marked_and_doubted() -> None:
    detections = meet(gap=12)
    track = choose_person(
        detections, picture_px=PICTURE_PX, look=draw(detections, [DARK] * 2, [DARK] * 2)
    )
    assert 0.3 < track.unsure.mean() < 0.7
    [doubt] = [
        found for found in find_doubts(track, np.arange(F) / 30, 100) if found.kind == MIXED_UP
    ]
    frames = np.flatnonzero(track.unsure) + 100
    assert doubt.detail == f"{len(frames)} of {F} frames, from frame {frames[0]} to {frames[-1]}"
    assert not choose_person(gather(SKATER)).unsure.any()


def test_halves_of_a_body_are_one_person() -> None:
    body = np.repeat(keypoints_of(STANDING[None] * [60, -60] + [640, 400]), F, axis=0)
    upper, lower = body.copy(), body.copy()
    upper[:, 11:, 2] = lower[:, :11, 2] = 0.1
    upper[:, 11:, :2] = body[:, 11:13, :2].mean(axis=1, keepdims=True)
    halves = drop_twins(gather(upper, lower, score=(1.0, 2.0)))
    np.testing.assert_array_equal(halves.keypoints, body)
    assert (halves.score == 2).all()
    assert choose_person(halves).margin == 1
    beside = lower + np.array([150, 0, 0], np.float32)  # the legs of somebody else
    assert len(drop_twins(gather(upper, beside)).frame) == 2 * F


def test_distance_of_colours_is_that_of_trunk_and_legs() -> None:
    keypoints = np.full((3, 17, 3), 0.9, np.float32)
    keypoints[:, :, :2] = 0
    for person in range(3):
        x = 50 + 100 * person
        for joint, place in {5: (0, 20), 6: (30, 20), 11: (0, 60), 12: (30, 60), 13: (0, 90),
                             14: (30, 90), 15: (0, 120), 16: (30, 120)}.items():  # fmt: skip
            keypoints[person, joint, :2] = x + place[0], place[1]
    keypoints[2, 5, 2] = 0.1  # the trunk is not known
    image = np.full((140, 400, 3), 128, np.uint8)
    image[:60, 100:] = 168
    seen = describe(lambda _: image, np.zeros(3, np.int32), keypoints, [0, 1, 2])
    grays = np.array([[[128] * 3, [168] * 3]], np.uint8)
    trunk = float(np.diff(cv2.cvtColor(grays, cv2.COLOR_BGR2LAB)[0, :, 0].astype(float))[0])
    assert distances(seen[0], seen[1]) == pytest.approx(trunk / 2, rel=0.05)
    assert distances(seen[0], seen[0]) == 0
    assert distances(seen[0], seen[2]) == pytest.approx(0, abs=1e-9)  # of the legs alone
    assert np.isnan(seen[2, 0]).all()
    unseen = describe(lambda _: image, np.zeros(3, np.int32), keypoints, [0])
    assert np.isnan(distances(unseen[0], unseen[1]))


@pytest.mark.parametrize("number", range(4))
def test_the_skater_is_followed_through_a_crowd(number: int) -> None:
    scene = scenes.sample_scene(np.random.default_rng([0, number]))
    right, frames, _, wrong, doubted, *_ = scenes.score(scene, pictures=True, idx=False)
    assert right / frames > 0.95
    assert doubted == wrong
