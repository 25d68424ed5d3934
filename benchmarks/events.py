"""Compare the events and air times of tcc/report/events.py with those that people marked.

    python3 -m benchmarks.events

Reads skate/ and skate_full/ of the folder that TCC_REAL_DATA names (default ../shared/data). Every
clip of skate/train, with its marks, is the standard of every uncut clip of skate_full/val. The
generic encoder matches them. Prints how far take-off, landing and air time are from the marks, in
frames, if they come from the path, from the learner's own motion, or from both; and how often the
error is within one and within two of the stated uncertainties. In the rows "voting", the better
half of the standards, by the cost of the match, gives the median frame of the path.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate

from tcc import cli
from tcc.clips import Clip
from tcc.evaluate.labels import read_labels
from tcc.features import fill_joints
from tcc.report.events import Event, carry_over, combine, find_flight, mark, tempo
from tcc_config import Config
from tcc_data import load_clip
from tcc_model import GENERIC, load_encoder
from tcc_pair import find_start

ROOT = Path(__file__).resolve().parents[1]
WITHIN = (1, 3, 5)  # frames


def main() -> None:
    """Match all pairs and print the table."""
    source = Path(os.environ.get("TCC_REAL_DATA", ROOT / "../shared/data"))
    config = Config()
    encoder, settings, _ = load_encoder(GENERIC, source, config, torch.device("cpu"))
    standards, learners = (
        read_clips(source, motion, mode, config)
        for motion, mode in (("skate", "train"), ("skate_full", "val"))
    )
    errors = defaultdict(list)
    for learner, true in learners:
        times_s = learner.times_s
        points = fill_joints(learner.keypoints, config.SKELETON_CONF_THRESHOLD)
        motion = find_flight(points, times_s)
        matches = []
        for standard, marks in standards:
            match = find_start(encoder, learner, standard, "dtw", settings).matches[0]
            marked = mark(marks, standard.times_s)
            matched = carry_over(marked, match.path, standard.times_s, times_s)
            matches.append((match.cost, matched))
        voted = vote(matches)
        for origin, found in (
            *(("path", matched) for _, matched in matches),
            *(("both", combine(matched, motion, times_s)) for _, matched in matches),
            ("path, voting", voted),
            ("both, voting", combine(voted, motion, times_s)),
            ("motion", motion),
        ):
            for name, frame in true.items():
                if name in found:
                    wrong_s = times_s[found[name].frame] - times_s[frame]
                    error = (wrong_s * learner.fps, found[name].uncertainty_s * learner.fps)
                    errors[name, origin].append(error)
            if "flight" in (spans := tempo(found, times_s)):
                true_s = times_s[true["landing"]] - times_s[true["takeoff"]]
                flight = spans["flight"]
                error = (flight.value - true_s, flight.uncertainty)
                errors["air time", origin].append(tuple(np.multiply(error, learner.fps)))
    rows = []
    for (name, origin), results in errors.items():
        wrong, sure = np.abs(results).T
        shares = [(wrong <= frames + 1e-6).mean() for frames in WITHIN]
        shares += [(wrong <= times * sure).mean() for times in (1, 2)]
        rows.append(
            [name, origin, len(wrong), f"{wrong.mean():.2f}", *(f"{share:.2f}" for share in shares)]
        )
    header = ["what", "from", "results", "mean error", *(f"within {k}" for k in WITHIN)]
    header += ["within 1 uncertainty", "within 2"]
    print(tabulate(sorted(rows, key=lambda row: str(row[:2])), header, "github"))


def vote(matches: list[tuple[float, dict[str, Event]]]) -> dict[str, Event]:
    """Return the median of each event over the better half of the matches, by their costs."""
    voted = {}
    for name in ("takeoff", "landing"):
        found = sorted((cost, k) for k, (cost, events) in enumerate(matches) if name in events)
        best = [matches[k][1][name] for _, k in found[: (len(found) + 1) // 2]]
        if best:
            frame = int(np.rint(np.median([event.frame for event in best])))
            sure_s = float(np.median([event.uncertainty_s for event in best]))
            voted[name] = Event(frame, sure_s, "matched")
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
