"""Read rules.toml, the rules from which the instructions are chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from tcc.files import UserError
from tcc.report.accuracy import ERRORS, SIDES, Key
from tcc.report.measures import MEASURES
from tcc.report.performance import QUANTITIES

RULES = Path(__file__).with_name("rules.toml")
T = TypeVar("T")
Positive = Annotated[float, msgspec.Meta(gt=0)]
Words = Annotated[str, msgspec.Meta(min_length=1)]


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a rule says about a value that is too low or too high."""

    title: Words
    cause: Words
    advice: Words


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule of rules.toml.

    Attributes:
        name: of the rule.
        topic: of the rules with the same topic, only the most important one speaks.
        measure: of MEASURES, where "knee" stands for "left_knee" and "right_knee", or of
            QUANTITIES.
        at: event or phase of a measure; empty for a quantity.
        leg: "carrying": only the leg that carries the weight at the event is compared.
        part: the part of the body.
        when: the event or phase in words.
        tolerance: usual difference between two good executions, in the unit of the measure.
        source: of the tolerance.
        low: text for a value that is too low.
        high: text for a value that is too high.
        sides: the words for left and right.
    """

    name: Words
    topic: Words
    measure: Words
    at: str = ""
    leg: Literal["carrying", "both"] = "both"
    part: Words
    when: Words
    tolerance: Positive
    source: Words
    low: Text
    high: Text
    sides: tuple[str, str] = SIDES

    def keys(self) -> dict[str, Key]:
        """Return {word for the side: what is compared}; the word is empty without a side."""
        if self.measure in MEASURES or self.measure in QUANTITIES:
            return {"": (self.measure, self.at)}
        return {
            word: (f"{side}_{self.measure}", self.at)
            for side, word in zip(SIDES, self.sides, strict=True)
        }


class _Sides(msgspec.Struct, forbid_unknown_fields=True):
    left: Words
    right: Words


def read_rules(path: Path = RULES) -> list[Rule]:
    """Read the rules.

    Raises:
        UserError: the file can't be read, or a rule is wrong.
    """
    try:
        content = msgspec.toml.decode(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; restore the file") from None
    except ValueError as error:
        raise UserError(f"{path}: not a TOML file in UTF-8 ({error}); correct it") from None
    sides = _convert(
        content.get("sides", {"left": "left", "right": "right"}), _Sides, path, "sides"
    )
    tables = content.get("rules")
    if not isinstance(tables, list) or not tables or content.keys() - {"sides", "rules"}:
        raise UserError(f"{path}: expected [sides] and at least one [[rules]], and nothing else")
    rules: list[Rule] = []
    for number, table in enumerate(tables, 1):
        where = f"rule {number}"
        if isinstance(table, dict):
            where += f" ({table.get('name', 'no name')})"
            table = {**table, "sides": (sides.left, sides.right)}
        rule = _convert(table, Rule, path, where)
        _check(rule, f"{path}, {where}")
        if rule.name in {other.name for other in rules}:
            raise UserError(f"{path}, {where}: name: two rules have it; rename one")
        rules.append(rule)
    return rules


def _convert(table: object, kind: type[T], path: Path, where: str) -> T:
    """Return a table of the file as `kind`; a UserError names what is wrong in it."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise UserError(
            f"{path}, {where}: {error}; docs/instructions.md explains the keys"
        ) from None


def _check(rule: Rule, where: str) -> None:
    """Raise a UserError if the measure of a rule is not offered where the rule asks for it."""
    if rule.measure in QUANTITIES:
        if rule.at:
            raise UserError(f"{where}: at: {rule.measure} is one number of a jump; leave out at")
        return
    measure = MEASURES.get(next(iter(rule.keys().values()))[0])
    offered = dict.fromkeys(name for name, _ in ERRORS)
    if measure is None or rule.measure not in offered:
        raise UserError(
            f"{where}: measure: {rule.measure} is not offered; choose from "
            f"{', '.join([*offered, *QUANTITIES])}"
        )
    if (rule.measure, rule.at) not in ERRORS:
        raise UserError(
            f"{where}: at: {rule.measure} is not offered at {rule.at or 'no event'}; choose from "
            f"{', '.join(measure.places)}"
        )
