"""The skater is followed through crossings, gaps and double detections, also in real clips."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tcc.alphapose import Detections, read_detections
from tcc.files import UserError
from tcc.frame_names import natural_key
from tcc.tracking import Track, _best_track, _Links, choose_person, drop_twins, find_doubts
from tests.conftest import wave

F = 60
Pose = NDArray[np.float32]


def walk(
    x: float | NDArray[np.float64], height: float = 200, y: float = 400, bend: float = 0.0
) -> Pose:
    """Return keypoints (F, 17, 3) of a person at `x` px whose limbs swing by `bend` heights."""
    frame, joint = np.arange(F)[:, None], np.arange(17)
    across = 0.3 * np.sin(5.0 * joint) + bend * np.sin(0.6 * frame + 2.0 * joint)
    down = joint / 16 - 0.5 + bend * np.cos(0.6 * frame + 3.0 * joint)
    columns = (np.broadcast_to(x, F)[:, None] + height * across, y + height * down)
    return np.stack([*columns, np.full((F, 17), 0.8)], axis=-1).astype(np.float32)


def gather(
    *people: Pose, score: tuple[float, ...] = (), missed: tuple[int, ...] = ()
) -> Detections:
    """Return the detections of all people in all frames; frames `missed` lack the first person."""
    num = len(people)
    keypoints = np.stack(people, axis=1).reshape(-1, 17, 3)
    frame = np.repeat(np.arange(F, dtype=np.int32), num)
    scores = np.tile(np.array(score or (2.0,) * num, np.float32), F)
    kept = np.ones(len(frame), bool)
    kept[np.array(missed, int) * num] = False
    return Detections(frame[kept], keypoints[kept], scores[kept], [""] * F)


SKATER = walk(640, bend=0.05)


def test_one_person_is_followed_without_doubt() -> None:
    track = choose_person(gather(SKATER))
    np.testing.assert_array_equal(track.keypoints, SKATER)
    assert track.keypoints.dtype == np.float32
    assert track.detection.tolist() == list(range(F))
    assert track.observed.all()
    assert track.margin == 1
    assert track.num_people.tolist() == [1] * F


def test_bystander_who_crosses_does_not_take_over() -> None:
    crossing = walk(np.linspace(200, 1080, F), height=170)
    detections = gather(crossing, SKATER, score=(3.0, 2.0))
    assert (choose_person(detections).detection % 2 == 1).all()


def test_large_bystander_at_the_edge_is_not_chosen() -> None:
    standing = walk(60, height=420, bend=0.005)
    detections = gather(standing, SKATER, score=(2.4, 2.0))
    track = choose_person(detections)
    assert (track.detection % 2 == 1).all()
    assert 0 < track.margin < 0.9


@pytest.mark.parametrize("first", [0, 1])
def test_larger_and_surer_person_is_chosen(first: int) -> None:
    """Both stand at the same distance from the middle of a picture 1280 px wide."""
    limit = walk(1220, height=20, y=700)
    sizes, scores = [240.0, 160.0], [3.0, 1.5]
    sizes, scores = sizes[:: 1 - 2 * first], scores[:: 1 - 2 * first]
    people = [walk(x, height) for x, height in zip((440, 840), sizes, strict=True)]
    assert (choose_person(gather(*people, limit)).detection % 3 == first).all()
    people = [walk(x) for x in (440, 840)]
    detections = gather(*people, limit, score=(*scores, 1.0))
    assert (choose_person(detections).detection % 3 == first).all()


def test_picture_may_be_wider_than_people_stand() -> None:
    """Feet at 600 px, landscape picture: it is about 1070 px wide though nobody is past 700."""
    track = choose_person(gather(walk(300, y=500), walk(640, y=500)))
    assert (track.detection % 2 == 1).all()


@pytest.mark.parametrize(
    ("picture_px", "bystander"),
    [((1920, 1080), walk(430, y=540)), ((1080, 1920), walk(540, y=430))],
)
def test_the_known_size_of_the_picture_tells_where_its_centre_is(
    picture_px: tuple[int, int], bystander: Pose
) -> None:
    """Nobody stands in the right or lower half, so a guess takes the picture to be smaller."""
    skater = walk(picture_px[0] / 2, y=picture_px[1] / 2)
    people = gather(bystander, skater)
    assert (choose_person(people).detection % 2 == 0).all()
    assert (choose_person(people, picture_px=picture_px).detection % 2 == 1).all()


def test_short_gap_is_not_filled_with_a_stranger() -> None:
    gap = (20, 21, 22)
    detections = gather(SKATER, walk(900))
    kept = (np.arange(len(detections.frame)) % 2 == 0) ^ np.isin(detections.frame, gap)
    brief = Detections(
        detections.frame[kept], detections.keypoints[kept], detections.score[kept], [""] * F
    )
    assert np.flatnonzero(~choose_person(brief).observed).tolist() == list(gap)


def appear(person: Pose, first: int, end: int) -> Detections:
    """Return the detections of a person who is only in frames `first` to `end`, exclusive."""
    frame = np.arange(first, end, dtype=np.int32)
    return Detections(frame, person[first:end], np.full(len(frame), 2, np.float32), [""] * F)


def together(*parts: Detections) -> Detections:
    frame = np.concatenate([part.frame for part in parts])
    order = np.argsort(frame, kind="stable")
    keypoints = np.concatenate([part.keypoints for part in parts])[order]
    score = np.concatenate([part.score for part in parts])[order]
    return Detections(frame[order], keypoints, score, [""] * F)


@pytest.mark.parametrize("fps", [10.0, 30.0, 240.0])
@pytest.mark.parametrize("end", [12, 40, 55])
@pytest.mark.parametrize("moved_px", [0, 2000])
def test_the_only_person_is_kept_over_any_gap(fps: float, end: int, moved_px: int) -> None:
    there = (appear(SKATER, 0, 10), appear(SKATER + np.array([moved_px, 0, 0], np.float32), end, F))
    track = choose_person(together(*there), fps=fps)
    assert np.flatnonzero(~track.observed).tolist() == list(range(10, end))
    assert track.margin == 1


def test_halves_of_the_skater_outweigh_those_who_are_there_throughout() -> None:
    standing = [appear(walk(x, height=150), 0, F) for x in (200, 1080)]
    skater = (appear(SKATER, 0, 18), appear(SKATER, 42, F))
    track = choose_person(together(*standing, *skater))
    whole = choose_person(gather(walk(200, height=150), walk(1080, height=150), SKATER))
    assert np.flatnonzero(~track.observed).tolist() == list(range(18, 42))
    np.testing.assert_allclose(track.keypoints[track.observed], SKATER[track.observed])
    assert 0 < track.margin < whole.margin


@pytest.mark.parametrize(
    ("other", "joined"),
    [
        (SKATER, True),
        (walk(640 + 1200, bend=0.05), True),
        (walk(640 + 1500, bend=0.05), False),  # 1.2 x sqrt(24) of its 240 px are 1411
        (walk(640, height=90, bend=0.05), False),
    ],
)
def test_who_is_far_away_or_of_another_size_is_somebody_else(other: Pose, joined: bool) -> None:
    standing = appear(walk(200, height=70), 0, F)
    track = choose_person(together(standing, appear(SKATER, 0, 34), appear(other, 57, F)))
    assert track.observed[:34].all()
    assert track.observed[57:].all() == joined


def test_who_was_there_at_the_same_time_is_somebody_else() -> None:
    standing = appear(walk(1040, height=190, bend=0.04), 30, F)
    track = choose_person(together(appear(SKATER, 0, 34), standing))
    assert np.flatnonzero(track.observed).tolist() == list(range(34))


def test_a_gap_is_bounded_in_seconds() -> None:
    """A step is too far in 0.1 s and not in 2 s; links, which allow any size, end at 0.67 s."""
    standing = appear(walk(200, height=70), 0, F)
    clip = together(standing, appear(SKATER, 0, 34), appear(walk(640 + 1200, bend=0.05), 57, F))
    kept = {fps: choose_person(clip, fps=fps).observed[57:].all() for fps in (12.0, 30.0, 240.0)}
    assert kept == {12.0: True, 30.0: True, 240.0: False}
    clip = together(standing, appear(SKATER, 0, 34), appear(walk(640, height=90), 44, F))
    kept = {fps: choose_person(clip, fps=fps).observed[44:].all() for fps in (10.0, 30.0)}
    assert kept == {10.0: False, 30.0: True}


def test_margin_grows_as_the_other_shrinks() -> None:
    margins = [
        choose_person(gather(SKATER, walk(900, height=height))).margin for height in (180, 90, 45)
    ]
    assert margins == sorted(margins)
    assert margins[0] < margins[-1]


def test_twins_leave_no_margin() -> None:
    track = choose_person(gather(walk(440, bend=0.05), walk(840, bend=0.05), walk(1280, 20)))
    assert track.margin < 0.05


def test_gap_is_interpolated_and_marked() -> None:
    moving = walk(np.linspace(500, 700, F))
    bystander = walk(900, height=80)
    track = choose_person(gather(moving, bystander, missed=(*range(20, 30), 40)))
    hidden = [*range(20, 30), 40]
    assert np.flatnonzero(~track.observed).tolist() == hidden
    assert (track.detection[hidden] == -1).all()
    np.testing.assert_allclose(track.keypoints[..., :2], moving[..., :2], atol=1e-3)
    assert (track.keypoints[hidden, :, 2] == 0).all()
    assert (track.keypoints[track.observed][..., 2] == np.float32(0.8)).all()


def test_missing_ends_hold_the_nearest_pose() -> None:
    track = choose_person(gather(SKATER, missed=(0, 1, F - 1)))
    np.testing.assert_array_equal(track.keypoints[[0, 1], :, :2], SKATER[[2, 2], :, :2])
    np.testing.assert_array_equal(track.keypoints[-1, :, :2], SKATER[-2, :, :2])
    assert track.observed.sum() == F - 3
    assert track.num_people[0] == 0


def test_skater_who_leaves_is_not_replaced_by_somebody_present() -> None:
    there = choose_person(gather(SKATER, walk(1000, height=60), missed=tuple(range(50, F))))
    assert np.flatnonzero(~there.observed).tolist() == list(range(50, F))


def test_second_detection_of_the_skater_is_no_rival_and_no_person() -> None:
    double = SKATER + np.array([2, -2, 0], np.float32)
    detections = gather(SKATER, double)
    track = choose_person(detections)
    assert track.margin == 1
    assert np.abs(track.keypoints - SKATER).max() <= 2
    with pytest.raises(UserError, match=r"person 2: the clip holds 1; choose 1 to 1"):
        choose_person(detections, person=2)


@pytest.mark.parametrize(("apart", "people"), [(0.0, 1), (0.13, 1), (0.17, 2), (0.25, 2)])
def test_two_detections_at_one_place_are_one_person(apart: float, people: int) -> None:
    """The distance is in body sizes; of the twins, the one with the higher score is kept."""
    body = walk(500, y=500)
    twin = body + np.array([apart * BODY_PX, 0, 0], np.float32)
    for score in ((1.0, 2.0), (2.0, 1.0)):
        found = drop_twins(gather(body, twin, score=score))
        assert np.bincount(found.frame).tolist() == [people] * F
        if people == 1:
            best = (body, twin)[int(score[1] > score[0])]
            np.testing.assert_array_equal(found.keypoints, best)
            assert (found.score == 2).all()


def test_a_second_detection_of_half_a_body_is_dropped() -> None:
    half = SKATER + np.array([0.1 * BODY_PX, 0, 0], np.float32)
    half[:, 8:] = (3000, 3000, 0.05)
    found = drop_twins(gather(half, SKATER, walk(1000), score=(0.7, 2.0, 0.5)))
    assert len(found.frame) == 2 * F
    np.testing.assert_array_equal(found.keypoints[::2], SKATER)
    few = half.copy()
    few[:, 4:] = (3000, 3000, 0.05)  # four joints in common are too few to compare them alone
    assert len(drop_twins(gather(few, SKATER)).frame) == 2 * F


def test_of_three_twins_the_best_is_kept() -> None:
    """The second is a twin of the best one, the third only of the second."""
    steps = [SKATER + np.array([0.1 * BODY_PX * i, 0, 0], np.float32) for i in range(3)]
    found = drop_twins(gather(*steps, score=(3.0, 2.0, 1.0)))
    assert (found.score.reshape(F, 2) == [3, 1]).all()


def test_persons_are_ranked_and_disjoint() -> None:
    detections = gather(walk(1000, height=70), SKATER, walk(400, height=140))
    order = [choose_person(detections, person).detection % 3 for person in (1, 2, 3)]
    assert [set(track.tolist()) for track in order] == [{1}, {2}, {0}]
    with pytest.raises(UserError, match="person 4: the clip holds 3; choose 1 to 3"):
        choose_person(detections, person=4)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_order_within_a_frame_does_not_matter(seed: int) -> None:
    detections = gather(walk(np.linspace(100, 1200, F)), SKATER, walk(60, height=400))
    order = np.lexsort(
        (np.random.default_rng(seed).random(len(detections.frame)), detections.frame)
    )
    shuffled = Detections(
        detections.frame, detections.keypoints[order], detections.score[order], [""] * F
    )
    for person in (1, 2):
        expected = choose_person(detections, person)
        found = choose_person(shuffled, person)
        originals = np.where(found.observed, order[found.detection], -1)
        np.testing.assert_array_equal(originals, expected.detection)
        assert found.margin == pytest.approx(expected.margin)


@pytest.mark.parametrize("scale", [0.5, 4.0])
def test_size_of_the_picture_does_not_matter(scale: float) -> None:
    people = [walk(np.linspace(100, 1200, F)), SKATER, walk(60, height=400)]
    larger = [person * np.array([scale, scale, 1], np.float32) for person in people]
    expected, found = choose_person(gather(*people)), choose_person(gather(*larger))
    np.testing.assert_array_equal(found.detection, expected.detection)
    assert found.margin == pytest.approx(expected.margin, rel=1e-4)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_best_track_is_the_best_of_all_paths(data: st.DataObject) -> None:
    """Compare with a search of all paths over random links of 5 frames."""
    counts = data.draw(st.lists(st.integers(1, 3), min_size=5, max_size=5))
    frame = np.repeat(np.arange(5, dtype=np.int32), counts)
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    rewards = generator.uniform(0.1, 1, len(frame))
    pairs = [
        (a, b)
        for b in range(len(frame))
        for a in range(b)
        if frame[a] < frame[b] and generator.random() < 0.6
    ]
    gains = generator.normal(0, 1, len(pairs))
    gain_of = dict(zip(pairs, gains.tolist(), strict=True))

    def totals(path: tuple[int, ...]) -> list[tuple[float, tuple[int, ...]]]:
        own = sum(rewards[i] for i in path) + sum(gain_of[link] for link in pairwise(path))
        longer = [totals((*path, b)) for a, b in pairs if a == path[-1]]
        return [(float(own), path), *(found for some in longer for found in some)]

    best, path = max(found for start in range(len(frame)) for found in totals((start,)))
    source, target = np.array(pairs, np.int64).reshape(-1, 2).T
    total, chosen = _best_track(frame, rewards, _Links(source, target, gains))
    assert total == pytest.approx(best)
    assert tuple(chosen.tolist()) == path


SQUARE_PX = (1000, 1000)
MIDDLE = walk(500, y=500)  # a person in the middle of that picture
BODY_PX = float(np.linalg.norm(np.ptp(MIDDLE[0, :, :2], axis=0)))


def chosen_of(people: Detections, num: int = 2) -> set[int]:
    """Return the numbers of the people that are followed, of `num` who are in every frame."""
    return set((choose_person(people, picture_px=SQUARE_PX).detection % num).tolist())


@pytest.mark.parametrize(("off_px", "larger"), [(232, True), (291, False)])
def test_a_larger_person_is_chosen_by_the_root_of_the_size(off_px: float, larger: bool) -> None:
    """2.25 times the size earns 1.5 times as much; the distances divide that by 1.4 and 1.7."""
    people = gather(walk(500, 100, 500), walk(500 + off_px, 225, 500))
    assert chosen_of(people) == {int(larger)}


@pytest.mark.parametrize(("off_px", "surer"), [(167, True), (247, False)])
def test_a_surer_person_is_chosen_by_the_score_itself(off_px: float, surer: bool) -> None:
    """1.3 times the score earns 1.3 times as much; the distances divide that by 1.19 and 1.46."""
    people = gather(walk(500, y=500), walk(500 + off_px, y=500), score=(2.0, 2.6))
    assert chosen_of(people) == {int(surer)}


@pytest.mark.parametrize(("off_px", "skater"), [(140, True), (200, False)])
def test_a_person_who_bends_is_chosen_unless_far_from_the_centre(
    off_px: float, skater: bool
) -> None:
    people = gather(walk(500, 100, 500), walk(500 + off_px, 100, 500, bend=0.02))
    assert chosen_of(people) == {int(skater)}


@pytest.mark.parametrize(("num_frames", "present"), [(15, True), (25, False)])
def test_every_detection_earns_a_least_reward(num_frames: int, present: bool) -> None:
    """A person far outside of the picture earns 0.1 a frame, one near its corner 0.3."""
    outside = appear(walk(-700, y=500), 0, F)
    corner = appear(walk(810, y=810), 20, 20 + num_frames)
    track = choose_person(together(outside, corner), picture_px=SQUARE_PX)
    assert (track.keypoints[:, 0, 0].mean() < 0) == present


@pytest.mark.parametrize(("bodies", "followed"), [(0.6, True), (0.7, False)])
def test_a_shaken_camera_costs_more_the_farther_the_skater_leaps(
    bodies: float, followed: bool
) -> None:
    """The picture is shifted for ten frames: following costs two leaps, a gap ten missed frames."""
    frame = np.arange(F)
    shaken = (frame >= 25) & (frame < 35)
    x = np.where(shaken, 500 + bodies * BODY_PX, 500.0)
    track = choose_person(gather(walk(x, y=500)), picture_px=SQUARE_PX)
    assert (track.observed == (followed | ~shaken)).all()


def test_the_track_stays_on_its_body_though_a_neighbour_gets_a_better_score() -> None:
    """Two people, 0.3 bodies apart, have score 2.18 in one half of the clip and 2 in the other."""
    people = gather(*(walk(500 + side * 0.15 * BODY_PX, y=500) for side in (-1, 1)))
    score = np.full((F, 2), 2, np.float32)
    score[: F // 2, 0] = score[F // 2 :, 1] = 2.18
    people = Detections(people.frame, people.keypoints, score.ravel(), people.image_names)
    assert len(chosen_of(people)) == 1


TIMES_S = np.arange(30) / 30
DOUBT = "another person is nearly as likely to be the skater (margin 0.49)"
LEAP = "the skater's position changes suddenly; from there it may be another person (frame 12)"
OTHER = "; to follow another person, write person = 2 into clip.toml in the clip's folder, a/b{}"


def track(observed: NDArray[np.bool_], leap_px: float = 0, margin: float = 1.0) -> Track:
    keypoints = wave(len(observed), 0)
    keypoints[12:, :, 0] += leap_px
    keypoints[~observed, :, 2] = 0
    return Track(
        keypoints,
        observed,
        np.where(observed, 0, -1).astype(np.int32),
        margin,
        observed.astype(np.int32),
        np.zeros(len(observed), np.bool_),
    )


def missed_in(count: int, num_frames: int, empty: int, longest_s: str, first: int) -> str:
    return (
        "the skater is missed often or for long; the pose is interpolated there "
        f"({count} of {num_frames} frames, {empty} with nobody; {longest_s} s from frame {first})"
    )


def doubts_of(tracked: Track, times_s: NDArray[np.float64]) -> list[str]:
    """Return the doubts in full; braces in a folder's name stay as they are."""
    return [doubt.sentence(Path("a/b{}")) for doubt in find_doubts(tracked, times_s)]


