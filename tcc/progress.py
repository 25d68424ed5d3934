"""Shows on stderr that long work goes on: a bar on a terminal, elsewhere a line every half minute.

tqdm draws the bar. It can't print the lines: it looks at the clock only when an item is finished,
and one item may take minutes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from threading import Event, Thread
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
INTERVAL_S = 30.0
BEGAN_S = time.monotonic()  # of the command; many short steps in a row are not silent either
_silent = Event()


def silence() -> None:
    """Show nothing from now on: this process is one of several, and another one shows progress."""
    _silent.set()


def progress(
    items: Iterable[Item],
    description: str,
    unit: str,
    total: int | None = None,
    *,
    initial: int = 0,
    postfix: Mapping[str, str] | None = None,
) -> Iterator[Item]:
    """Yield the items and show how many are finished.

    Args:
        items: any iterable.
        description: what is done.
        unit: what one item is, in the singular.
        total: number of items; None: their length if they have one.
        initial: number of items that were finished before.
        postfix: names and values that are shown at the end; they may change after each item.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if _silent.is_set():
        yield from items
        return
    if sys.stderr.isatty():
        bar = tqdm(items, description, total, initial=initial, unit=unit, file=sys.stderr)
        for item in bar:
            yield item
            if postfix:
                bar.set_postfix(postfix, refresh=False)
        return
    count = initial
    of = "" if total is None else f" of {total}"

    def describe() -> str:
        values = [f"{name}={value}" for name, value in dict(postfix or {}).items()]
        return ", ".join([f"{description}: {count}{of} {unit}s", *values])

    with _lines(describe):
        for item in items:
            yield item
            count += 1


@contextmanager
def long_step(description: str) -> Iterator[None]:
    """Print a line on stderr every half minute while the block runs, also on a terminal.

    Args:
        description: what the block does.
    """
    with _lines(lambda: description):
        yield


@contextmanager
def _lines(describe: Callable[[], str]) -> Iterator[None]:
    """Print what `describe` returns, and how long it has taken, every INTERVAL_S of the command."""
    if _silent.is_set():
        yield
        return
    began_s = time.monotonic()
    finished = Event()

    def print_lines() -> None:
        while not finished.wait(INTERVAL_S - (time.monotonic() - BEGAN_S) % INTERVAL_S):
            tqdm.write(f"{describe()}, {time.monotonic() - began_s:.0f} s", sys.stderr)

    Thread(target=print_lines, daemon=True).start()
    try:
        yield
    finally:
        finished.set()
