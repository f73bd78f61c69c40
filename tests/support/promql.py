"""Evaluating Prometheus rules on recorded series: as much of PromQL as the rules and the dashboard of the documentation use.

The expressions are read by a real parser of PromQL. The series and what is expected of them are written as ``promtool test rules`` takes
them, so that the same file can be given to Prometheus itself.
"""

from __future__ import annotations

import itertools
import math
import re
from bisect import bisect_right
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import promql_parser as promql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LOOKBACK = 300.0
"""Seconds for which an instant selector still sees a series' newest sample."""
NAME = "__name__"

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]


class Point(NamedTuple):
    """A sample; a value of None says that the series ends here."""

    at: float
    value: float | None


def labels_of(**labels: str) -> Labels:
    """Return a set of labels."""
    return frozenset(labels.items())


def _without(labels: Labels, *names: str) -> Labels:
    return frozenset((name, value) for name, value in labels if name not in names)


def _only(labels: Labels, names: Any) -> Labels:
    return frozenset((name, value) for name, value in labels if name in names)


class Storage:
    """Series with their samples in the order of time."""

    def __init__(self) -> None:
        self.series: dict[Labels, list[Point]] = defaultdict(list)
        self._matching: dict[str, tuple[int, list[Labels]]] = {}

    def add(self, labels: Labels, at: float, value: float | None) -> None:
        """Add a sample."""
        self.series[labels].append(Point(at, value))

    def select(self, selector: Any, after: float, until: float) -> Iterator[tuple[Labels, list[Point]]]:
        """Yield the series that a selector matches, each with its points in a time that begins behind ``after``."""
        for labels in self._labels(selector):
            points = self.series[labels]
            yield labels, points[bisect_right(points, after, key=_at) : bisect_right(points, until, key=_at)]

    def _labels(self, selector: Any) -> list[Labels]:
        text = str(selector)
        count, found = self._matching.get(text, (0, []))
        if count != len(self.series):
            matchers = [(one.name, str(one.op), one.value) for one in selector.matchers.matchers]
            if selector.name is not None:
                matchers.append((NAME, "Equal", selector.name))
            found = [one for one in self.series if all(_matches(dict(one).get(name, ""), op, value) for name, op, value in matchers)]
            self._matching[text] = len(self.series), found
        return found


def _at(point: Point) -> float:
    return point.at


def _matches(value: str, op: str, wanted: str) -> bool:
    kind = op.rpartition(".")[2]
    return {
        "Equal": lambda: value == wanted,
        "NotEqual": lambda: value != wanted,
        "Re": lambda: re.fullmatch(wanted, value) is not None,
        "NotRe": lambda: re.fullmatch(wanted, value) is None,
    }[kind]()


def selectors_in(expr: Any) -> Iterator[Any]:
    """Yield every selector of an expression.

    :param expr: a node of the tree.
    """
    if isinstance(expr, promql.VectorSelector):
        yield expr
    for part in ("lhs", "rhs", "expr", "vector_selector"):
        if (inner := getattr(expr, part, None)) is not None:
            yield from selectors_in(inner)
    for argument in getattr(expr, "args", ()):
        yield from selectors_in(argument)


class Evaluation:
    """Evaluates expressions at one moment.

    :param storage: the series.
    :param now: Unix time.
    """

    def __init__(self, storage: Storage, now: float) -> None:
        self.storage = storage
        self.now = now

    def query(self, text: str) -> Vector | float:
        """Return what an expression is now."""
        found: Vector | float = self.of(promql.parse(text))
        return found

    def of(self, expr: Any) -> Any:
        """Return what a node of the tree is now: a number, a vector, or samples in a range."""
        match expr:
            case promql.NumberLiteral():
                return expr.val
            case promql.ParenExpr():
                return self.of(expr.expr)
            case promql.VectorSelector():
                return self._instant(expr)
            case promql.MatrixSelector():
                return self._range(expr)
            case promql.Call():
                return getattr(self, f"_{expr.func.name}")(*map(self.of, expr.args))
            case promql.AggregateExpr():
                return self._aggregate(expr)
            case promql.BinaryExpr():
                return self._binary(expr)
        raise NotImplementedError(type(expr).__name__)

    def _instant(self, selector: Any) -> Vector:
        at = self.now - _seconds(selector.offset)
        found: Vector = {}
        for labels, seen in self.storage.select(selector, at - LOOKBACK, at):
            if seen and seen[-1].value is not None:
                found[labels] = seen[-1].value
        return found

    def _range(self, matrix: Any) -> dict[Labels, tuple[list[Point], float, float]]:
        selector = matrix.vector_selector
        end = self.now - _seconds(selector.offset)
        start = end - _seconds(matrix.range)
        found = {}
        for labels, points in self.storage.select(selector, start, end):
            if seen := [point for point in points if point.value is not None]:
                found[labels] = (seen, start, end)
        return found

    # --- functions

    def _time(self) -> float:
        return self.now

    def _vector(self, value: float) -> Vector:
        return {frozenset(): value}

    def _last_over_time(self, found: dict[Labels, Any]) -> Vector:
        return {labels: points[-1].value for labels, (points, _, _) in found.items()}

    def _increase(self, found: dict[Labels, Any]) -> Vector:
        """Add what was gained over resets, and stretch it to the range's ends, as Prometheus does."""
        result: Vector = {}
        for labels, (points, start, end) in found.items():
            if len(points) < 2:
                continue
            first, last = points[0], points[-1]
            gained = last.value - first.value
            gained += sum(before.value for before, after in itertools.pairwise(points) if after.value < before.value)
            sampled = last.at - first.at
            gap = sampled / (len(points) - 1)
            to_start, to_end = first.at - start, end - last.at
            if gained > 0 and first.value >= 0:
                to_start = min(to_start, sampled * first.value / gained)
            stretched = sampled + sum(edge if edge < gap * 1.1 else gap / 2 for edge in (to_start, to_end))
            result[_without(labels, NAME)] = gained * stretched / sampled
        return result

    # --- operators

    def _aggregate(self, expr: Any) -> Vector:
        assert str(expr.modifier.type).rpartition(".")[2] == "By", "the others are not used"
        groups: dict[Labels, list[float]] = defaultdict(list)
        for labels, value in self.of(expr.expr).items():
            groups[_only(labels, expr.modifier.labels)].append(value)
        folds: dict[str, Callable[[list[float]], float]] = {"sum": math.fsum, "min": min, "max": max}
        return {labels: folds[str(expr.op)](values) for labels, values in groups.items()}

    def _binary(self, expr: Any) -> Any:
        op, left, right = str(expr.op), self.of(expr.lhs), self.of(expr.rhs)
        matching = expr.modifier.matching if expr.modifier is not None else None

        def key(labels: Labels) -> Labels:
            if matching is None:
                return _without(labels, NAME)
            return _only(labels, matching.labels) if "Include" in str(matching.type) else _without(labels, NAME, *matching.labels)

        if op in ("and", "or", "unless"):
            lefts, rights = {key(labels) for labels in left}, {key(labels) for labels in right}
            if op == "or":
                return left | {labels: value for labels, value in right.items() if key(labels) not in lefts}
            return {labels: value for labels, value in left.items() if (key(labels) in rights) == (op == "and")}
        combine = _OPERATORS[op]
        if not isinstance(left, dict) and not isinstance(right, dict):
            return float(combine(left, right))
        if not isinstance(right, dict):
            pairs = [(labels, value, right) for labels, value in left.items()]
        elif not isinstance(left, dict):
            pairs = [(labels, left, value) for labels, value in right.items()]
        else:
            others = {key(labels): value for labels, value in right.items()}
            assert len(others) == len(right), "many-to-many matching"
            pairs = [(key(labels), value, others[key(labels)]) for labels, value in left.items() if key(labels) in others]
        if op in _COMPARISONS:
            # The vector's value is kept where the comparison holds, and its name too.
            return {labels: (one if isinstance(left, dict) else other) for labels, one, other in pairs if combine(one, other)}
        return {_without(labels, NAME): combine(one, other) for labels, one, other in pairs}


