"""The instructions: rules, scores, words, and what the report does not say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.instructions import (
    CAMERAS,
    Case,
    change,
    marked,
    planted,
    quiet,
    see,
    synthetic,
)
from tcc.clips import Clip
from tcc.confidence import CONFIDENT
from tcc.features import flip
from tcc.files import UserError
from tcc.report import instructions
from tcc.report.accuracy import ERRORS, without_side
from tcc.report.events import Event, Quantity
from tcc.report.instructions import NOTICED, OUTSIDE, Advice, Spread, advise, spread
from tcc.report.measures import MEASURES, Curve, Value, mirror_name
from tcc.report.performance import QUANTITIES, Performance
from tcc.report.rules import RULES, read_rules
from tcc.synthetic.skater import sample_motion
from tests.conftest import make_clip
from tests.jumpers import FAULTS, STANDING, jumper, keypoints_of, seen_from

RULE_LIST = read_rules()
BY_NAME = {rule.name: rule for rule in RULE_LIST}
EVENTS = {"entry": 30, "takeoff": 40, "peak": 48, "landing": 56, "exit": 66}
FRAMES = 100


def performance(
    name: str = "learner",
    values: Mapping[tuple[str, str], float] | None = None,
    quantities: Mapping[str, float] | None = None,
    *,
    share: float = 1.0,
    noise: float = 0.0,
    azimuth: float = 90.0,
    slope: float = 0.0,
    event_s: float = 0.01,
    uncertainty: float = 0.0,
) -> Performance:
    """Return one whose left leg carries the weight and whose other values are usual."""
    body = STANDING.copy()
    body[16, 1] += 0.5  # the right ankle is raised
    points = np.repeat(100 * body[None] * [1, -1], FRAMES, axis=0)
    clip = make_clip(keypoints_of(points), Path(name))
    all_values = {
        (measure, place): (100.0 if known.unit == "degrees" else 0.5)
        if sides.low <= azimuth <= sides.high
        else np.nan
        for measure, known in MEASURES.items()
        for place, sides in known.places.items()
    } | dict(values or {})
    ramp = slope * (np.arange(FRAMES) - EVENTS["takeoff"])
    curves = {
        measure: Curve(ramp + noise, ramp, np.ones(FRAMES, bool), np.full(FRAMES, azimuth))
        for measure in MEASURES
    }
    numbers = {"flight": 0.5, "height": 0.3, "rise": 0.3, "arms_closing": 0.1, "push": 0.2,
               "fastest_turn": 0.5} | dict(quantities or {})  # fmt: skip
    return Performance(
        clip,
        False,
        {event: Event(frame, event_s, "marked") for event, frame in EVENTS.items()},
        {"flight": (40, 56)},
        curves,
        {key: Value(value, share if np.isfinite(value) else 0.0)
         for key, value in all_values.items()},
        {key: Quantity(value, uncertainty) for key, value in numbers.items()},
    )  # fmt: skip


def advice(
    learner: Performance,
    standard: Performance | None = None,
    around: Spread | None = None,
    confidence: float = 1.0,
) -> Advice:
    standard = standard or performance("standard")
    return advise(learner, standard, around or spread([], standard), RULE_LIST, confidence)


def score(
    learner: Performance, standard: Performance | None = None, confidence: float = 1.0
) -> float:
    """Return the score of the only instruction; 0 if there is none."""
    told = advice(learner, standard, confidence=confidence).instructions
    assert len(told) <= 1
    return told[0].score if told else 0.0


def test_the_rules_state_the_usual_differences_and_a_source() -> None:
    assert len(RULE_LIST) >= 9
    for rule in RULE_LIST:
        (name, place), *_ = rule.keys().values()
        usual = (MEASURES[name].places[place] if name in MEASURES else QUANTITIES[name]).tolerance
        assert rule.tolerance == usual, rule.name
        for text in (rule.low, rule.high):
            assert ("{side}" in text.title) == (len(rule.keys()) == 2), rule.name
            assert text.advice.endswith(".")
            assert text.advice.count(".") == 1
    assert {rule.measure for rule in RULE_LIST} >= {
        "knee", "trunk_tilt", "flight", "rise", "arms_closing", "ankle_gap", "axis_tilt"
    }  # fmt: skip


def test_no_rule_speaks_of_what_17_joints_can_not_show() -> None:
    text = RULES.read_text(encoding="utf-8")
    assert not re.search(r"\bedges?\b|toe.?pick|under-?rotat|revolution|rotations\b", text, re.I)
    assert not {"elbow", "wrist"} & {rule.measure for rule in RULE_LIST}


def test_each_measure_has_an_error_where_it_is_offered() -> None:
    offered = {
        (without_side(name), place)
        for name, measure in MEASURES.items()
        for place in measure.places
    }
    assert set(ERRORS) <= offered


RULE = """[[rules]]
name = "a"
topic = "a"
measure = "knee"
at = "entry"
part = "{side} knee"
when = "early"
tolerance = 16
source = "none"
[rules.low]
title = "a"
cause = "b"
advice = "c"
[rules.high]
title = "d"
cause = "e"
advice = "f"
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"knee"', '"elbow"', r"rule 1 \(a\): measure: elbow is not offered; choose from knee"),
        ('"knee"', '"nose"', r"rule 1 \(a\): measure: nose is not offered"),
        ('"entry"', '"exit"', r"rule 1 \(a\): at: knee is not offered at exit; choose from entry"),
        ('at = "entry"\n', "", r"rule 1 \(a\): at: knee is not offered at no event"),
        ('measure = "knee"', 'measure = "flight"', r"rule 1 \(a\): at: flight is one number"),
        ("tolerance = 16", "tolerance = 0", r"rule 1 \(a\): .*> 0.*tolerance"),
        ("tolerance = 16", 'tolerance = "big"', r"rule 1 \(a\): .*float.*tolerance"),
        ("tolerance = 16\n", "", r"rule 1 \(a\): .*tolerance.*docs/instructions.md"),
        ('source = "none"\n', "", r"rule 1 \(a\): .*source"),
        ('cause = "b"\n', "", r"rule 1 \(a\): .*cause.*low"),
        ('title = "d"', 'title = ""', r"rule 1 \(a\): .*length.*high.title"),
        ('topic = "a"', 'topic = "a"\nspeed = 3', r"rule 1 \(a\): .*speed"),
        ('topic = "a"', 'topic = "a"\nleg = "wooden"', r"rule 1 \(a\): .*wooden.*leg"),
        ("[[rules]]", "[[rule]]", r"expected \[sides\] and at least one \[\[rules\]\]"),
        ("[[rules]]", "[sides]\nleft = 3\nright = 'r'\n[[rules]]", r"sides: .*left"),
        ("[[rules]]", "[[rules", r"not a TOML file"),
        (RULE, RULE + RULE, r"rule 2 \(a\): name: two rules have it"),
    ],
)  # fmt: skip
def test_a_bad_rule_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(RULE, encoding="utf-8")
    assert len(read_rules(path)) == 1
    path.write_text(RULE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=r"rules\.toml.*" + message) as caught:
        read_rules(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_of_rules_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.toml: No such file"):
        read_rules(tmp_path / "none.toml")


def test_translated_sides_are_used(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[sides]\nleft = 'linkes'\nright = 'rechtes'\n" + RULE, encoding="utf-8")
    learner = performance(values={("left_knee", "entry"): 190.0})
    standard = performance("standard")
    told = advise(learner, standard, spread([], standard), read_rules(path), 1.0)
    assert told.instructions[0].part == "linkes knee"


def test_the_score_is_the_difference_over_deviation_and_error() -> None:
    base = ERRORS["knee", "entry"].base
    learner = performance(values={("left_knee", "entry"): 200.0})
    assert score(learner) == pytest.approx(100 / np.sqrt(16**2 + 2 * base**2))
    lower = performance(values={("left_knee", "entry"): 0.0})
    assert score(lower) == pytest.approx(score(learner))


@pytest.mark.parametrize("who", ["learner", "standard"])
def test_the_error_of_both_clips_counts(who: str) -> None:
    error = ERRORS["knee", "entry"]
    values = {("left_knee", "entry"): 300.0}

    def both(**changed: float) -> float:
        usual = partial(performance, who, **changed)  # type: ignore[arg-type]
        if who == "learner":
            return score(usual(values=values), performance("standard"))
        return score(performance(values=values), usual())

    variance = 16**2 + 2 * error.base**2
    assert both() == pytest.approx(200 / np.sqrt(variance))
    noisy = variance + (error.noise * 7) ** 2
    assert both(noise=7) == pytest.approx(200 / np.sqrt(noisy))
    view = variance + (error.view * 0.25) ** 2
    assert both(azimuth=60) == pytest.approx(200 / np.sqrt(view))
    late = variance + np.var([-3, 0, 3])
    assert both(slope=3, event_s=1 / 30) == pytest.approx(200 / np.sqrt(late))


def test_two_cameras_on_one_side_have_no_error_of_view() -> None:
    values = {("left_knee", "entry"): 300.0}
    learner = performance(values=values, azimuth=60)
    assert score(learner, performance("standard", azimuth=120)) == pytest.approx(
        score(performance(values=values))
    )


def test_the_uncertainty_of_a_quantity_is_its_own() -> None:
    learner = performance(quantities={"arms_closing": 0.4}, uncertainty=0.05)
    assert score(learner) == pytest.approx(0.3 / np.hypot(0.1, 0.05))
    both = score(learner, performance("standard", uncertainty=0.05))
    assert both == pytest.approx(0.3 / np.linalg.norm([0.1, 0.05, 0.05]))


def test_validity_and_confidence_are_weights() -> None:
    values = {("left_knee", "entry"): 400.0}
    whole = score(performance(values=values))
    assert score(performance(values=values, share=0.5)) == pytest.approx(whole / 2)
    half = performance("standard", share=0.5)
    assert score(performance(values=values), half) == pytest.approx(whole / 2)
    assert score(performance(values=values), confidence=CONFIDENT / 2) == pytest.approx(whole / 2)
    assert score(performance(values=values), confidence=0.9) == pytest.approx(whole)
    turning = {("ankle_gap", "flight"): 3.0}
    whole = score(performance(values=turning))
    assert score(performance(values=turning, share=1 / 3)) == pytest.approx(whole)
    assert score(performance(values=turning, share=1 / 6)) == pytest.approx(whole / 2)


def test_small_differences_are_not_told() -> None:
    unit = np.sqrt(16**2 + 2 * ERRORS["knee", "entry"].base ** 2)
    for factor, told in ((0.99, 0), (1.01, 1)):
        value = 100 + factor * NOTICED * unit
        found = advice(performance(values={("left_knee", "entry"): value}))
        assert len(found.instructions) == told
        quiet_ = "Nothing that can be measured is clearly different from what is usual."
        assert (quiet_ in found.silence) != told
    nothing = advice(performance(), performance("standard"))
    assert nothing.silence[0] == quiet_
    unknown = advice(replace(performance(), events={}), performance("standard"))
    assert unknown.silence[0] == "Nothing could be compared."


def test_many_clips_replace_the_standard() -> None:
    key = ("left_knee", "entry")
    numbers = [90.0, 94, 96, 98, 100, 102, 104, 106, 110]
    clips = [performance(values={key: value}) for value in numbers]
    around = spread(clips, performance("standard", {key: 120.0}))
    assert around.of[key] == pytest.approx((100, 1.4826 * 4, 9))
    assert spread(clips[:7], performance("standard", {key: 120.0})).of[key] == (120, 16, 1)
    some = [performance(values={key: np.nan}) for _ in range(4)]
    assert spread(clips[:8] + some, performance()).of[key][2] == 8
    assert spread(clips[:7] + some, performance()).of[key][2] == 1
    assert key not in spread([], performance(values={key: np.nan})).of
    standard = performance("standard", {key: 120.0})
    (told,) = advice(performance(values={key: 200.0}), standard, around).instructions
    base = ERRORS["knee", "entry"].base
    assert told.score == pytest.approx(80 / np.linalg.norm([OUTSIDE * 1.4826 * 4, base]))
    assert told.usual == "94 to 106 degrees in two of three of 9 clips"
    assert told.standard == "120 degrees"
    assert not advice(performance(values={key: 120.0}), standard, around).instructions
    assert not advice(performance(values={key: 110.0}), standard, around).instructions
    (low,) = advice(performance(values={key: 10.0}), standard, around).instructions
    assert low.score == pytest.approx(90 / np.linalg.norm([OUTSIDE * 1.4826 * 4, base]))
    alike = Spread({**around.of, key: (100, 0.1, 9)})  # good executions that hardly differ
    (told,) = advice(performance(values={key: 200.0}), standard, alike).instructions
    assert told.score == pytest.approx(80 / np.linalg.norm([16 / 2, base]))


def test_words_numbers_and_frame() -> None:
    learner = performance(values={("left_knee", "entry"): 200.0})
    learner = replace(learner, clip=replace(learner.clip, first_frame=7))
    (told,) = advice(learner).instructions
    assert told.title == "The left knee is too straight before the take-off"
    assert told.when == "at the deepest bend before the take-off, frame 37, 1.00 s"
    assert (told.part, told.frame, told.joints) == ("left knee", 30, (11, 13, 15))
    assert (told.learner, told.standard, told.usual) == ("200 degrees", "100 degrees", None)
    assert told.cause == BY_NAME["knee at the entry"].high.cause
    assert told.sure == (
        "certain: the difference is 100 degrees, 16 would be usual, and the measurement is "
        "uncertain by 25 degrees"
    )
    (told,) = advice(performance(values={("left_knee", "entry"): 50.0})).instructions
    assert told.title == "The left knee is bent too much before the take-off"
    assert told.sure.startswith("likely: the difference is 50 degrees")
    (told,) = advice(performance(quantities={"rise": 0.1})).instructions
    assert (told.title, told.learner, told.standard) == ("The jump is too low", "10 cm", "30 cm")
    assert told.frame == EVENTS["peak"]
    (told,) = advice(performance(quantities={"arms_closing": 0.4})).instructions
    assert (told.learner, told.frame) == ("0.40 s", EVENTS["takeoff"] + 12)
    assert told.title == "The arms close too late"
    (told,) = advice(performance(values={("ankle_gap", "flight"): 2.0})).instructions
    assert told.learner == "2.00 torso lengths"
    assert 40 <= told.frame < 56


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        (("left_knee", "entry"), 1.2, "1 degree"),
        (("left_knee", "entry"), -0.2, "0 degrees"),
        (("rise", ""), 0.104, "10 cm"),
        (("flight", ""), 0.5, "0.50 s"),
        (("fastest_turn", ""), 0.5, "0.50"),
    ],
)
def test_numbers_are_written_as_people_do(key: tuple[str, str], value: float, told: str) -> None:
    assert instructions._told(key, value) == told


