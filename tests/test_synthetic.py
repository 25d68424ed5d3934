"""The skater obeys physics, the camera optics, and the detector has the errors it states."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tcc.coco import FLIP, JOINTS
from tcc.synthetic import camera as synthetic
from tcc.synthetic.body import ANKLE_M, MASSES
from tcc.synthetic.jumps import JUMPS, LANDING, PHASES, TAKEOFF
from tcc.synthetic.skater import GRAVITY, Motion, sample_motion

BONES = [
    (5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16), (11, 12), (5, 6)
]  # fmt: skip
ANKLES = [15, 16]


def motions(count: int = 6) -> list[Motion]:
    """Return several motions of every jump, some with a fall, some clockwise."""
    return [
        sample_motion(
            np.random.default_rng(seed),
            jump=jump, lead_in_s=seed / 3, lead_out_s=0.5, clockwise=seed % 2 > 0, fall=seed == 3,
        )
        for jump in JUMPS
        for seed in range(count)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def skated() -> list[Motion]:
    return motions()


def airborne(motion: Motion) -> NDArray[np.bool_]:
    frames = np.arange(len(motion.joints_m))
    return (frames >= motion.events["takeoff"]) & (frames < motion.events["landing"])


def test_limbs_keep_their_length(skated: list[Motion]) -> None:
    for motion in skated:
        for first, second in BONES:
            length = np.linalg.norm(motion.joints_m[:, first] - motion.joints_m[:, second], axis=-1)
            assert 0.1 < length[0] < 0.6
            np.testing.assert_allclose(length, length[0], atol=1e-9)


def test_the_lower_foot_is_on_the_ice_outside_the_flight_and_above_in_it(
    skated: list[Motion],
) -> None:
    for motion in skated:
        height = motion.joints_m[:, ANKLES, 2].min(axis=1) - ANKLE_M
        np.testing.assert_allclose(height[~airborne(motion)], 0, atol=1e-9)
        assert (height[airborne(motion)] > 0).all()


def test_the_centre_of_mass_falls_freely_in_the_air(skated: list[Motion]) -> None:
    for motion in skated:
        path = np.einsum("fjc,j->fc", motion.joints_m, MASSES)[airborne(motion)]
        pull = np.diff(path, 2, axis=0) * motion.fps**2
        np.testing.assert_allclose(pull[:, 2], -GRAVITY, atol=1e-6)
        np.testing.assert_allclose(pull[:, :2], 0, atol=1e-6)


def test_events_are_in_order_and_at_their_phase(skated: list[Motion]) -> None:
    for motion in skated:
        frames = [motion.events[name] for name in ("start", "takeoff", "landing", "end")]
        assert frames == sorted(set(frames))
        assert frames[0] >= 0
        assert frames[-1] < len(motion.phase)
        assert (np.diff(motion.phase) > 0).all()
        inside = motion.phase[airborne(motion)]
        assert inside[0] > TAKEOFF
        assert inside[-1] < LANDING
        seconds = airborne(motion).sum() / motion.fps
        assert 0.15 < seconds < 0.7


def test_glides_surround_the_shared_clock() -> None:
    motion = sample_motion(np.random.default_rng(0), lead_in_s=2, lead_out_s=1, fps=50)
    assert motion.phase[0] == pytest.approx(-2)
    assert motion.phase[-1] == pytest.approx(len(PHASES) - 1 + 1, abs=0.03)
    assert (motion.phase < 0).sum() == 100


@pytest.mark.parametrize(("turns", "degrees"), [(0, 150), (1, 510), (2, 870)])
def test_an_axel_turns_a_half_more(turns: int, degrees: float) -> None:
    turned = []
    for seed in range(30):
        motion = sample_motion(np.random.default_rng(seed), jump="axel", turns=turns)
        across = motion.joints_m[:, 11, :2] - motion.joints_m[:, 12, :2]
        angle = np.unwrap(np.arctan2(across[:, 1], across[:, 0]))
        turned.append(np.degrees(angle[motion.events["landing"]] - angle[motion.events["takeoff"]]))
    assert np.median(turned) == pytest.approx(degrees, abs=45)  # the ends miss a frame's turn each


def test_clockwise_is_the_mirror_image() -> None:
    left, right = (
        sample_motion(np.random.default_rng(1), jump="lutz", lead_in_s=1, clockwise=clockwise)
        for clockwise in (False, True)
    )
    np.testing.assert_array_equal(right.joints_m, left.joints_m[:, list(FLIP)] * [-1, 1, 1])
    assert right.events == left.events


def test_tempo_changes_all_but_the_flight() -> None:
    slow, fast = (
        sample_motion(np.random.default_rng(2), jump="flip", tempo=tempo, fps=200)
        for tempo in (0.5, 1)
    )
    assert airborne(slow).sum() == pytest.approx(airborne(fast).sum(), abs=1)
    assert slow.events["takeoff"] == pytest.approx(2 * fast.events["takeoff"], abs=2)


def test_a_fall_ends_on_the_ice() -> None:
    motion = sample_motion(np.random.default_rng(3), fall=True)
    assert motion.joints_m[motion.events["end"], [11, 12], 2].mean() < 0.6
    assert motion.joints_m[..., 2].min() > 0


def test_cut_moves_the_events() -> None:
    motion = sample_motion(np.random.default_rng(4), lead_in_s=1)
    part = motion.cut(motion.events["start"], motion.events["end"])
    assert part.events["start"] == 0
    assert part.phase[part.events["takeoff"]] == motion.phase[motion.events["takeoff"]]


def test_project_is_a_pinhole() -> None:
    motion = sample_motion(np.random.default_rng(5))
    camera = synthetic.sample_camera(np.random.default_rng(6), motion.joints_m, motion.fps)
    points = camera.project(motion.joints_m)
    for frame in (0, len(points) - 1):
        right, down, forward = camera.axes[frame]
        np.testing.assert_allclose(camera.axes[frame] @ camera.axes[frame].T, np.eye(3), atol=1e-9)
        assert down[2] < -0.8
        for joint in range(17):
            ray = motion.joints_m[frame, joint] - camera.position_m
            depth = float(ray @ forward)
            assert depth > 2
            expected = (
                640 + camera.focal_px * float(ray @ right) / depth,
                360 + camera.focal_px * float(ray @ down) / depth,
            )
            np.testing.assert_allclose(points[frame, joint], expected, atol=1e-6)


def test_the_camera_keeps_the_skater_in_the_picture_upright() -> None:
    for seed in range(40):
        generator = np.random.default_rng(seed)
        motion = sample_motion(generator, lead_in_s=1)
        points = synthetic.sample_camera(generator, motion.joints_m, 30).project(motion.joints_m)
        inside = ((points > 0) & (points < [1280, 720])).all(axis=-1)
        assert inside.mean() > 0.85
        standing = points[: motion.events["takeoff"]]
        assert (standing[:, ANKLES, 1].max(axis=1) > standing[:, [5, 6], 1].min(axis=1)).all()


def standing(num_frames: int) -> NDArray[np.float64]:
    """Return the joints (F, 17, 2) px of a person who stands still with spread arms."""
    x = {"shoulder": 20, "elbow": 50, "wrist": 80, "hip": 12, "knee": 14, "ankle": 16}
    y = {"shoulder": 200, "elbow": 205, "wrist": 200, "hip": 300, "knee": 380, "ankle": 460}
    parts = [name.rpartition("_") for name in JOINTS]
    pose = [
        (300 + {"left": 1, "right": -1, "": 0}[side] * x.get(part, 5), y.get(part, 160))
        for side, _, part in parts
    ]
    return np.repeat(np.array(pose, float)[None], num_frames, axis=0)


def test_the_detector_has_the_errors_it_claims() -> None:
    points = standing(20_000)
    seen = synthetic.detect(np.random.default_rng(0), points, 30)
    missed = ~seen.any(axis=(1, 2))
    assert missed.mean() == pytest.approx(synthetic.MISSED, abs=0.004)
    error = (seen[..., :2] - points)[~missed] / 100
    swapped = np.abs(error[:, 5, 0] + 0.4) < 0.15
    assert swapped.mean() == pytest.approx(synthetic.SWAPPED, abs=0.01)
    crossed = (np.abs(error[:, 15, 0] + 0.32) < 0.12) & ~swapped
    assert 0.015 < crossed.mean() < 0.06
    for joint, part in enumerate(synthetic.PARTS):
        quartiles = np.percentile(seen[~missed, joint, 2], [25, 50, 75])
        np.testing.assert_allclose(quartiles, synthetic.CONFIDENCE[part][1:4], atol=0.06)
        if part in ("shoulder", "hip", "wrist", "elbow"):
            middle = np.median(np.abs(error[~swapped, joint, 1])) / 0.6745
            assert middle == pytest.approx(synthetic.ERROR[part], rel=0.15)
    wrist = error[~swapped, JOINTS.index("left_wrist"), 1]
    sure = seen[~missed, JOINTS.index("left_wrist"), 2][~swapped] > 0.5
    assert np.std(wrist[sure]) < 0.6 * np.std(wrist[~sure])


def test_arms_before_the_trunk_and_fast_joints_are_doubted() -> None:
    wrist = JOINTS.index("left_wrist")
    swing = np.stack([380 + 60 * np.sin(np.arange(2000)), np.full(2000, 200.0)], axis=-1)
    for place in (np.array([300.0, 250.0]), swing):
        points = standing(4000)
        points[:2000, wrist] = place
        seen = synthetic.detect(np.random.default_rng(1), points, 30)[:, wrist, 2]
        assert seen[:2000].mean() < seen[2000:].mean() - 0.15


def test_sample_clip_shows_the_same_moments_to_all_views() -> None:
    clip = synthetic.sample_clip(np.random.default_rng(7), views=3, jump="loop")
    again = synthetic.sample_clip(np.random.default_rng(7), views=3, jump="loop")
    np.testing.assert_array_equal(clip.keypoints, again.keypoints)
    assert clip.keypoints.shape == (3, len(clip.phase), 17, 3)
    assert clip.keypoints.dtype == np.float32
    assert np.isfinite(clip.keypoints).all()
    assert TAKEOFF < clip.phase[clip.events["takeoff"]] < TAKEOFF + 0.5
    heights = np.ptp(clip.keypoints[..., 1].mean(axis=2), axis=1)
    assert len(np.unique(heights)) == 3  # different cameras


def test_sample_clip_covers_what_it_promises() -> None:
    clips = [synthetic.sample_clip(np.random.default_rng(seed)) for seed in range(60)]
    assert {clip.fps for clip in clips} == {24, 25, 30, 50, 60}
    leads_s = [-clip.phase[0] for clip in clips]
    assert min(leads_s) < 0.5
    assert max(leads_s) > 2.5
    assert any((~clip.keypoints.any(axis=(2, 3))).any() for clip in clips)
