"""Take-off and landing to a fraction of a frame, from the flight of a body under gravity.

In a flight of T seconds, hips and shoulders follow a parabola that rises g T^2 / 8 above the line
from take-off to landing. The lower ankle leaves the ice with them and comes back to it. Before the
flight the ice accelerates the body upwards, after it the ice stops the body. All flights that could
be in a clip are fitted by least squares, and compared with a body that moves at a constant speed.

A person marks the first frame in the air and the first one on the ice again. On average it is half
a frame after the moment itself. All times here are those of such marks, so that times of marks,
times that a warping path gives, and times of flights can be compared. Marks can still differ from
flights by a convention: those of FS-Jump3D, from the heights of the feet, are two frames inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tcc.clock import Times, rate, resample
from tcc.dtw import WarpingPath, map_frames
from tcc.features import ANKLES, HIPS, SHOULDERS, torso_length

Array = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]

FLIGHT = ("takeoff", "landing")
GRAVITY = 9.81
TORSO_M = 0.47  # torso of FS-Jump3D's skaters: 0.43 to 0.52 m
TICKS_PER_S = 60
FLIGHT_S = (0.2, 0.95)  # shortest and longest flight
SIDE_S = 0.2  # what is fitted before the take-off and after the landing
PUSH_S = 0.15  # for which the ice accelerates the body before the take-off, and after the landing
CONTACT_S = 0.1  # part of SIDE_S that the clip must show
NOISE = (0.03, 0.08)  # of the heights of trunk and ankle, torso lengths
INDEPENDENT_PER_S = 15  # frames a second whose errors do not depend on each other
RISE = 1.05  # ratio of the rise in the picture to g T^2 / 8, with TORSO_M as the scale
RISE_SPREAD = 0.16  # standard deviation of the ratio's logarithm
FIT = 19.0  # log likelihood ratio above which a fit is good
AROUND_S = 0.15  # fits whose times differ by less from the best one belong to one flight
NEAR_S = 0.5  # a flight is near if both of its times are
# Standard deviations: of a mark between people; of a flight against marks and against the heights
# of heels and toes in FS-Jump3D, besides that of the fit.
MARK_S = (0.035, 0.035)
SURE_S = (0.045, 0.05)
# Standard deviations of what marks differ from flights on average: between sets of clips that were
# marked in one way (amateurs by eye: under a frame; FS-Jump3D: two frames), and between the
# recordings of one set.
CONVENTION_S = 0.05
RECORDING_S = 0.025
# Errors that 68 % of the events don't exceed that the path carries over: from one standard as it is
# marked, from one whose marks were checked, and of a vote; see docs/accuracy.md.
MATCH_S = 0.067
CHECKED_S = (0.05, 0.04)
VOTE_S = (0.04, 0.033)
AGREE = 3.0  # times that are farther apart, in standard deviations, do not agree
BLOCK = 4096  # take-offs that are fitted at once


@dataclass(frozen=True, slots=True)
class Flight:
    """A flight: `times_s` (2,) are its take-off and landing, `sure_s` (2,) standard deviations.

    `fit` is the log likelihood ratio of the flight and a body that moves at a constant speed.
    """

    times_s: Floats
    sure_s: Floats
    fit: float


def find_flight(points: Array, times_s: Times, near_s: Array | None = None) -> Flight | None:
    """Return the flight that fits best, None if none fits well; see `find_flights`.

    Args:
        points: (F, 17, 2) px, without gaps.
        times_s: (F,) s.
        near_s: see `choose_flight`.
    """
    return choose_flight(find_flights(points, times_s), near_s)


def choose_flight(flights: list[Flight], near_s: Array | None = None) -> Flight | None:
    """Return the flight that fits best, None if there is none.

    Args:
        flights: of `find_flights`, of one clip.
        near_s: (2,) times of take-off and landing, NaN for one that is not known. Only a flight
            whose times are at most NEAR_S from them is returned.
    """
    for flight in flights:
        if near_s is None or not (np.abs(flight.times_s - near_s) > NEAR_S).any():
            return flight
    return None


def find_flights(points: Array, times_s: Times) -> list[Flight]:
    """Return the flights of a clip that fit well and do not overlap, the best fit first.

    A flight that begins or ends less than CONTACT_S from an end of the clip is left out.

    Its times are the means of the fits around the best one, weighted by their likelihoods.

    Args:
        points: (F, 17, 2) px, without gaps.
        times_s: (F,) s.
    """
    ticks_s = np.arange(times_s[0], times_s[-1] + 1e-6, 1 / TICKS_PER_S)
    score = fits(resample(_heights(points, times_s), times_s, ticks_s))
    takeoffs = np.arange(len(score))[:, None]
    landings = takeoffs + _models().lengths
    flights: list[Flight] = []
    while score.size and (fit := float(score.max())) >= FIT:
        best = np.unravel_index(score.argmax(), score.shape)
        takeoff, landing = takeoffs[best[0], 0], landings[best]
        apart = np.maximum(np.abs(takeoffs - takeoff), np.abs(landings - landing))
        near = np.nonzero(apart <= AROUND_S * TICKS_PER_S)
        around = np.stack([takeoffs[near[0], 0], landings[near]])
        weights = np.exp(score[near] - fit)
        mean = np.average(around, axis=1, weights=weights)
        variance = np.average((around - mean[:, None]) ** 2, axis=1, weights=weights)
        sure_s = np.hypot(np.sqrt(variance) / TICKS_PER_S, SURE_S)
        contact = CONTACT_S * TICKS_PER_S
        if contact <= takeoff and landing < len(score) - contact:
            found_s = times_s[0] + mean / TICKS_PER_S + 0.5 / rate(times_s)
            flights.append(Flight(found_s, sure_s, fit))
        score[(takeoffs < landing) & (landings > takeoff)] = -np.inf
    return flights


def fits(heights: Array) -> Floats:
    """Return how well each take-off and length of a flight fits, as a log likelihood ratio.

    For trunk and ankle, the mean squared residuals of a constant speed and of the flight, each with
    NOISE squared added, have a ratio. Half of its logarithm counts once for every independent
    frame. A rise that differs from g T^2 / 8 by a factor costs what a normal distribution of its
    logarithm says.

    Args:
        heights: (N, 3) px at TICKS_PER_S: of trunk and lower ankle, and the torso's length.

    Returns:
        (N, L), for the take-off at each tick and each length in FLIGHT_S; -inf for a landing after
        the clip.
    """
    models = _models()
    side = round(SIDE_S * TICKS_PER_S)
    num_ticks, width = len(heights), models.inside.shape[0]
    score = np.full((num_ticks, len(models.lengths)), -np.inf)
    if num_ticks <= models.lengths[0]:
        return score
    padding = [(side, width - side), (0, 0)]
    padded = np.pad(heights[:, :2], padding, "reflect", reflect_type="odd")
    padded -= np.median(padded, axis=0)
    frames = models.inside.sum(axis=0)
    for start in range(0, num_ticks, BLOCK):
        torso = heights[start : start + BLOCK, 2, None]
        total = np.zeros((len(torso), len(models.lengths)))
        for signal, noise in enumerate(NOISE):
            part = padded[start : start + len(torso) + width - 1, signal]
            windows = np.ascontiguousarray(sliding_window_view(part, width))
            along = [windows @ basis for basis in models.bases[signal]]
            steady = windows**2 @ models.inside - along[0] ** 2 - along[1] ** 2
            rest = steady - sum(each**2 for each in along[2:])
            steady, rest = (each.clip(0) / frames / torso**2 + noise**2 for each in (steady, rest))
            total += INDEPENDENT_PER_S * frames / TICKS_PER_S / 2 * np.log(steady / rest)
            rise = along[-1] / models.units[signal] / torso
            total -= (np.log(rise.clip(1e-2) / RISE) / RISE_SPREAD) ** 2 / 2
        score[start : start + BLOCK] = total
    score[np.arange(num_ticks)[:, None] + models.lengths >= num_ticks] = -np.inf
    return score


def convention(marks_s: Floats, flights: Sequence[Flight | None]) -> Floats:
    """Return by how much the marks of a set of clips are usually later than flights.

    It is the median of the differences, times the share of its variance that other clips, marked in
    the same way, share: CONVENTION_S squared. The rest is RECORDING_S squared, and the variance of
    a difference over the number of clips.

    Args:
        marks_s: (C, 2) times of the marked frames, NaN for one that is not marked.
        flights: of each clip.

    Returns:
        (2,) s, 0 if no clip tells.
    """
    apart_s = np.array(
        [row - flight.times_s for row, flight in zip(marks_s, flights, strict=True) if flight]
    ).reshape(-1, len(FLIGHT))
    result = np.zeros(len(FLIGHT))
    for event, column in enumerate(apart_s.T):
        known = column[np.isfinite(column)]
        if len(known):
            one = (MARK_S[event] ** 2 + SURE_S[event] ** 2) / len(known)
            share = CONVENTION_S**2 / (CONVENTION_S**2 + RECORDING_S**2 + one)
            result[event] = share * np.median(known)
    return result


def as_marked(flight: Flight | None, convention_s: Floats) -> Flight | None:
    """Return the flight at the times (2,) s at which it would be marked, see `convention`."""
    return flight and replace(flight, times_s=flight.times_s + convention_s)


def settle(marks_s: Floats, flight: Flight | None) -> tuple[Floats, Floats]:
    """Combine the marks of a clip with its own flight.

    An early mark is put later, but keeps a part of what it differs from the flight.

    Args:
        marks_s: (2,) times of the marked frames, NaN for one that is not marked.
        flight: of the same clip.

    Returns:
        (2,) s, times and their standard deviations.
    """
    return refine(marks_s, np.array(MARK_S), flight)


def refine(mapped_s: Floats, sure_s: Floats, flight: Flight | None) -> tuple[Floats, Floats]:
    """Combine times that were carried over to a clip with the clip's own flight.

    The result is their mean, weighted by 1 / variance. A time that differs from the flight by
    more than AGREE standard deviations is returned as it is. In both cases half of the difference
    is added to the uncertainty.

    Args:
        mapped_s: (2,) times of take-off and landing, NaN for one that is not known.
        sure_s: (2,) their standard deviations.
        flight: of the same clip; None changes nothing.

    Returns:
        (2,) s, times and their standard deviations.
    """
    if flight is None:
        return mapped_s, sure_s
    apart_s = flight.times_s - mapped_s
    agrees = np.abs(apart_s) <= AGREE * np.hypot(sure_s, flight.sure_s)
    weight = np.where(agrees, sure_s**2 / (sure_s**2 + flight.sure_s**2), 0.0)
    refined_s = mapped_s + weight * apart_s
    return refined_s, np.hypot(sure_s * np.sqrt(1 - weight), apart_s / 2)


def carry(path: WarpingPath, standard_s: Times, learner_s: Times, at_s: Array | float) -> Floats:
    """Return the times of the learner that match times of the standard.

    Args:
        path: (K, 2) pairs of a standard's and a learner's frame.
        standard_s: (N,) s.
        learner_s: (M,) s.
        at_s: (...) s, times of the standard.

    Returns:
        (...) s, NaN before and after the path.
    """
    mates = map_frames(path, len(standard_s))
    known = ~np.isnan(mates)
    mates_s = np.interp(mates[known], np.arange(len(learner_s)), learner_s)
    found_s = np.interp(at_s, standard_s[known], mates_s, left=np.nan, right=np.nan)
    return np.asarray(found_s, np.float64)


def airborne(flights: Sequence[Flight], times_s: Times) -> NDArray[np.bool_]:
    """Return (F,) whether a clip is in one of its flights at each time (F,) s."""
    spans_s = np.array([flight.times_s for flight in flights]).reshape(-1, 2, 1)
    inside = (times_s >= spans_s[:, 0]) & (times_s < spans_s[:, 1])
    return np.asarray(inside.any(axis=0))


def _heights(points: Array, times_s: Times) -> Floats:
    """Return the heights of trunk and lower ankle and the length of the torso, (F, 3) px."""
    trunk = -points[:, SHOULDERS + HIPS, 1].mean(axis=1)
    ankle = -points[:, ANKLES, 1].max(axis=1)
    return np.stack([trunk, ankle, torso_length(points, rate(times_s))], axis=1).astype(float)


@dataclass(frozen=True, slots=True)
class _Models:
    """The heights in a flight of each length, in windows that begin SIDE_S before the take-off.

    Attributes:
        lengths: (L,) ticks.
        inside: (W, L) 1 from SIDE_S before the flight to SIDE_S after it, else 0.
        bases: of trunk and of ankle, (W, L) vectors that are orthonormal for each length. The first
            two span a constant speed.
        units: (2, L) what the last vector times a rise of 1 torso length is.
    """

    lengths: NDArray[np.int64]
    inside: Floats
    bases: tuple[list[Floats], list[Floats]]
    units: Floats


@lru_cache(maxsize=1)
def _models() -> _Models:
    lengths = np.arange(*(round(span_s * TICKS_PER_S) for span_s in FLIGHT_S))
    side = round(SIDE_S * TICKS_PER_S)
    width = int(lengths[-1]) + 2 * side + 1
    since_s = np.arange(-side, width - side)[:, None] / TICKS_PER_S
    end_s = lengths / TICKS_PER_S
    inside = (since_s <= end_s + SIDE_S + 1e-6).astype(float)

    def force(start_s: Array | float, for_s: Array | float) -> Array:
        """Return the heights (W, L) m of a body that is accelerated by 1 m/s^2 for some time."""
        pushed_s = np.clip(since_s - start_s, 0, for_s)
        return pushed_s**2 / 2 + (since_s - start_s - for_s).clip(0) * for_s

    steady = [inside, since_s * inside]
    in_air_s = since_s.clip(0, end_s)
    acceleration = GRAVITY / TORSO_M
    trunk = [force(-PUSH_S, PUSH_S), force(end_s, PUSH_S), -acceleration * force(0.0, end_s)]
    ankle = [in_air_s / end_s, acceleration * in_air_s * (end_s - in_air_s) / 2]
    bases, units = [], []
    for columns in (trunk, ankle):
        shapes = np.stack([*steady, *(column * inside for column in columns)], axis=-1)
        vectors, factors = np.linalg.qr(shapes.transpose(1, 0, 2))
        bases.append([vectors[..., k].T for k in range(vectors.shape[-1])])
        units.append(factors[:, -1, -1])
    return _Models(lengths, inside, (bases[0], bases[1]), np.stack(units))