def test_only_the_leg_that_carries_the_weight_is_compared() -> None:
    values = {("right_knee", "entry"): 300.0}
    assert not advice(performance(values=values)).instructions
    other = [performance(name, values if name == "learner" else {}) for name in ("learner", "s")]
    swapped = []
    for found in other:
        keypoints = found.clip.keypoints.copy()
        keypoints[:, [15, 16]] = keypoints[:, [16, 15]]
        track = replace(found.clip.track, keypoints=keypoints)
        swapped.append(replace(found, clip=replace(found.clip, track=track)))
    (told,) = advice(swapped[0], swapped[1]).instructions
    assert told.part == "right knee"
    mirrored = [
        replace(found, mirrored=True, clip=replace(found.clip, track=replace(
            found.clip.track, keypoints=flip(found.clip.keypoints))))
        for found in swapped
    ]  # fmt: skip
    assert advice(mirrored[0], mirrored[1]).instructions == [told]


def test_at_most_three_are_told_the_most_important_first() -> None:
    values = {
        ("left_knee", "entry"): 300.0, ("left_knee", "landing"): 200.0,
        ("trunk_tilt", "entry"): 190.0, ("ankle_gap", "flight"): 2.0,
    }  # fmt: skip
    told = advice(performance(values=values)).instructions
    assert len(told) == 3
    scores = [instruction.score for instruction in told]
    assert scores == sorted(scores, reverse=True)
    every = [score(performance(values={key: value})) for key, value in values.items()]
    assert scores == pytest.approx(sorted(every, reverse=True)[:3])


