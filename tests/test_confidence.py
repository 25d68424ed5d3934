"""The confidence of a match: its evidence, by known answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tcc import confidence as trust
from tcc.confidence import (
    ALIKE,
    CONFIDENT,
    Evidence,
    certainty,
    describe_confidence,
    expected_cost,
    flights_agree,
    forced_share,
    gains,
    least_ticks,
    share_right,
    weigh,
)
from tcc.dtw import accumulate_common, cost_matrix, search, sum_along
from tcc.search import locate
from tests.test_dtw import walk

DIAGONAL = np.repeat(np.arange(4)[:, None], 2, axis=1)


@pytest.mark.parametrize(
    ("confidence", "state", "text"),
    [
        (1.0, "sure", "confidence 1.00"),
        (CONFIDENT, "sure", "confidence 0.70"),
        (CONFIDENT - 0.01, "unsure", "unsure, confidence 0.69"),
        (ALIKE, "unsure", "unsure, confidence 0.15"),
        (ALIKE - 0.01, "not found", "not found, confidence 0.14"),
        (0.0, "not found", "not found, confidence 0.00"),
    ],
)
def test_confidence_is_told_in_words(confidence: float, state: str, text: str) -> None:
    assert certainty(confidence) == state
    assert describe_confidence(confidence) == text


def test_expected_cost_is_the_mean_of_row_and_column() -> None:
    cost = np.array([[1.0, 3.0], [5.0, 11.0]])
    np.testing.assert_allclose(expected_cost(cost), [[2.5, 4.5], [5.5, 7.5]])
    np.testing.assert_allclose(gains(cost), (trust.EXPECTED * expected_cost(cost) - cost) / 5)


def test_alike_weighs_each_pair_by_its_expected_cost() -> None:
    cost = np.random.default_rng(0).random((4, 4))
    spent, usual = np.diagonal(cost), np.diagonal(expected_cost(cost))
    expected = 1 - (spent / usual * usual**2).sum() / (usual**2).sum()
    assert weigh([DIAGONAL], cost)[0].alike == pytest.approx(expected)
    assert weigh([DIAGONAL], 1 - np.eye(4))[0].alike == pytest.approx(1)


def test_chance_is_the_gain_of_the_learner_run_backwards_over_that_of_the_path() -> None:
    standard = walk(1, 30)
    learner = np.concatenate([walk(2, 20), standard, walk(3, 20)])
    cost = cost_matrix(standard, learner)
    path = search(cost)[0].path
    gain = gains(cost)
    expected = accumulate_common(gain[:, ::-1])[0].max() / sum_along(path, gain)
    assert weigh([path], cost)[0].chance == pytest.approx(expected)
    assert expected < 0.7
    there_and_back = np.concatenate([standard, standard[::-1]])
    again = cost_matrix(there_and_back, there_and_back)
    whole = np.repeat(np.arange(60)[:, None], 2, axis=1)
    assert weigh([whole], again)[0].chance == pytest.approx(1)
    assert weigh([path], np.ones_like(cost))[0].chance == 0


def test_forced_counts_three_and_more_equal_sloped_steps() -> None:
    steps = [(1, 1), (1, 2), (1, 2), (1, 2), (1, 2), (1, 1), (2, 1), (2, 1), (1, 1), (1, 1)]
    path = np.cumsum([(0, 0), *steps], axis=0)
    assert forced_share(path) == pytest.approx(4 / 10)
    assert forced_share(path[:2]) == 0
    assert forced_share(DIAGONAL) == 0


def test_share_right_is_a_logistic_regression_of_every_part() -> None:
    values = {"alike": 0.8, "chance": 0.4, "forced": 0.2, "flight": 0.5}
    evidence = Evidence(**values, complete=0.75)
    assert set(trust.WEIGHTS) == set(values)
    expected = trust.INTERCEPT + sum(trust.WEIGHTS[name] * values[name] for name in values)
    assert share_right(evidence) == pytest.approx(0.75 / (1 + np.exp(-expected)))
    for name, value in (("alike", 0.9), ("chance", 0.3), ("forced", 0.1), ("flight", 0.6)):
        assert share_right(replace(evidence, **{name: value})) > share_right(evidence)


def test_flights_agree_where_both_are_in_the_air() -> None:
    path = np.stack([np.arange(10), np.arange(10) + 5], axis=1)
    standard, learner = np.zeros(10, np.bool_), np.zeros(20, np.bool_)
    assert flights_agree(path, standard, learner) == 0
    standard[4:8] = True
    assert flights_agree(path, standard, learner) == -1
    learner[9:13] = True
    assert flights_agree(path, standard, learner) == 1
    learner[13:17] = True  # the path ends at 14: 4 of 6 pairs
    assert flights_agree(path, standard, learner) == pytest.approx(2 * 4 / 6 - 1)
    assert flights_agree(path[:3], standard, learner) == 0  # the part shows no flight
    cost = np.random.default_rng(0).random((10, 20))
    assert weigh([path], cost, (standard, learner))[0].flight == pytest.approx(1 / 3)
    assert weigh([path], cost)[0].flight == 0


def test_complete_is_the_matched_part_of_the_least_that_shows_the_motion() -> None:
    assert (least_ticks(20), least_ticks(100)) == (14, 30)
    cost = np.random.default_rng(0).random((20, 30))
    for num_rows, complete in ((7, 0.5), (14, 1), (20, 1)):
        path = np.repeat(np.arange(num_rows)[:, None], 2, axis=1)
        assert weigh([path], cost)[0].complete == pytest.approx(complete)


def test_a_copy_is_sure_two_copies_too_and_anything_else_is_not() -> None:
    standard, filler = walk(13, 30), walk(14, 25)
    once = locate([standard], np.concatenate([filler, standard, filler]))
    twice = locate([standard], np.concatenate([standard, filler, standard]))
    assert once.confidence > CONFIDENT
    assert min(twice.confidences[:2]) > CONFIDENT
    assert locate([standard], walk(15, 60)).confidence < CONFIDENT


def test_equal_frames_give_no_confidence() -> None:
    assert share_right(weigh([DIAGONAL], np.zeros((4, 9)))[0]) == 0