_COMPARISONS: dict[str, Callable[[float, float], Any]] = {
    ">": lambda one, other: one > other,
    "<": lambda one, other: one < other,
    ">=": lambda one, other: one >= other,
    "<=": lambda one, other: one <= other,
    "==": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
}
_OPERATORS: dict[str, Callable[[float, float], Any]] = {
    **_COMPARISONS,
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "/": lambda one, other: one / other if other else math.nan,
}


def _seconds(duration: timedelta | None) -> float:
    return 0.0 if duration is None else duration.total_seconds()


# --- rules ------------------------------------------------------------------------------------------------------------------------


class Rules:
    """The rules of a file, which are evaluated one after the other.

    :param groups: the file's ``groups``.
    :param storage: the series; what the rules record, and ``ALERTS``, is added to them.
    """

    def __init__(self, groups: list[dict[str, Any]], storage: Storage) -> None:
        self._rules = [(rule, promql.parse(rule["expr"])) for group in groups for rule in group["rules"]]
        self._storage = storage
        self._since: dict[tuple[str, Labels], float] = {}
        self._recorded: dict[int, set[Labels]] = defaultdict(set)

    def evaluate(self, now: float) -> None:
        """Evaluate every rule once."""
        for number, (rule, expr) in enumerate(self._rules):
            found = Evaluation(self._storage, now).of(expr)
            vector: Vector = found if isinstance(found, dict) else {frozenset(): found}
            given = {name: str(value) for name, value in rule.get("labels", {}).items()}
            series: Vector = {}
            if "record" in rule:
                series = {frozenset((dict(labels) | given | {NAME: rule["record"]}).items()): value for labels, value in vector.items()}
            else:
                states = self._states(rule, {_without(labels, NAME) for labels in vector}, now)
                series = {
                    frozenset((dict(labels) | given | {NAME: "ALERTS", "alertname": rule["alert"], "alertstate": state}).items()): 1.0
                    for labels, state in states.items()
                }
            for labels, value in series.items():
                self._storage.add(labels, now, value)
            for ended in self._recorded[number] - series.keys():
                self._storage.add(ended, now, None)
            self._recorded[number] = set(series)

    def _states(self, rule: Mapping[str, Any], active: set[Labels], now: float) -> dict[Labels, str]:
        name, hold = rule["alert"], _seconds(promql.parse_duration(rule["for"])) if "for" in rule else 0.0
        self._since = {key: since for key, since in self._since.items() if key[0] != name or key[1] in active}
        states = {}
        for labels in active:
            since = self._since.setdefault((name, labels), now)
            states[labels] = "firing" if now - since >= hold else "pending"
        return states


def values_of(text: str) -> list[float | None]:
    """Return the values that promtool's notation stands for: ``1+2x3`` is 1, 3, 5, 7; ``_x3`` are three gaps.

    :param text: the notation.
    """
    values: list[float | None] = []
    for word in text.split():
        if gap := re.fullmatch(r"_(?:x(\d+))?", word):
            values += [None] * int(gap[1] or 1)
        elif row := re.fullmatch(r"(-?[\d.]+)([+-][\d.]+)x(\d+)", word):
            values += [float(row[1]) + float(row[2]) * step for step in range(int(row[3]) + 1)]
        else:
            values.append(float(word))
    return values
