"""Compare the measures of tcc/report/ with 3D markers, by the azimuth of the camera.

    python3 benchmarks/measures.py
    python3 benchmarks/measures.py --cameras 1 --jumps 20

Reads fs_jump3d/ of the folder that TCC_REAL_DATA names (default ../shared/data). Random cameras
film each jump at 30 frames a second, and a simulated detector finds the joints, as in
benchmarks/real_data.py. Prints three tables of medians; docs/measures.md explains them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.real_data import FS_FPS, fs_events, joints_3d, load  # noqa: E402
from tcc import cli  # noqa: E402
from tcc.features import HIPS, SHOULDERS, fill_joints, torso_length  # noqa: E402
from tcc.flight import find_flight  # noqa: E402
from tcc.report import events as jump_events  # noqa: E402
from tcc.report import measures as jump_measures  # noqa: E402
from tcc.report.events import BEND_S, Event, complete  # noqa: E402
from tcc.report.measures import AT_S, MEASURES, Curve, at_places  # noqa: E402
from tcc.synthetic.camera import NOISE, detect, sample_camera  # noqa: E402
from tcc_config import Config  # noqa: E402

Array = NDArray[np.float64]

STEP = 2  # every second frame of the markers: 30 a second
FPS = FS_FPS / STEP
THRESHOLD = Config().SKELETON_CONF_THRESHOLD
PLACES = ("entry", "takeoff", "flight", "landing", "exit")
SAGITTAL = ("trunk_tilt", "axis_tilt")  # in 3D, these are tilts forwards or backwards
BIN, BINS = 30, 6  # degrees, number
ARMS, TURN = "arms closed after take-off, s", "fastest turn, share of the flight"
AIR, RISE = "height from the marked air time, m", "height from the rise of the hips, m"


@dataclass(frozen=True, slots=True)
class View:
    """What the markers, or the pictures of one camera, say about a jump.

    `curves` are those of MEASURES, `azimuth` (F,) is the true one of the camera, and `others` are
    the quantities of the third table.
    """

    curves: dict[str, Curve]
    azimuth: Array
    events: dict[str, Event]
    others: dict[str, float]


@dataclass(frozen=True, slots=True)
class Jump:
    """One jump, as the markers and several cameras see it."""

    skater: str
    kind: str
    times_s: Array
    truth: View
    seen: list[View]

    def frames(self, place: str) -> NDArray[np.int64]:
        """Return the frames at an event or in a phase."""
        if place in self.truth.events:
            at_s = self.times_s[self.truth.events[place].frame]
            return np.flatnonzero(np.abs(self.times_s - at_s) <= AT_S + 1e-9)
        return np.arange(*jump_events.phases(self.truth.events, self.times_s)[place])

    def true_values(self, name: str) -> dict[str, float]:
        """Return a measure in 3D at each of its places."""
        curve, events = self.truth.curves[name], self.truth.events
        values = at_places(curve, MEASURES[name], events, self.times_s)
        return {place: value.value for place, value in values.items()}


def main() -> None:
    """Film all jumps and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cameras", type=int, default=8, metavar="N", help="cameras for a jump (%(default)s)"
    )
    parser.add_argument("--jumps", type=int, metavar="N", help="number of jumps (default: all)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(default: %(default)s)")
    args = parser.parse_args()
    source = Path(os.environ.get("TCC_REAL_DATA", ROOT / "../shared/data"))
    jumps = list(read_jumps(source, args.cameras, args.seed, args.jumps))
    chosen = [jump for jump in jumps if jump.skater in "AB"]
    tested = [jump for jump in jumps if jump.skater == "C"]
    for title, rows in (
        ("Skaters A and B, by the azimuth of the camera", by_azimuth(chosen)),
        ("Skater C, as offered", as_offered(tested, chosen)),
        ("Times and heights", times_and_heights(chosen, tested)),
    ):
        print(f"{title}\n\n{tabulate(rows[1:], rows[0], 'github', disable_numparse=True)}\n")