def without(*missed: int) -> NDArray[np.bool_]:
    observed = np.ones(30, np.bool_)
    observed[list(missed)] = False
    return observed


@pytest.mark.parametrize(
    ("tracked", "doubts"),
    [
        (track(without()), []),
        (track(without(3, 20)), []),
        (track(without(5, 6, 7)), []),
        (
            track(without(*range(4))),
            [missed_in(4, 30, 4, "0.13", 0)],
        ),
        (
            track(without(3, *range(26, 30))),
            [missed_in(5, 30, 5, "0.13", 26)],
        ),
        (track(without(), leap_px=60), []),
        (
            track(without(), leap_px=180),
            [LEAP + OTHER],
        ),
        (track(without(), margin=0.49), [DOUBT + OTHER]),
    ],
)
def test_what_is_doubtful(tracked: Track, doubts: list[str]) -> None:
    assert doubts_of(tracked, TIMES_S) == doubts


OTHER_BODY = "another person may be followed after the skater has left: place or size change"


@pytest.mark.parametrize(
    ("gap", "moved", "ratio", "told"),
    [
        (0, 0.0, 1.9, False),
        (0, 0.0, 2.2, True),
        (0, 0.0, 1 / 2.2, True),
        (8, 0.0, 1.5, False),
        (8, 0.0, 1.7, True),
        (8, 0.0, 1 / 1.7, True),
        (8, 0.9, 1.0, False),
        (8, 1.1, 1.0, True),
    ],
)
def test_another_body_after_the_skater_has_left_is_told(
    gap: int, moved: float, ratio: float, told: bool
) -> None:
    """`moved` is in sizes of the larger side of the body."""
    before = walk(500, y=500)
    after = walk(500 + moved * float(np.ptp(before[0, :, :2], axis=0).max()), 200 * ratio, 500)
    clip = together(appear(before, 0, 30), appear(after, 30 + gap, F))
    track = choose_person(clip, picture_px=SQUARE_PX)
    assert track.observed[30 + gap :].all(), "the other person is not followed"
    doubts = find_doubts(track, np.arange(F) / 240, 100)
    found = [doubt for doubt in doubts if doubt.kind == OTHER_BODY]
    assert [doubt.detail for doubt in found] == [f"frame {130 + gap}"] * told
    assert all("start_s or end_s" in doubt.sentence(Path("clip")) for doubt in found)


