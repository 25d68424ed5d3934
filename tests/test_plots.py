"""Names as people give them are drawn as they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from tcc import plots
from tcc.dtw import search

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


def test_names_are_drawn_as_they_are_written(tmp_path: Path, figures: list[Figure]) -> None:
    generator = np.random.default_rng(0)
    rows = generator.random((50, 2))
    videos = [name for name in NAMES for _ in range(10)]
    cost = generator.random((5, 9))
    for name in NAMES:
        plots.plot_start(tmp_path / "start.png", cost, cost[0], search(cost), name)
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
        plots.plot_start(tmp_path / "start.png", cost, curve, search(cost), "a in b")
    told = [
        any("only a part of the standard" in text for text in texts(figure)) for figure in figures
    ]
    assert told == [True, False]
