"""Thousands of broken inputs: results or one line, never a traceback, a hang or a full memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.reliability.conftest import claim
from tests.reliability.inputs import KINDS, LIMIT_S
from tests.reliability.server import Server
from tests.reliability.test_training import train, write_clips

LIMIT_MB = 2048
AT_ONCE = 200  # inputs of one process


@claim("a mutated input brings a result or a UserError of one line, in 10 s and 2 GB", 6, 700)
@pytest.mark.parametrize("kind", KINDS)
def test_mutated_inputs_bring_results_or_one_line(
    tmp_path: Path, server: Server, kind: str, count: int
) -> None:
    if kind == "checkpoint":
        done = train(server, write_clips(tmp_path))
        assert done.code == 0, done.output
    tried = {"used": 0, "refused": 0}
    for seed in range(0, count, AT_ONCE):
        done = server.run(
            "tests.reliability.inputs:fuzz", kind, min(AT_ONCE, count - seed), seed, cwd=tmp_path,
            limit_s=AT_ONCE * LIMIT_S, memory_mb=LIMIT_MB,
        )  # fmt: skip
        assert done.code == 0, done.output[-6000:]
        assert done.peak_mb < LIMIT_MB
        told = json.loads((tmp_path / "told.json").read_text())
        tried = {name: tried[name] + told[name] for name in tried}
    assert sum(tried.values()) >= 0.9 * count  # Hypothesis does not repeat itself