def test_one_topic_is_told_once_and_not_if_it_contradicts_itself() -> None:
    both = advice(performance(quantities={"flight": 0.1, "rise": 0.05}))
    (told,) = both.instructions
    assert told.rule == "time in the air"  # 4 usual differences, and 1.7
    against = advice(performance(quantities={"flight": 0.1, "rise": 0.6}))
    assert not against.instructions
    assert any("jump in the flight: its measures contradict" in text for text in against.silence)


def test_a_match_that_is_not_found_says_nothing() -> None:
    learner = performance(values={("left_knee", "entry"): 300.0})
    told = advice(learner, confidence=0.1)
    assert told.instructions == []
    assert told.silence == [
        "Nothing is said: nothing in learner is like standard (confidence 0.10)."
    ]


def test_silence_names_the_reason_and_the_clip() -> None:
    def reasons(learner: Performance, standard: Performance | None = None) -> str:
        return " ".join(advice(learner, standard).silence)

    plain = performance()
    for gone in ("takeoff", "landing"):
        events = {name: event for name, event in plain.events.items() if name != gone}
        word = "take-off" if gone == "takeoff" else gone
        assert f"the {word} is not known in learner" in reasons(replace(plain, events=events))
        other = replace(performance("standard"), events=events)
        assert f"the {word} is not known in standard" in reasons(plain, other)
    vague = {**plain.events, "takeoff": Event(40, 0.2, "matched")}
    assert "the take-off is only known to 0.20 s in learner" in reasons(
        replace(plain, events=vague)
    )
    vague = {**plain.events, "entry": Event(30, 0.2, "motion")}
    assert "only known" not in reasons(replace(plain, events=vague))
    key = ("trunk_tilt", "entry")
    for azimuth, told in ((10, "from the front"), (170, "from behind"), (40, "not sure of the")):
        blind = performance(values={key: np.nan}, azimuth=azimuth)
        text = reasons(blind)
        assert "trunk at the deepest bend before the take-off" in text
        assert f"learner shows the skater {told}" in text or (
            azimuth == 40 and f"the detector is {told} joints in learner" in text
        )
    lost = {key: value for key, value in plain.quantities.items() if key != "rise"}
    assert "jump in the flight: it can't be measured in learner" in reasons(
        replace(plain, quantities=lost)
    )


