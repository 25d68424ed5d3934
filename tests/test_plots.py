"""Names as people give them are drawn as they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.typing import NDArray

from tcc import plots
from tcc.dtw import search
from tests.conftest import make_clip, wave

NAMES = ["_first", "$a_{$", "5$ and $6", "50$", "回転"]


def texts(figure: Figure) -> list[str]:
    """All that is written in a figure, as drawn."""
    drawn = []
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        line, is_formula = text._preprocess_math(text.get_text())  # type: ignore[attr-defined]
        assert not is_formula, line
        drawn.append(line)
    return drawn


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that the plots make."""
    made: list[Figure] = []
    make = plots._figure

    def keep(width_inches: float, height_inches: float) -> Figure:
        made.append(make(width_inches, height_inches))
        return made[-1]

    monkeypatch.setattr(plots, "_figure", keep)
    return made


def plot_start(
    folder: Path, cost: NDArray[np.float64], curve: NDArray[np.float64], title: str, first: int = 0
) -> None:
    """Plot a search with a picture of two moments; the standard lacks one."""
    standard, learner = (
        make_clip(wave(count, 0), Path("$a_{$"), first_frame=first) for count in cost.shape
    )
    picture = np.full((9, 8, 3), 100, np.uint8)
    moments = [
        plots.Moment("start", [picture, picture], ["frame 3", "frame 0"]),
        plots.Moment("50$ take-off 5$", [None, picture], ["outside", "frame 2"]),
    ]
    path = folder / "start.png"
    plots.plot_start(path, cost, curve, search(cost), moments, learner, standard, title, True)


def test_names_are_drawn_as_they_are_written(tmp_path: Path, figures: list[Figure]) -> None:
    generator = np.random.default_rng(0)
    rows = generator.random((50, 2))
    videos = [name for name in NAMES for _ in range(10)]
    cost = generator.random((5, 9))
    for name in NAMES:
        plot_start(tmp_path, cost, cost[0], name)
        plots.plot_tsne(tmp_path / "tsne.png", rows, videos, np.arange(50), name)
        plots.plot_tau(tmp_path / "tau.png", generator.random((5, 5)), NAMES, name)
        plots.plot_error_distribution(tmp_path / "error.png", {"tcc": rows[0]}, name)
        start, tsne, tau, error = map(texts, figures[-4:])
        assert name in start
        assert name in tsne
        assert name in tau
        assert f"{name}: how often the error is at most k frames" in error
        assert set(NAMES) <= set(tsne)  # the legend
        assert tau.count(NAMES[1]) >= 2  # both axes
    assert len(list(tmp_path.iterdir())) == 4


def test_a_curve_without_a_start_says_why(tmp_path: Path, figures: list[Figure]) -> None:
    cost = np.random.default_rng(0).random((30, 10))
    for curve in (np.full(10, np.nan), np.arange(10.0)):
        plot_start(tmp_path, cost, curve, "a in b")
    told = [any("shows only a part of" in text for text in texts(figure)) for figure in figures]
    assert told == [True, False]


def test_a_partial_curve_says_why_and_is_drawn_from_0_with_the_cost_of_any_two_poses(
    tmp_path: Path, figures: list[Figure]
) -> None:
    cost = np.full((20, 30), 4.0)
    curve = np.full(30, np.nan)
    curve[:12] = np.linspace(0.51, 0.49, 12)
    plot_start(tmp_path, cost, curve, "a in b")
    (figure,) = figures
    (axes,) = [axes for axes in figure.axes if axes.get_ylabel() == "mean difference"]
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > 4
    assert any(np.allclose(line.get_ydata(), 4) for line in axes.lines)
    assert {"any two poses", "what is left of $a_{$\nis too short for $a_{$"} <= set(texts(figure))
    assert any("the lower, the more alike" in text for text in texts(figure))


def test_starts_curve_and_axes_are_in_frames_of_the_whole_video(
    tmp_path: Path, figures: list[Figure]
) -> None:
    cost = np.ones((10, 30))
    rows = np.arange(10)
    cost[rows, rows + 5] = 0.5
    curve = np.full(30, np.nan)
    curve[:20] = 1
    plot_start(tmp_path, cost, curve, "a in b", first=100)
    drawn = texts(figures[0])
    assert "start 105" in drawn
    assert "112\n(3.73 s)" in drawn
    assert "104 (3.47 s)" in drawn
    (axes,) = [axes for axes in figures[0].axes if axes.get_ylabel() == "mean difference"]
    assert np.asarray(axes.lines[0].get_xdata()).tolist() == list(range(100, 120))
    assert figures[0].axes[-2].images[0].get_clim()[0] == 0  # white is alike
    matrix = next(axes for axes in figures[0].axes if axes.images and len(axes.lines) > 0)
    assert np.asarray(matrix.lines[-1].get_xdata())[0] == 105
    assert np.asarray(matrix.lines[-1].get_ydata())[0] == 100


@pytest.mark.parametrize(("count", "numbered"), [(24, True), (25, False)])
def test_tau_has_numbers_up_to_24_clips_and_its_colours_start_at_the_lowest(
    tmp_path: Path, figures: list[Figure], count: int, numbered: bool
) -> None:
    matrix = np.random.default_rng(0).uniform(0.83, 1, (count, count))
    matrix[3, 4] = 0.81
    np.fill_diagonal(matrix, np.nan)
    plots.plot_tau(tmp_path / "tau.png", matrix, [f"v{i}" for i in range(count)], "tau")
    (image,) = figures[0].axes[0].images
    assert image.get_clim() == pytest.approx((0.81, 1))
    assert image.get_cmap().name == "viridis"
    drawn = texts(figures[0])
    assert "Kendall's tau: colours from 0.81 to 1 (grey: undefined)" in drawn
    assert ("0.81" in drawn) is numbered


@pytest.mark.parametrize(("value", "lowest"), [(-0.555, -0.56), (1.0, 0.99), (np.nan, 0)])
def test_colours_of_tau_have_a_range_for_any_values(
    tmp_path: Path, figures: list[Figure], value: float, lowest: float
) -> None:
    plots.plot_tau(tmp_path / "tau.png", np.full((3, 3), value), list("abc"), "tau")
    assert figures[0].axes[0].images[0].get_clim() == pytest.approx((lowest, 1))


def test_calibration_shows_the_weighted_share_that_is_right_in_each_bin(
    tmp_path: Path, figures: list[Figure]
) -> None:
    confidences = np.array([0.1, 0.14, 0.85, 0.89, 1.0])
    right = np.array([False, False, True, False, True])
    plots.plot_calibration(
        tmp_path / "calibration.png", confidences, right, np.array([1, 1, 3, 1, 2]), 0.7
    )
    above, below = figures[0].axes
    _, matches, sure = above.get_lines()
    np.testing.assert_allclose(np.asarray(matches.get_xdata()), [0.12, 0.86, 1])
    np.testing.assert_allclose(np.asarray(matches.get_ydata()), [0, 0.75, 1])
    assert np.asarray(sure.get_xdata())[0] == 0.7
    heights = np.array([bar.get_height() for bar in below.patches if isinstance(bar, Rectangle)])
    np.testing.assert_allclose(heights, np.bincount([1, 8, 9], [2, 4, 2], 10) / 8)
