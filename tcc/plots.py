"""Plots of results, drawn by Matplotlib without a window."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from tcc.clips import Clip
from tcc.dtw import Match
from tcc.files import whole

Array = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]
NAME = 30  # longest name of a clip beside a plot, in characters
MAX_NUMBERED = 24  # clips in a matrix with numbers
# Of the best match, the others and a doubtful result. Colour-blind people can distinguish them:
# Okabe and Ito, "Color Universal Design", 2008.
BEST, OTHER, DOUBT = "#D55E00", "#0072B2", "#E69F00"


@dataclass(frozen=True, slots=True)
class Moment:
    """Both skaters at one moment of the motion.

    Attributes:
        name: of the moment.
        pictures: (H, W, 3) BGR of the learner and of the standard; None if not shown.
        labels: what to write below the two pictures.
    """

    name: str
    pictures: Sequence[Image | None]
    labels: Sequence[str]


def plot_start(
    path: Path,
    cost: Array,
    curve: Array,
    matches: Sequence[Match],
    moments: Sequence[Moment],
    learner: Clip,
    standard: Clip,
    title: str,
    is_doubtful: bool,
) -> None:
    """Plot both skaters at key moments, the cost of every start frame, and the warping paths.

    Args:
        path: file to write.
        cost: (N, M) standard by learner.
        curve: (M,) cost of the cheapest match that starts at each learner's frame, NaN if none.
        matches: the matches found, best first.
        moments: to show above the curve.
        learner: M frames.
        standard: N frames.
        title: of the plot.
        is_doubtful: whether the title is orange.
    """
    figure = _figure(12, 14)
    above, below = figure.subfigures(2, 1, squeeze=False)[:, 0]
    ground = {"facecolor": DOUBT if is_doubtful else "white", "edgecolor": "none"}
    above.suptitle(_literal(title), fontsize=15, fontweight="bold", bbox=ground)
    _show_moments(above, moments, (f"learner: {learner.name}", f"standard: {standard.name}"))
    top, bottom = below.subplots(2, 1, height_ratios=[2, 3], sharex=True)
    _show_curve(top, curve, matches, moments[0].name, float(cost.mean()), learner, standard)
    for rank, match in reversed(list(enumerate(matches))):
        bottom.plot(
            learner.first_frame + match.path[:, 1], standard.first_frame + match.path[:, 0],
            color=OTHER if rank else BEST, linewidth=1.5 if rank else 3,
        )  # fmt: skip
    corners = [
        value
        for clip in (learner, standard)
        for value in (clip.first_frame - 0.5, clip.first_frame + clip.num_frames - 0.5)
    ]
    image = bottom.imshow(cost, aspect="auto", origin="lower", cmap="Greys", vmin=0, extent=corners)
    bottom.set(
        title="Thick line: the frames that are most alike. White: alike; dark: different",
        xlabel=_literal(f"frame of {learner.name}"), ylabel=_literal(f"frame of {standard.name}"),
    )  # fmt: skip
    _tell_times(bottom.xaxis, learner, "\n")
    _tell_times(bottom.yaxis, standard, " ")
    below.colorbar(image, ax=bottom, label="difference of the poses")
    _save(figure, path)


def _show_moments(figure: SubFigure, moments: Sequence[Moment], roles: Sequence[str]) -> None:
    """Show one column of pictures for each moment, and one row for each role."""
    axes = figure.subplots(2, len(moments), squeeze=False)
    for column, moment in enumerate(moments):
        for row, (picture, label) in enumerate(zip(moment.pictures, moment.labels, strict=True)):
            place = axes[row, column]
            place.set(xticks=[], yticks=[])
            place.set_xlabel(label, fontsize=9)
            if picture is None:
                place.set_facecolor("0.9")
                place.set_aspect(1)
            else:
                place.imshow(picture[..., ::-1])
            if not row:
                place.set_title(_literal(moment.name), fontsize=12)
            if not column:
                place.set_ylabel(_literal(roles[row], NAME + 10), fontsize=10)


def _show_curve(
    axes: Axes,
    curve: Array,
    matches: Sequence[Match],
    name: str,
    usual: float,
    learner: Clip,
    standard: Clip,
) -> None:
    """Plot the cost of every start frame, the starts, and the cost `usual` of any two frames.

    The start of the best match is called `name`.
    """
    starts, first = np.flatnonzero(np.isfinite(curve)), learner.first_frame
    axes.plot(first + starts, curve[starts], color="0.2", marker=".", markersize=3, linewidth=1.2)
    axes.axhline(usual, color="0.5", linestyle="--", linewidth=1)
    axes.annotate(
        "any two poses", (1, usual), xycoords=("axes fraction", "data"), xytext=(-4, -3),
        textcoords="offset points", ha="right", va="top", color="0.35", fontsize=9,
    )  # fmt: skip
    for rank, match in reversed(list(enumerate(matches))):
        frame, color = first + match.start_frame, OTHER if rank else BEST
        axes.axvline(frame, color=color, linewidth=1.5 if rank else 3)
        label = f"{rank + 1}. {frame}" if rank else f"{name} {frame}"
        is_late = match.start_frame > 0.85 * learner.num_frames
        axes.annotate(
            label, (frame, 1), xycoords=("data", "axes fraction"),
            xytext=(-6 if is_late else 6, -14 - 15 * (rank % 3)), textcoords="offset points",
            ha="right" if is_late else "left", color=color, fontsize=10,
            fontweight="normal" if rank else "bold",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    last = starts[-1] if len(starts) else -1
    if last < learner.num_frames - 1:
        axes.axvspan(first + last + 0.5, first + learner.num_frames - 0.5, color="0.93", zorder=0)
        note = (
            f"what is left of {learner.name}\nis too short for {standard.name}" if len(starts)
            else f"{learner.name} shows only a part of {standard.name}, so this is the only place"
        )  # fmt: skip
        is_narrow = learner.num_frames - last < 0.3 * learner.num_frames
        place = learner.num_frames - 1 if is_narrow else (last + learner.num_frames) / 2
        axes.text(
            first + place, 0.5, _literal(note), transform=axes.get_xaxis_transform(),
            ha="right" if is_narrow else "center", va="center", fontsize=9,
        )  # fmt: skip
    highest = max([usual, *curve[starts], *(match.cost for match in matches)])
    axes.set(
        title="How much the poses differ if the motion starts at this frame: the lower, the more "
        "alike",
        ylabel="mean difference", ylim=(0, max(1.1 * highest, 1e-6)),
    )  # fmt: skip


def _tell_times(axis: XAxis | YAxis, clip: Clip, separator: str) -> None:
    """Label the ticks of an axis of frames with the frame and its time."""

    def label(frame: float, _: float) -> str:
        index = round(frame) - clip.first_frame
        inside = 0 <= index < clip.num_frames
        return f"{frame:.0f}{separator}({clip.times_s[index]:.2f} s)" if inside else ""

    axis.set_major_locator(MaxNLocator(9, integer=True))
    axis.set_major_formatter(label)


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
    size = min(max(6.0, 0.45 * len(names) + 2), 16)
    figure = _figure(size + 1.5, size)
    axes = figure.subplots()
    axes.set_facecolor("0.85")
    known = matrix[np.isfinite(matrix)]
    # Most values are near 1, so the colours start at the lowest one.
    lowest = min(np.floor(100 * known.min()) / 100, 0.99) if len(known) else 0.0
    image = axes.imshow(np.ma.masked_invalid(matrix), cmap="viridis", vmin=lowest, vmax=1)
    all_named = len(names) <= 60
    ticks = np.arange(len(names)) if all_named else np.arange(0, len(names), len(names) // 30)
    labels = [_literal(names[int(tick)], NAME) for tick in ticks]
    axes.set_xticks(ticks, labels, rotation=90, fontsize=9)
    axes.set_yticks(ticks, labels, fontsize=9)
    if len(names) <= MAX_NUMBERED:
        for row, column in np.argwhere(np.isfinite(matrix)):
            value = matrix[row, column]
            ink = "white" if value < (lowest + 1) / 2 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=ink)
    axes.set(title=_literal(title), xlabel="reference", ylabel="query")
    label = f"Kendall's tau: colours from {lowest:.2f} to 1 (grey: undefined)"
    figure.colorbar(image, ax=axes, label=label)
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


def plot_calibration(
    path: Path, confidences: Array, right: NDArray[np.bool_], weights: Array, sure: float
) -> None:
    """Plot the share of right matches in ten bins of the confidence, and the size of the bins.

    Args:
        path: file to write.
        confidences: (P,) in [0, 1].
        right: (P,) whether the match is right.
        weights: (P,) of the matches.
        sure: smallest confidence that is called sure.
    """
    figure = _figure(6, 6)
    axes, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    edges = np.linspace(0, 1, 11)
    bins = np.clip(np.digitize(confidences, edges) - 1, 0, 9)
    sizes = np.bincount(bins, weights, 10)
    used = sizes > 0
    means, shares = (np.bincount(bins, weights * x, 10)[used] for x in (confidences, right))
    axes.plot([0, 1], [0, 1], ":", color="gray", label="confidence = share")
    axes.plot(means / sizes[used], shares / sizes[used], "o-", label="matches")
    axes.set(ylabel="share right within 0.1 s", ylim=(0, 1.02), title="How far to trust a match")
    below.bar(edges[:-1], sizes / sizes.sum(), width=0.1, align="edge", edgecolor="white")
    below.set(xlabel="confidence", ylabel="share of matches", xlim=(0, 1))
    for part in (axes, below):
        part.axvline(sure, color="C1", label="sure from here on")
        part.grid(alpha=0.3)
    axes.legend(frameon=False)
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
