"""The common clock of a motion's clips, against clips whose true place on it is known."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tcc.confidence import Evidence
from tcc.consensus import carry, common_clock
from tcc.dtw import Match
from tcc.search import Placement, locate

Array = NDArray[np.float64]


def true_places(num_clips: int, generator: np.random.Generator) -> list[Array]:
    """Return the phases (F,) in [0, 1] that clips of unlike tempo and cut show."""
    places = []
    for _ in range(num_clips):
        first, last = generator.uniform(0, 0.1), generator.uniform(0.9, 1)
        share = np.linspace(0, 1, int(generator.integers(40, 60)))
        places.append(first + (last - first) * share ** generator.uniform(0.9, 1.1))
    return places


def embed(places: Array, noise: float, generator: np.random.Generator) -> Array:
    """Return embeddings (F, 8) that go with the phase alone, and noise."""
    curve = np.stack([np.sin((k + 1) * places + k) for k in range(8)], axis=1)
    return curve + generator.normal(0, noise, curve.shape)


def clock_of(clock: list[Array]) -> int:
    """Return the clip whose frames are the clock: they stay where they are."""
    return int(np.argmin([np.nanmean(np.abs(p - np.arange(len(p)))) for p in clock]))


@pytest.mark.parametrize("num_clips", [2, 3, 12])
def test_places_are_the_true_ones(num_clips: int) -> None:
    generator = np.random.default_rng(num_clips)
    true = true_places(num_clips, generator)
    views = [(e := embed(places, 0, generator), -e) for places in true]
    clock = common_clock(views, [1.0] * num_clips, np.random.default_rng(0))
    reference = true[clock_of(clock)]
    for places, truth in zip(clock, true, strict=True):
        known = np.isfinite(places)
        assert known.mean() > 0.8
        expected = np.interp(truth, reference, np.arange(len(reference)))
        assert np.abs(places - expected)[known].mean() < 0.5
        assert (np.diff(places[known]) >= 0).all()


def test_median_over_ways_is_nearer_than_one_alignment() -> None:
    generator = np.random.default_rng(0)
    true = true_places(12, generator)
    views = [(e := embed(places, 0.6, generator), e) for places in true]

    def error(chosen: list[int]) -> float:
        clock = common_clock([views[i] for i in chosen], [1.0] * len(chosen), generator)
        reference = true[chosen[clock_of(clock)]]
        errors = [
            np.abs(places - np.interp(true[i], reference, np.arange(len(reference))))
            for i, places in zip(chosen, clock, strict=True)
            if i != chosen[clock_of(clock)]
        ]
        return float(np.nanmean(np.concatenate(errors)))

    pairs = [error([i, i + 1]) for i in range(0, 12, 2)]
    assert error(list(range(12))) < 0.7 * np.mean(pairs)


def test_a_clip_that_turns_the_other_way_is_mirrored() -> None:
    generator = np.random.default_rng(1)
    true = true_places(4, generator)
    views = [(e := embed(places, 0, generator), e[:, ::-1]) for places in true]
    views[2] = views[2][::-1]
    clock = common_clock(views, [1.0, 1.0, -1.0, 1.0], np.random.default_rng(0))
    reference = true[clock_of(clock)]
    expected = np.interp(true[2], reference, np.arange(len(reference)))
    assert np.nanmean(np.abs(clock[2] - expected)) < 0.5


def test_many_clips_are_aligned_with_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tcc.consensus.MAX_PAIRS", 60)
    generator = np.random.default_rng(2)
    true = true_places(12, generator)
    views = [(e := embed(places, 0, generator), e) for places in true]
    seen: list[tuple[Any, Any]] = []

    def note(standard: Any, learner: Any, opposed: bool | None) -> Placement:
        seen.append((id(standard[0]), id(learner)))
        return locate(standard, learner, opposed=opposed)

    monkeypatch.setattr("tcc.consensus.locate", note)
    clock = common_clock(views, [1.0] * 12, np.random.default_rng(0))
    assert len({hub for hub, _ in seen}) == 5
    assert len(set(seen)) == len(seen) == 60
    read: list[int] = []

    class Read(list[Any]):
        def __getitem__(self, index: Any) -> Any:
            read.append(index)
            return super().__getitem__(index)

    again = common_clock(Read(views), [1.0] * 12, np.random.default_rng(0))
    np.testing.assert_array_equal(np.concatenate(again), np.concatenate(clock))
    assert len(read) == 12 + 5
    assert np.mean([np.isfinite(places).mean() for places in clock]) > 0.8


class PlannedAlignments:
    """Stands for `locate`: clips of 20 frames, aligned frame by frame unless a path is replaced.

    `paths` are those of a (hub, clip), and their confidences are in proportion to `confidences`.
    `opposed` collects what was asked.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, num_clips: int) -> None:
        self.paths: dict[tuple[int, int], Any] = {}
        self.confidences: dict[tuple[int, int], float] = {}
        self.opposed: dict[tuple[int, int], bool | None] = {}
        self.embeddings = [(np.full((20, 1), i), np.full((20, 1), -i)) for i in range(num_clips)]
        monkeypatch.setattr("tcc.consensus.locate", self.locate)

    def locate(self, standard: Any, learner: Any, opposed: bool | None) -> Placement:
        pair = int(standard[0][0, 0]), int(learner[0, 0])
        assert [int(side[0, 0]) for side in standard] == [pair[0], -pair[0]]
        self.opposed[pair] = opposed
        path = self.paths.get(pair, np.repeat(np.arange(20)[:, None], 2, axis=1))
        match = Match(0, 20, 0.0, path)
        cost = np.zeros((20, 20))
        evidence = Evidence(1, 0, 0, 0, complete=self.confidences.get(pair, 0.5))
        frames = np.arange(20)
        return Placement([match], [evidence], cost, False, (frames, frames), "dtw", True)

    def clock(self, turns: list[float] | None = None) -> list[Array]:
        """Return the common clock of the clips."""
        turns = turns or [0.0] * len(self.embeddings)
        return common_clock(self.embeddings, turns, np.random.default_rng(0))