def test_one_frame_of_another_size_is_not_another_body() -> None:
    skater = walk(500, y=500)
    skater[30] = walk(500, 500, 500)[30]
    track = choose_person(gather(skater), picture_px=SQUARE_PX)
    assert [d.kind for d in find_doubts(track, np.arange(F) / 30) if d.kind == OTHER_BODY] == []


def test_a_gap_is_judged_in_seconds() -> None:
    observed = np.ones(100, np.bool_)
    observed[50:57] = False
    assert doubts_of(track(observed), np.arange(100) / 120) == []
    told = missed_in(7, 100, 7, "0.27", 50)
    assert doubts_of(track(observed), np.arange(100) / 30) == [told]


@pytest.mark.parametrize(
    ("pause", "missed", "told"),
    [
        (10, 0, []), (10, 5, []), (10, 29, []),
        (10, 10, [missed_in(1, 30, 1, "2.07", 10)]),
        (10, 11, [missed_in(1, 30, 1, "2.07", 11)]),
        (0, 0, [missed_in(1, 30, 1, "2.03", 0)]),
        (28, 29, [missed_in(1, 30, 1, "2.03", 29)]),
    ],
)  # fmt: skip
def test_a_pause_of_the_video_is_not_a_gap(pause: int, missed: int, told: list[str]) -> None:
    """Nothing is filmed for 2 s after a frame. It is a gap if the skater is missed beside it."""
    times_s = TIMES_S + 2 * (np.arange(30) > pause)
    assert doubts_of(track(without(missed)), times_s) == told


