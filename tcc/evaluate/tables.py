"""The tables that tcc_evaluate.py and tcc_get_kendalls_tau.py print."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from tcc.evaluate.intervals import WITHIN_FRAMES


def print_results(content: Mapping[str, Any], names: Sequence[str]) -> None:
    """Print a table for each event and each time between events, and one for each other score.

    Args:
        content: what goes into the JSON.
        names: of the events.
    """
    seeds = len(content["seeds"])
    roles = [
        f"{role} {content[role]['folder']}, {len(content[role]['clips'])} clips"
        for role in ("standards", "learners")
    ]
    print("; ".join([*roles, f"{content['pairs']} pairs", *([f"{seeds} seeds"] if seeds else [])]))
    for event, methods in content["errors"].items():
        between = event not in names and " to " in event
        head = [f"{event}: error, {'share of the time' if between else 'frames'}"]
        if between:
            head += ["mean", "95 %", "median", "signed", "missed"]
        else:
            head += [
                "median",
                "ms",
                "mean",
                "ms",
                "signed",
                *(f"within {k}" for k in WITHIN_FRAMES),
            ]
            head += ["within 3, 95 %", "missed"]
        rows = [head]
        for method, values in methods.items():
            if between:
                row = [number(values["mean"]), interval(values["mean_interval"])]
                row += [number(values["median"]), number(values["signed"])]
            else:
                row = [number(values["median"], 1), number(values["median_ms"], 0)]
                row += [number(values["mean"], 1), number(values["mean_ms"], 0)]
                row += [number(values["signed"], 1)]
                row += [number(values[f"within_{k}"]) for k in WITHIN_FRAMES]
                spread = f"sd {values['within_3_spread']:.2f} " if seeds > 1 else ""
                row += [spread + interval(values["within_3_interval"])]
            rows.append([method, *row, f"{values['missed']} of {values['pairs']}"])
        print_table(rows)
    for group in ("embeddings", "leak_tests", "calibration"):
        columns = list(dict.fromkeys(key for values in content[group].values() for key in values))
        rows = [[group.replace("_", " "), *(column.replace("_", " ") for column in columns)]]
        for name, values in content[group].items():
            rows.append([name, *(number(values.get(column, math.nan)) for column in columns)])
        print_table(rows)
    print()


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print an empty line and a table; the first row is its head, the first column aligned left."""
    align = ("left", *["right"] * (len(rows[0]) - 1))
    print()
    print(tabulate(rows, tablefmt="plain", colalign=align, disable_numparse=True))


def number(value: float, digits: int = 2) -> str:
    """Format a number; NaN becomes -."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def interval(bounds: Sequence[float]) -> str:
    """Format a confidence interval."""
    return f"[{number(bounds[0])}, {number(bounds[1])}]"