def shifted(frames: int) -> Any:
    """Return the path of a learner who does everything some frames later."""
    return np.stack([np.arange(20 - frames), np.arange(frames, 20)], axis=1)


def test_one_wrong_alignment_of_five_moves_no_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = PlannedAlignments(monkeypatch, 5)
    planned.confidences[0, 1] = 0.6  # clip 0 is the clock
    planned.paths[2, 3] = shifted(8)
    np.testing.assert_array_equal(planned.clock(), np.tile(np.arange(20), (5, 1)))


@pytest.mark.parametrize(("missing", "known"), [(1, True), (2, True), (3, False)])
def test_a_frame_is_placed_where_half_of_the_hubs_place_it(
    monkeypatch: pytest.MonkeyPatch, missing: int, known: bool
) -> None:
    planned = PlannedAlignments(monkeypatch, 4)
    planned.confidences[0, 1] = 0.6
    for hub in range(1, 1 + missing):
        planned.paths[hub, 3] = shifted(0)[5:]
    place = planned.clock()[3]
    np.testing.assert_array_equal(place[5:], np.arange(5, 20))
    np.testing.assert_array_equal(np.isfinite(place[:5]), known)


def test_the_clock_is_the_hub_that_all_clips_together_match_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planned = PlannedAlignments(monkeypatch, 4)
    for hub, clip in itertools.product(range(4), range(4)):
        late = 2 * (clip - hub)  # clip k does everything 2 k frames later than clip 0
        planned.paths[hub, clip] = shifted(late) if late >= 0 else shifted(-late)[:, ::-1]
    planned.confidences = {(2, clip): 0.7 for clip in range(4)}
    planned.confidences |= {(0, 0): 0.9, (1, 3): 0.9, (3, 3): 0.9}
    for clip, place in enumerate(planned.clock()):
        shift = (np.arange(20) - place)[np.isfinite(place)]
        np.testing.assert_array_equal(shift, 2 * (clip - 2))


def test_known_turns_decide_whether_a_clip_is_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = PlannedAlignments(monkeypatch, 3)
    planned.clock([2.0, -2.0, 0.0])
    assert planned.opposed[0, 1] is planned.opposed[1, 0] is True
    assert planned.opposed[0, 0] is planned.opposed[1, 1] is False
    assert planned.opposed[0, 2] is planned.opposed[2, 2] is None


def test_carry_reads_between_frames_and_nothing_outside() -> None:
    mapped = np.array([np.nan, 10.0, 12.0, 16.0, np.nan])
    carried = carry(np.array([0.5, 1.0, 2.5, 3.0, 3.5, np.nan]), mapped)
    np.testing.assert_array_equal(carried, [np.nan, 10.0, 14.0, 16.0, np.nan, np.nan])
