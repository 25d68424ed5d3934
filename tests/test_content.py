"""What the page gets: bands of the good executions, and the parts of both clips that are shown."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tcc.report.comparison import Comparison, compare
from tcc.report.content import BAND, MIN_BAND, measure_bands, page_data, word
from tcc.report.events import EVENTS, complete, mark
from tcc.report.instructions import Advice, Instruction, Spread
from tcc.report.measures import MEASURES
from tcc.report.performance import QUANTITIES, Performance, perform
from tests.conftest import make_clip
from tests.jumpers import axel, keypoints_of, seen_from

SIZE = (480, 540)


def performance(seed: int = 3, first_frame: int = 0, mirrored: bool = False) -> Performance:
    """Return that of a synthetic Axel with exact joints, seen from the side."""
    motion = axel(seed, clockwise=False)
    points = seen_from(motion.joints_m, 90)
    clip = make_clip(keypoints_of(points), first_frame=first_frame)
    events = complete(mark(motion.events, clip.times_s), points, clip.times_s)
    return perform(clip, events, 0.2, mirrored)


def comparison(**options: Any) -> Comparison:
    """Compare two skaters whose take-offs and landings are matched."""
    learner, standard = performance(3, first_frame=7), performance(4, **options)
    path = np.array(
        [(standard.events[name].frame, learner.events[name].frame) for name in ("entry", "exit")]
    )
    return compare(learner, standard, path, 0.9)


def describe(compared: Comparison, **changes: Any) -> dict[str, Any]:
    """Return what the page gets, read back from JSON."""
    counts = len(compared.rows), int(np.ptp(compared.rows[:, 1])) + 1
    keypoints = {
        role: np.full((count, 17, 3), 0.5, np.float32)
        for role, count in zip(("learner", "standard"), counts, strict=True)
    }
    given: dict[str, Any] = {
        "advice": Advice([], ["why"]), "spread": Spread({}), "bands": {}, "motion": "axel",
        "doubts": ["a doubt"], "keypoints": keypoints, "size_px": SIZE, "threshold": 0.2,
    }  # fmt: skip
    data = page_data(compared, **(given | changes))
    found: dict[str, Any] = json.loads(json.dumps(data, allow_nan=False))
    return found


def test_bands_are_percentiles_of_the_valid_values_at_the_matched_frames() -> None:
    good = []
    for seed in range(7):
        one = performance(seed)
        start = 3 + seed
        path = np.stack([np.arange(5, 45), np.arange(start, start + 40)], axis=1)
        good.append((one, path))
    bands = measure_bands(good, 50)
    for name, (low, high) in bands.items():
        for frame in (0, 5, 20, 33, 44, 45):
            values = []
            for one, path in good:
                for theirs, own in path:
                    if theirs == frame and one.curves[name].valid[own]:
                        values.append(one.curves[name].filtered[own])
            if len(values) < MIN_BAND:
                assert np.isnan([low[frame], high[frame]]).all()
            else:
                expected = np.percentile(values, BAND)
                np.testing.assert_allclose([low[frame], high[frame]], expected)
    assert {"left_knee", "right_hip", "ankle_gap"} <= set(bands)
    assert not {name for name in bands if not MEASURES[name].places}
    assert not measure_bands(good[: MIN_BAND - 1], 50)


def test_the_page_gets_the_shown_frames_of_both_clips() -> None:
    compared = comparison()
    data = describe(compared)
    rows = np.array(data["rows"])
    learner, standard = data["clips"]["learner"], data["clips"]["standard"]
    np.testing.assert_array_equal(rows[:, 0] + learner["first_frame"] - 7, compared.rows[:, 0])
    np.testing.assert_array_equal(rows[:, 1] + standard["first_frame"], compared.rows[:, 1])
    np.testing.assert_array_equal(rows[:, 2], compared.matched)
    for clip, own in ((learner, compared.learner.clip), (standard, compared.standard.clip)):
        start = clip["first_frame"] - own.first_frame
        shown = own.times_s[start : start + len(clip["times_s"])]
        np.testing.assert_allclose(clip["times_s"], shown, atol=1e-4)
        assert len(clip["points"]) == len(clip["times_s"])
        assert len(clip["points"][0]) == 51
        assert clip["total_frames"] == own.total_frames
    assert data["trust"] == {"state": "sure", "text": "confidence 0.90", "warnings": ["a doubt"]}
    assert data["silence"] == ["why"]
    unsure = describe(replace(compared, confidence=0.5))["trust"]
    assert (unsure["state"], unsure["text"]) == ("unsure", "confidence 0.50")


def test_events_and_phases_are_rows_of_the_learner_and_frames_of_whole_videos() -> None:
    compared = comparison()
    data = describe(compared)
    learner = compared.learner
    assert [event["name"] for event in data["events"]] == list(EVENTS)
    for event in data["events"]:
        own = learner.events[event["name"]]
        assert compared.rows[event["row"], 0] == own.frame
        assert event["learner"]["frame"] == own.frame + 7
        assert event["learner"]["time_s"] == pytest.approx(learner.clip.times_s[own.frame])
        assert event["learner"]["uncertainty_s"] == pytest.approx(own.uncertainty_s)
        assert event["standard"]["frame"] == compared.standard.events[event["name"]].frame
    phases = {phase["name"]: phase["rows"] for phase in data["phases"]}
    start, end = learner.phases["flight"]
    np.testing.assert_array_equal(compared.rows[phases["flight"], 0], (start, end))
    assert phases["glide"][1] <= len(compared.rows)


def test_an_event_that_is_not_shown_has_no_row_and_one_side_may_be_unknown() -> None:
    compared = comparison()
    short = replace(compared, rows=compared.rows[40:], matched=compared.matched[40:])
    events = {event["name"]: event for event in describe(short)["events"]}
    assert events["entry"]["row"] is None
    without = replace(compared, standard=replace(compared.standard, events={}))
    assert {event["standard"] for event in describe(without)["events"]} == {None}


def test_curves_follow_the_rows_and_have_bands() -> None:
    compared = comparison()
    num_frames = compared.standard.clip.num_frames
    low = np.arange(num_frames, dtype=float)
    low[compared.rows[3, 1]] = np.nan
    data = describe(compared, bands={"left_knee": (low, low + 5)})
    curves = {curve["name"]: curve for curve in data["curves"]}
    assert list(curves) == list(MEASURES)
    for role, one, frames in (
        ("learner", compared.learner, compared.rows[:, 0]),
        ("standard", compared.standard, compared.rows[:, 1]),
    ):
        for name, curve in curves.items():
            own = one.curves[name]
            np.testing.assert_allclose(curve[role]["raw"], own.raw[frames], atol=0.006)
            np.testing.assert_allclose(curve[role]["filtered"], own.filtered[frames], atol=0.006)
            np.testing.assert_array_equal(curve[role]["valid"], own.valid[frames])
    band = curves["left_knee"]["band"]
    assert band["low"][3] is None
    assert band["high"][10] == compared.rows[10, 1] + 5
    assert curves["trunk_tilt"]["band"] is None
    assert curves["left_elbow"]["note"].startswith("no camera")
    assert curves["left_knee"]["note"] == (
        "exact enough to be compared at: entry, take-off, flight, landing"
    )


def test_numbers_tell_what_is_usual() -> None:
    compared = comparison()
    usual = {("flight", ""): (0.5, 0.05, 24), ("left_knee", "entry"): (120.0, 10.0, 1)}
    numbers = {row["label"]: row for row in describe(compared, spread=Spread(usual))["numbers"]}
    flight = numbers[QUANTITIES["flight"].label]
    own = compared.learner.quantities["flight"]
    assert flight["learner"] == {"value": own.value, "uncertainty": own.uncertainty}
    assert flight["note"] == "0.45 to 0.55 in 24 clips"
    assert numbers["left knee, entry"]["note"] == ""  # the standard alone
    assert numbers["left knee, take-off"]["unit"] == "degrees"


def test_instructions_lead_to_a_row() -> None:
    compared = comparison()
    frame = compared.learner.events["takeoff"].frame
    item = Instruction(
        "low jump", "Jump higher", "flight", "legs", frame, (13, 14), "0.2 m", "0.4 m", None, "why",
        "Push the ice away.", "sure", 3.0, "left_knee",
    )  # fmt: skip
    told = describe(compared, advice=Advice([item], []))["instructions"]
    assert told[0]["row"] == compared.row(frame)
    assert told[0]["joints"] == [13, 14]
    assert told[0]["curve"] == "left_knee"
    assert told[0]["advice"] == "Push the ice away."


def test_words() -> None:
    assert word("takeoff") == "take-off"
    assert word("left_knee") == "left knee"
    assert word("right_wrist") == "right wrist, distance from the trunk"
    assert word("glide") == "glide"
    assert all(word(name) for name in (*MEASURES, *EVENTS))