def test_parts_with_one_reason_are_grouped() -> None:
    blind = performance(values={("trunk_tilt", "entry"): np.nan, ("left_knee", "entry"): np.nan})
    assert advice(blind).silence[-1] == (
        "Nothing is said about the left knee at the deepest bend before the take-off and trunk at "
        "the deepest bend before the take-off: the detector is not sure of the joints in learner."
    )


def test_the_hook_of_the_skater_changes_nothing_else() -> None:
    plain, hooked = (
        sample_motion(
            np.random.default_rng(5), jump="axel", lead_in_s=0.7, lead_out_s=1, alter=alter
        )
        for alter in (None, lambda keys, times_s: None)
    )
    np.testing.assert_array_equal(plain.joints_m, hooked.joints_m)
    fault = FAULTS["knee bent"]
    bent, sound = (jumper(4, fault=fault, planted=planted) for planted in (True, False))
    np.testing.assert_array_equal(bent.joints_m[:20], sound.joints_m[:20])
    np.testing.assert_array_equal(bent.phase, sound.phase)
    assert not np.allclose(bent.joints_m[60:66], sound.joints_m[60:66])


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_has_the_stated_sign_and_is_the_largest_change(name: str) -> None:
    fault = FAULTS[name]
    found = change(fault, 2)
    seen = [key for key in fault.names if key in found]
    assert seen
    for key in seen:
        tolerance = (MEASURES[key[0]].places[key[1]] if key[1] else QUANTITIES[key[0]]).tolerance
        assert fault.sign * found[key] > 1.5 * tolerance, (key, found[key])
    mirrored = change(fault, 2, clockwise=True)
    for name_, place in seen:
        other = mirrored[mirror_name(name_) if place else name_, place]
        assert other == pytest.approx(found[name_, place], rel=0.02)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return list(synthetic(["", *FAULTS], range(2), 0.0))


