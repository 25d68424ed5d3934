"""Compare the events and air times of tcc/report/events.py with those that people marked.

    python3 -m benchmarks.events
    python3 -m benchmarks.events --report "take-off from the flight"

Reads skate/ and skate_full/ of the folder that TCC_REAL_DATA names (default ../shared/data). Every
clip of skate/train, with its marks, is the standard of every uncut clip of skate_full/val whose
name begins with d; with --report, of the others, on which nothing was chosen. The generic encoder
matches them. Prints how far take-off, landing and air time are from the marks, in frames, if they
come from the path, from the learner's own motion, or from both; and how often the error is within
one and within two of the stated uncertainties. In the rows "voting", the better half of the
standards, by the cost of the match, gives the median time of the path.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate

from benchmarks.protocol import record_look
from tcc import cli
from tcc.clips import Clip
from tcc.clock import Times, nearest
from tcc.evaluate.labels import read_labels
from tcc.flight import FLIGHT, Flight, as_marked, choose_flight, convention
from tcc.report.events import (
    Event,
    carry_over,
    combine,
    mark,
    settle_marks,
    tempo,
    times_of,
)
from tcc_config import Config
from tcc_data import clip_flights, load_clip
from tcc_model import GENERIC, load_encoder
from tcc_pair import find_start

ROOT = Path(__file__).resolve().parents[1]
WITHIN = (1, 3, 5)  # frames


def main() -> None:
    """Match all pairs and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--report", metavar="REASON", help="score the clips that are kept apart")
    args = parser.parse_args()
    if args.report:
        record_look("benchmarks.events", args.report)
    source = Path(os.environ.get("TCC_REAL_DATA", ROOT / "../shared/data"))
    config = Config()
    encoder, settings, _ = load_encoder(GENERIC, source, config, torch.device("cpu"))
    standards = [
        Standard.of(clip, frames, settings)
        for clip, frames in read_clips(source, "skate", "train", config)
    ]
    together_s = convention(
        np.array([times_of(standard.marked, standard.clip.times_s) for standard in standards]),
        [standard.flight for standard in standards],
    )
    errors = defaultdict(list)
    for learner, true in read_clips(source, "skate_full", "val", config):
        if learner.name.startswith("d") == bool(args.report):
            continue
        times_s = learner.times_s
        flights = clip_flights(learner, settings)
        matches, found = [], []
        for standard in standards:
            path = find_start(encoder, learner, standard.clip, "dtw", settings).matches[0]
            settled = standard.settle(standard.convention_s)
            matched = carry_over(settled, path.path, standard.clip.times_s, times_s)
            found.append(("path", matched))
            found.append(("both", both(matched, flights, standard.convention_s, times_s)))
            settled = standard.settle(together_s)
            matched = carry_over(settled, path.path, standard.clip.times_s, times_s)
            matches.append((path.cost, matched))
        voted = vote(matches, times_s)
        found.append(("path, voting", voted))
        found.append(("both, voting", both(voted, flights, together_s, times_s)))
        found.append(("motion", both({}, flights, np.zeros(len(FLIGHT)), times_s)))
        for origin, events in found:
            for name, error in errors_of(events, mark(true, times_s), times_s).items():
                errors[name, origin].append(np.multiply(error, learner.fps))
    rows = []
    for (name, origin), results in errors.items():
        whole, wrong, sure = np.abs(results).T
        shares = [(whole <= frames + 1e-6).mean() for frames in WITHIN]
        shares += [(wrong <= times * sure).mean() for times in (1, 2)]
        rows.append(
            [name, origin, len(wrong), f"{wrong.mean():.2f}", *(f"{share:.2f}" for share in shares)]
        )
    header = ["what", "from", "results", "mean error", *(f"within {k}" for k in WITHIN)]
    header += ["within 1 uncertainty", "within 2"]
    print(tabulate(sorted(rows, key=lambda row: str(row[:2])), header, "github"))


@dataclass(frozen=True, slots=True)
class Standard:
    """A clip with its marked events, its flight near them, and their convention (2,) s."""

    clip: Clip
    marked: dict[str, Event]
    flight: Flight | None
    convention_s: Times

    @classmethod
    def of(cls, clip: Clip, frames: dict[str, int], settings: Config) -> Standard:
        """Find the flight of a clip with marked frames."""
        marked = mark(frames, clip.times_s)
        marks_s = times_of(marked, clip.times_s)
        flight = choose_flight(clip_flights(clip, settings), marks_s)
        return cls(clip, marked, flight, convention(marks_s[None], [flight]))

    def settle(self, convention_s: Times) -> dict[str, Event]:
        """Return the marks, settled by the flight."""
        return settle_marks(self.marked, as_marked(self.flight, convention_s), self.clip.times_s)


def both(
    matched: dict[str, Event], flights: list[Flight], convention_s: Times, times_s: Times
) -> dict[str, Event]:
    """Return matched events and those of the flight near them, combined."""
    flight = choose_flight(flights, times_of(matched, times_s))
    return combine(matched, as_marked(flight, convention_s), times_s)


def errors_of(
    found: dict[str, Event], true: dict[str, Event], times_s: Times
) -> dict[str, tuple[float, float, float]]:
    """Return the errors of events and air time, s: in whole frames, exact, and the stated one."""
    errors = {}
    for name in true.keys() & found.keys():
        event, marked_s = found[name], times_s[true[name].frame]
        whole_s = times_s[event.frame] - marked_s
        errors[name] = (whole_s, event.at_s(times_s) - marked_s, event.uncertainty_s)
    if "flight" in (spans := tempo(found, times_s)):
        flight, true_s = spans["flight"], tempo(true, times_s)["flight"].value
        whole_s = times_s[found["landing"].frame] - times_s[found["takeoff"].frame]
        errors["air time"] = (whole_s - true_s, flight.value - true_s, flight.uncertainty)
    return errors


def vote(matches: list[tuple[float, dict[str, Event]]], times_s: Times) -> dict[str, Event]:
    """Return the median of each event over the better half of the matches, by their costs."""
    voted = {}
    for name in FLIGHT:
        found = sorted((cost, k) for k, (cost, events) in enumerate(matches) if name in events)
        best = [matches[k][1][name] for _, k in found[: (len(found) + 1) // 2]]
        if best:
            time_s = float(np.median([event.at_s(times_s) for event in best]))
            frame = int(nearest(times_s, np.array([time_s]))[0])
            sure_s = float(np.median([event.uncertainty_s for event in best]))
            voted[name] = Event(frame, sure_s, "matched", time_s)
    return voted


def read_clips(
    source: Path, motion: str, mode: str, config: Config
) -> list[tuple[Clip, dict[str, int]]]:
    """Return the marked clips of a motion and their events."""
    return [
        (load_clip(source / motion / mode / video, config), events)
        for (row_mode, video), events in read_labels(source, motion).items()
        if row_mode == mode
    ]


if __name__ == "__main__":
    cli.run(main)