def test_a_frame_with_others_is_not_one_with_nobody() -> None:
    missed = track(without(*range(10, 20)))
    missed.num_people[10:16] = 1
    told = missed_in(10, 30, 4, "0.37", 10)
    assert doubts_of(missed, TIMES_S) == [told]


def read_clip(folder: Path) -> Detections:
    images = sorted((path.name for path in folder.glob("vis/*.jpg")), key=natural_key)
    return read_detections(folder / "alphapose-results.json", images or None)


@pytest.mark.real
@pytest.mark.parametrize(
    ("clip", "hips"),
    [
        # Two skaters who are lost by following the nearest person from the one with the best score.
        ("skate/train/a13", {10: (678, 428), 13: (684, 404), 17: (684, 409)}),
        ("skate_full/val/d06", {28: (470, 556), 64: (746, 519), 84: (786, 583), 145: (796, 588)}),
        # Score x size alone chooses the large bystander at the edge.
        ("skate/val/d06", {0: (616, 533), 22: (746, 519), 37: (789, 553)}),
        # People cross behind the skater.
        ("skate/val/d04", {0: (61, 360), 24: (102, 392), 49: (164, 476)}),
        ("skate/val/d08", {0: (542, 441), 18: (478, 405), 36: (385, 506)}),
        ("skate/train/a16", {0: (389, 363), 21: (404, 370), 53: (473, 403)}),
        ("skate/train/c05", {0: (619, 422), 20: (612, 396), 49: (671, 431)}),
        ("skate_frames/val/d02", {0: (271, 310), 10: (264, 270), 20: (264, 282)}),
    ],
)
def test_real_skater_is_found(real_data: Path, clip: str, hips: dict[int, tuple[int, int]]) -> None:
    """The hips' positions in px were read off frames, or drawings, that show the jump."""
    track = choose_person(read_clip(real_data / clip))
    for frame, position in hips.items():
        hip = track.keypoints[frame, 11:13, :2].mean(axis=0)
        assert np.linalg.norm(hip - position) < 12, frame