def test_planted_faults_are_told_first_with_the_right_side_and_direction(
    cases: list[Case],
) -> None:
    rows = planted(cases, RULE_LIST)
    seen, first, among, right, _ = np.sum([row[1:] for row in rows], axis=0)
    assert first >= 0.9 * seen
    assert right == among
    for row in rows:
        assert row[1] >= 6, row
        assert row[2] >= 0.5 * row[1], row
    assert quiet(cases, RULE_LIST) >= 0.9


def test_the_camera_in_front_of_the_skater_says_nothing_about_angles(cases: list[Case]) -> None:
    for case in cases:
        if case.name == "knee straight" and case.camera == len(CAMERAS) - 1:
            told = case.advice(RULE_LIST)
            assert not any("knee" in told_.rule for told_ in told.instructions)
            assert any("knee at the deepest bend" in text for text in told.silence)


def test_a_learner_equal_to_the_standard_gets_no_instruction(cases: list[Case]) -> None:
    for case in cases:
        assert not advise(
            case.learner, case.learner, spread([], case.learner), RULE_LIST, 1.0
        ).instructions


def test_equal_input_gives_equal_advice(cases: list[Case]) -> None:
    case = next(case for case in cases if case.name == "knee bent")
    assert case.advice(RULE_LIST) == case.advice(read_rules())


def test_a_standard_that_was_mirrored_gives_the_same_words() -> None:
    fault = FAULTS["knee bent"]
    learner = jumper(3, True, fault)
    seen = see(seen_from(learner.joints_m, 90), 0, [0], "learner")
    coach = [jumper(9, clockwise, variety=0) for clockwise in (False, True)]
    told = []
    for motion, mirrored in zip(coach, (True, False), strict=True):
        clip: Clip = see(seen_from(motion.joints_m, 90), 0, [0], "standard")
        standard = marked(clip, motion.events, mirrored)
        told.append(advice(marked(seen, learner.events), standard).instructions[0])
    assert [one.part for one in told] == ["right knee", "right knee"]
    assert told[0].title == told[1].title


def test_a_tolerance_that_a_coach_edits_is_used() -> None:
    learner = performance(values={("left_knee", "entry"): 300.0})
    standard = performance("standard")
    wide = [msgspec.structs.replace(BY_NAME["knee at the entry"], tolerance=40.0)]
    (told,) = advise(learner, standard, spread([], standard), wide, 1.0).instructions
    assert told.score == pytest.approx(200 / np.sqrt(40**2 + 2 * ERRORS["knee", "entry"].base ** 2))
    assert "40 would be usual" in told.sure
