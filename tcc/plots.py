"""Plots of results, drawn by Matplotlib without a window."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tcc.dtw import Match
from tcc.files import whole

Array = NDArray[np.floating[Any]]
NAME = 30  # longest name of a clip beside a plot, in characters


def plot_start(path: Path, cost: Array, curve: Array, matches: Sequence[Match], title: str) -> None:
    """Plot the cost of every start frame, and the warping paths on the cost matrix.

    Args:
        path: file to write.
        cost: (N, M) standard by learner.
        curve: (M,) cost of the cheapest match that starts at each learner's frame, NaN if none.
        matches: the matches found, best first.
        title: of the plot.
    """
    figure = _figure(9, 7)
    top, bottom = figure.subplots(2, 1, height_ratios=[1, 2], sharex=True)
    starts = np.flatnonzero(np.isfinite(curve))
    top.plot(starts, curve[starts], color="0.4", marker=".", markersize=3, linewidth=1)
    if not len(starts):
        top.set(yticks=[])
        note = "no costs: only a part of the standard is matched"
        top.text(0.5, 0.5, note, transform=top.transAxes, ha="center", va="center")
    for rank, match in enumerate(matches, 1):
        color = "C1" if rank == 1 else "C0"
        top.axvline(match.start_frame, color=color, linewidth=2 if rank == 1 else 1)
        label = f"start {match.start_frame}" if rank == 1 else f"{rank}. {match.start_frame}"
        top.annotate(
            label, (match.start_frame, 1), xycoords=("data", "axes fraction"), xytext=(3, -10),
            textcoords="offset points", color=color, fontsize=8,
        )  # fmt: skip
        bottom.plot(
            match.path[:, 1], match.path[:, 0], color=color, linewidth=3 if rank == 1 else 1
        )
    top.set(ylabel="cost of a start at this frame", title=_literal(title))
    image = bottom.imshow(cost, aspect="auto", origin="lower", cmap="Greys")
    bottom.set(xlabel="learner's frame", ylabel="standard's frame")
    figure.colorbar(image, ax=[top, bottom], label="distance of embeddings")
    _save(figure, path)


def plot_tsne(
    path: Path, points: Array, videos: Sequence[str], frames: NDArray[np.int64], title: str
) -> None:
    """Plot t-SNE points (P, 2), one colour and line per video, with some frame numbers.

    Args:
        path: file to write.
        points: (P, 2).
        videos: name of the video of each point.
        frames: (P,) frame of each point.
        title: of the plot.
    """
    figure = _figure(9, 7)
    axes = figure.subplots()
    names = list(dict.fromkeys(videos))
    palette = colormaps["tab10" if len(names) <= 10 else "tab20"]
    for index, name in enumerate(names):
        rows = np.flatnonzero(np.asarray(videos) == name)
        color = palette(index % palette.N)
        axes.plot(*points[rows].T, color=color, linewidth=0.8, alpha=0.6, marker=".")
        for row in rows[:: max(1, len(rows) // 12)]:
            axes.annotate(str(frames[row]), points[row], color=color, fontsize=8)
    axes.set(title=_literal(title), xlabel="t-SNE 1", ylabel="t-SNE 2")
    # Lines and labels are given, because a legend leaves out the labels of lines that start with _.
    axes.legend(
        axes.lines,
        [_literal(name, NAME) for name in names],
        loc="center left",
        bbox_to_anchor=(1, 0.5),
        frameon=False,
    )
    _save(figure, path)


def plot_tau(path: Path, matrix: Array, names: Sequence[str], title: str) -> None:
    """Plot Kendall's tau (V, V) of every pair; the values are written if there is room for them.

    Args:
        path: file to write.
        matrix: (V, V) query by reference, NaN where tau is undefined.
        names: of the V videos.
        title: of the plot.
    """
    size = min(max(5.0, 0.4 * len(names) + 2), 16)
    figure = _figure(size + 1, size)
    axes = figure.subplots()
    axes.set_facecolor("0.9")
    image = axes.imshow(np.ma.masked_invalid(matrix), cmap="PuOr", vmin=-1, vmax=1)
    all_named = len(names) <= 60
    ticks = np.arange(len(names)) if all_named else np.arange(0, len(names), len(names) // 30)
    labels = [_literal(names[int(tick)], NAME) for tick in ticks]
    axes.set_xticks(ticks, labels, rotation=90, fontsize=7)
    axes.set_yticks(ticks, labels, fontsize=7)
    if len(names) <= 16:
        for row, column in np.argwhere(np.isfinite(matrix)):
            value = matrix[row, column]
            ink = "white" if abs(value) > 0.7 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color=ink)
    axes.set(title=_literal(title), xlabel="reference", ylabel="query")
    figure.colorbar(image, ax=axes, label="Kendall's tau (grey: undefined)")
    _save(figure, path)


def plot_error_distribution(
    path: Path, errors: Mapping[str, Array], event: str, limit_frames: int = 20
) -> None:
    """Plot the share of errors that are at most k frames, one line per method.

    Args:
        path: file to write.
        errors: (P,) frames of each method; NaN for no pair, infinite for an event that wasn't
            found. The line of a method named "<method>, voting" is dashed.
        event: for the title.
        limit_frames: largest k.
    """
    figure = _figure(9, 5)
    axes = figure.subplots()
    within = np.arange(limit_frames + 1)
    colors: dict[str, str] = {}
    for name, values in errors.items():
        method, _, voting = name.partition(", ")
        color = colors.setdefault(method, f"C{len(colors)}")
        sizes = np.abs(values[~np.isnan(values)])
        share = (
            (sizes <= within[:, None]).mean(axis=1) if len(sizes) else np.full(len(within), np.nan)
        )
        axes.plot(within, share, "--" if voting else "-", color=color, label=name)
    axes.set(
        title=_literal(f"{event}: how often the error is at most k frames"), xlabel="k, frames",
        ylabel="share of pairs (voting: of learners)", ylim=(0, 1.02), xlim=(0, limit_frames),
        xticks=within[:: max(1, limit_frames // 10)],
    )  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    _save(figure, path)


def _literal(text: str, length: int = 100) -> str:
    """Cut a text to `length`, and escape dollar signs: Matplotlib reads a formula between them."""
    cut = text if len(text) <= length else f"{text[: length - 1]}…"
    return cut.replace("$", r"\$")


def _figure(width_inches: float, height_inches: float) -> Figure:
    figure = Figure((width_inches, height_inches), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> None:
    with whole(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing")  # a box is drawn instead
        figure.savefig(temporary, dpi=120)