@pytest.mark.real
@pytest.mark.parametrize("name", ["d07", "e04", "e05", "e06"])
@pytest.mark.parametrize("num_missed", [21, 30, 45])
def test_real_skater_is_kept_over_a_gap(real_data: Path, name: str, num_missed: int) -> None:
    detections = read_clip(real_data / "skate_full" / "val" / name)
    whole = choose_person(detections).detection
    gone = range(len(whole) // 2, len(whole) // 2 + num_missed)
    kept = ~np.isin(np.arange(len(detections.frame)), whole[gone])
    rest = Detections(
        detections.frame[kept], detections.keypoints[kept], detections.score[kept],
        detections.image_names,
    )  # fmt: skip
    found = np.append(np.flatnonzero(kept), -1)[choose_person(rest).detection]
    outside = np.isin(np.arange(len(whole)), gone, invert=True) & (whole >= 0)
    assert (found == whole)[outside].all()


@pytest.mark.real
def test_real_skaters_turn_while_they_fly(real_data: Path) -> None:
    """Between take-off and landing the skater's shoulders change sides; a bystander's do not."""
    for name in ("skate", "skate_full", "skate_frames"):
        for row in (real_data / name / "labels.csv").read_text().splitlines()[1:]:
            mode, video, _, takeoff, landing = row.split(",")
            track = choose_person(drop_twins(read_clip(real_data / name / mode / video)))
            shoulders = track.keypoints[int(takeoff) : int(landing) + 1, 5:7, 0]
            torso = np.abs(np.diff(track.keypoints[:, [5, 11], 1], axis=1)).mean()
            width = (shoulders[:, 0] - shoulders[:, 1]) / torso
            sides = np.sign(width[np.abs(width) > 0.1])
            assert (sides[1:] != sides[:-1]).any(), f"{name} {video}"
            assert track.observed.mean() > 0.85, f"{name} {video}"
