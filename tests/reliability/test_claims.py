"""docs/reliability.md has a row for every claim."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.conftest import ROOT


def test_every_claim_is_in_the_table() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    rows = {line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if " | " in line}
    claims = {
        mark.args[0]
        for path in Path(__file__).parent.glob("test_*.py")
        for function in vars(importlib.import_module(f"tests.reliability.{path.stem}")).values()
        for mark in getattr(function, "pytestmark", ())
        if mark.name == "claim"
    }
    assert claims
    assert claims == rows - {"claim"}