def read_jumps(source: Path, cameras: int, seed: int, limit: int | None) -> Iterator[Jump]:
    """Yield the jumps whose events are plausible; about `limit` of them if it is given."""
    markers, events = load(source / "fs_jump3d/markers_60hz_mm.npz"), fs_events(source)
    names = [name for name, event in events.items() if event["plausible"]]
    for name in names[:: max(1, len(names) // limit) if limit else 1]:
        joints, first = joints_3d(markers[name], markers["joint_names"].tolist())
        marks = {key: -(-(events[name][key] - first) // STEP) for key in ("takeoff", "landing")}
        if marks["takeoff"] < BEND_S[1] * FPS:
            continue  # the skater came into the measured volume too late
        joints = joints[::STEP]
        skater, kind, _ = name.split("/")
        seeds = ([seed, camera, *name.encode()] for camera in range(cameras))
        seen = [film(joints, marks, np.random.default_rng(numbers)) for numbers in seeds]
        times_s = np.arange(len(joints)) / FPS
        yield Jump(skater[-1], kind, times_s, measure_markers(joints, marks), seen)


def measure_markers(joints_m: Array, marks: Mapping[str, int]) -> View:
    """Return what the markers say about a jump."""
    times_s = np.arange(len(joints_m)) / FPS
    hips_m = joints_m[:, HIPS].mean(axis=1)
    body = (joints_m - hips_m[:, None]) / torso_length(joints_m, FPS)[:, None, None]
    ahead = facing(joints_m)
    side = np.stack([(body[..., :2] * ahead[:, None]).sum(axis=-1), body[..., 2]], axis=-1)
    curves = {}
    for name, measure in MEASURES.items():
        raw = measure.function(side if name in SAGITTAL else body)
        curves[name] = from_all_sides(raw)
    # Heights do not depend on the direction from which a body is seen.
    events = complete(jump_events.mark(marks, times_s), joints_m[..., [0, 2]] * [1, -1], times_s)
    takeoff, landing = marks["takeoff"], marks["landing"]
    speed = np.abs(np.gradient(np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))))[takeoff:landing]
    rise_m = float(hips_m[takeoff:landing, 2].max() - hips_m[takeoff, 2])
    others = {
        **distances_s(events, times_s),
        "take-off from the motion, s": 0.0,
        "landing from the motion, s": 0.0,
        ARMS: closing_s(curves, events, times_s),
        TURN: float(speed.argmax()) / (landing - takeoff),
        AIR: rise_m,
        RISE: rise_m,
    }
    return View(curves, np.zeros(len(joints_m)), events, others)


def film(joints_m: Array, marks: Mapping[str, int], generator: np.random.Generator) -> View:
    """Return what is seen in the pictures of a random camera."""
    times_s = np.arange(len(joints_m)) / FPS
    camera = sample_camera(generator, joints_m, FPS)
    noise = generator.uniform(*NOISE)
    keypoints = detect(generator, camera.project(joints_m), FPS, noise)
    points = fill_joints(keypoints, THRESHOLD)
    towards = (camera.position_m - joints_m[:, HIPS].mean(axis=1))[:, :2]
    cosine = (towards * facing(joints_m)).sum(axis=-1) / np.linalg.norm(towards, axis=-1)
    events = complete(jump_events.mark(marks, times_s), points, times_s)
    curves = jump_measures.curves(keypoints, times_s, THRESHOLD)
    flight = jump_events.flight_events(find_flight(points, times_s), times_s)
    rise = jump_events.rise_of_hips(events, points, times_s)
    turn = jump_measures.fastest_turn(points, events, times_s)
    others = {
        **distances_s(events, times_s),
        **{
            f"{told} from the motion, s": flight[name].at_s(times_s) - times_s[marks[name]]
            for name, told in (("takeoff", "take-off"), ("landing", "landing"))
            if name in flight
        },
        ARMS: closing_s(curves, events, times_s),
        TURN: np.nan if turn is None else turn,
        AIR: jump_events.height_from_air_time(jump_events.tempo(events, times_s)["flight"]).value,
        RISE: rise.value if rise else np.nan,
    }
    return View(curves, np.degrees(np.arccos(cosine.clip(-1, 1))), events, others)


def distances_s(events: Mapping[str, Event], times_s: Array) -> dict[str, float]:
    """Return the times between the marked events and those that are found in the motion."""
    at_s = {name: float(times_s[event.frame]) for name, event in events.items()}
    return {
        "entry before take-off, s": at_s["takeoff"] - at_s["entry"],
        "peak after take-off, s": at_s["peak"] - at_s["takeoff"],
        "exit after landing, s": at_s["exit"] - at_s["landing"],
    }


def closing_s(curves: Mapping[str, Curve], events: Mapping[str, Event], times_s: Array) -> float:
    """Return the time in which the arms close, NaN if it is not known."""
    closing = jump_measures.arms_closing(curves, events, times_s)
    return closing.value if closing else float("nan")


def facing(joints_m: Array) -> Array:
    """Return the horizontal direction that hips and shoulders face, (F, 2)."""
    lines = np.stack([joints_m[:, left] - joints_m[:, right] for left, right in (HIPS, SHOULDERS)])
    across = (lines / np.linalg.norm(lines, axis=-1, keepdims=True)).sum(axis=0)
    ahead = np.stack([across[:, 1], -across[:, 0]], axis=-1)
    return np.asarray(ahead / np.linalg.norm(ahead, axis=-1, keepdims=True))


def by_azimuth(jumps: list[Jump]) -> list[list[str]]:
    """Return the first table; * marks an error that is smaller than the difference."""
    spans = [f"{BIN * k} to {BIN * (k + 1)}" for k in range(BINS)]
    rows = [["measure", "at", "skaters", "same", *spans]]
    for names in parts():
        for place in PLACES:
            errors = defaultdict(list)
            truths = []
            for jump in jumps:
                for name in names:
                    frames = jump.frames(place)
                    true = float(np.median(jump.truth.curves[name].raw[frames]))
                    truths.append((jump, name, true))
                    for view in jump.seen:
                        bins = np.minimum(view.azimuth[frames] // BIN, BINS - 1).astype(int)
                        for k in np.unique(bins):
                            value = np.median(view.curves[name].filtered[frames[bins == k]])
                            errors[k].append(float(value) - true)
            apart, same = differences(truths)
            sizes = [size(errors[k]) for k in range(BINS)]
            cells = [f"{value:.3g}{' *' if value < apart else ''}" for value in sizes]
            rows.append([label(names), place, f"{apart:.3g}", f"{same:.3g}", *cells])
    seen = [view for jump in jumps for view in jump.seen]
    bins = np.concatenate([view.azimuth for view in seen]) // BIN
    wrong = np.concatenate(
        [np.abs(view.curves["trunk_tilt"].azimuth - view.azimuth) for view in seen]
    )
    cells = [f"{np.median(wrong[bins == k]):.3g}" for k in range(BINS)]
    rows.append(["azimuth", "all", "", "", *cells])
    return rows


def as_offered(jumps: list[Jump], others: list[Jump]) -> list[list[str]]:
    """Return the second table. Entry and exit are those that are found in the pictures."""
    rows = [["measure", "at", "azimuth", "skaters", "error", "from all sides", "offered"]]
    for names in parts():
        measure = MEASURES[names[0]]
        errors = defaultdict(list)
        for jump in jumps:
            for name in names:
                true = jump.true_values(name)
                for view in jump.seen:
                    curve = view.curves[name]
                    for used in (curve, from_all_sides(curve.filtered)):
                        found = at_places(used, measure, view.events, jump.times_s)
                        for place, value in found.items():
                            errors[place, used is curve].append(value.value - true[place])
        for place, sides in measure.places.items():
            every = [(jump, name, jump.true_values(name)[place])
                     for jump in [*jumps, *others] for name in names]  # fmt: skip
            errors_here = (errors[place, True], errors[place, False])
            numbers = (differences(every)[0], *map(size, errors_here))
            rows.append(
                [label(names), place, f"{sides.low:.0f} to {sides.high:.0f}",
                 *(f"{number:.3g}" for number in numbers),
                 f"{100 * np.isfinite(errors_here[0]).mean():.0f} %"]
            )  # fmt: skip
    return rows


def times_and_heights(chosen: list[Jump], tested: list[Jump]) -> list[list[str]]:
    """Return the third table."""
    rows = [["quantity", "skaters", "same", "error A, B", "error C"]]
    for name in chosen[0].truth.others:
        apart = differences([(jump, "", jump.truth.others[name]) for jump in chosen])
        errors = [
            size(
                [
                    view.others.get(name, np.nan) - jump.truth.others[name]
                    for jump in jumps
                    for view in jump.seen
                ]
            )
            for jumps in (chosen, tested)
        ]
        rows.append([name, *(f"{value:.3g}" for value in (*apart, *errors))])
    return rows


def from_all_sides(values: NDArray[np.floating[Any]]) -> Curve:
    """Return a curve that is valid in every frame."""
    return Curve(values, values, np.ones(len(values), bool), np.full(len(values), 90.0))


def parts() -> list[list[str]]:
    """Return the names of the measures, left and right together."""
    joined = defaultdict(list)
    for name in MEASURES:
        joined[label([name])].append(name)
    return list(joined.values())


def label(names: list[str]) -> str:
    """Return the name of a measure without its side."""
    return names[0].removeprefix("left_").removeprefix("right_")


def differences(values: list[tuple[Jump, str, float]]) -> tuple[float, float]:
    """Return the difference of two jumps of one kind: by different skaters, by the same skater."""
    apart: list[float] = []
    same: list[float] = []
    for (jump, name, value), (other, other_name, other_value) in combinations(values, 2):
        if jump.kind == other.kind and name == other_name:
            (same if jump.skater == other.skater else apart).append(value - other_value)
    return size(apart), size(same)


def size(numbers: list[float]) -> float:
    """Return the median absolute value of the numbers that are known, NaN if there are none."""
    known = np.abs([number for number in numbers if np.isfinite(number)])
    return float(np.median(known)) if len(known) else float("nan")


if __name__ == "__main__":
    cli.run(main)
