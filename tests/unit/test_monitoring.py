"""The alert rules do what the page on metrics says, on recorded series; rules and dashboard name only metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import promql_parser as promql
import pytest
import yaml

from airflow_cbr.hooks.metrics import Metric
from tests.support.promql import NAME, Evaluation, Labels, Rules, Storage, labels_of, selectors_in, values_of
from tests.support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "docs" / "examples"
PAGE = REPOSITORY / "docs" / "howto" / "metrics.md"
GROUPS: list[dict[str, Any]] = yaml.safe_load((EXAMPLES / "prometheus-alerts.yml").read_text())["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
DASHBOARD: dict[str, Any] = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
RECORDED: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "prometheus_alerts.yml").read_text())

#: What Prometheus calls a metric: dots become underscores. A collector adds _total to a counter; a timing has a sum and a count.
NAMES = {f"airflow_{name.replace('.', '_')}": name for name in Metric}
ENDINGS = ("", "_total", "_sum", "_count", "_milliseconds_sum", "_milliseconds_count")
#: Airflow's own.
OTHERS = {"airflow_ti_failures", "airflow_ti_failures_total", "ALERTS"}


def seconds(text: str) -> float:
    return promql.parse_duration(text).total_seconds()


def selector_of(text: str) -> Any:
    return promql.parse(text)


def labels_in(text: str) -> dict[str, str]:
    """Return the labels of a selector."""
    return {one.name: one.value for one in selector_of(text).matchers.matchers}


def series_of(text: str) -> Labels:
    """Return the name and the labels of a series."""
    return labels_of(**{NAME: selector_of(text).name}, **labels_in(text))


def fired(scenario: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Play a scenario as promtool does, and yield for each check when it is, what there is, and what is expected."""
    storage = Storage()
    recorded = [(series_of(one["series"]), values_of(one["values"])) for one in scenario["input_series"]]
    rules, step = Rules(GROUPS, storage), seconds(RECORDED["evaluation_interval"])
    checks = sorted(scenario["promql_expr_test"], key=lambda check: seconds(check["eval_time"]))
    for tick in range(int(seconds(checks[-1]["eval_time"]) / step) + 1):
        for labels, values in recorded:
            if tick < len(values) and (value := values[tick]) is not None:
                storage.add(labels, tick * step, value)
        rules.evaluate(tick * step)
        for check in checks:
            if seconds(check["eval_time"]) == tick * step:
                expected = {labels_of(**labels_in(one["labels"])): float(one["value"]) for one in check["exp_samples"]}
                yield check["eval_time"], Evaluation(storage, tick * step).query(check["expr"]), expected


@pytest.mark.parametrize("scenario", thinned(RECORDED["tests"], every=3), ids=lambda scenario: scenario["name"])
@pytest.mark.campaign
def test_the_alerts_on_recorded_series(scenario: dict[str, Any]) -> None:
    found = list(fired(scenario))

    assert [(at, there) for at, there, _ in found] == [(at, expected) for at, _, expected in found]
    assert len(found) == len(scenario["promql_expr_test"])


def test_every_alert_fires_in_some_scenario_and_says_what_to_do() -> None:
    alerts = {rule["alert"]: rule for rule in RULES if "alert" in rule}
    expected = {
        name
        for scenario in RECORDED["tests"]
        for check in scenario["promql_expr_test"]
        for one in check["exp_samples"]
        for name in re.findall(r'alertname="(\w+)"', one["labels"])
    }

    assert expected == set(alerts)
    assert [name for name, rule in alerts.items() if set(rule["annotations"]) != {"summary", "description"}] == []
    assert {rule["labels"]["severity"] for rule in alerts.values()} == {"critical", "warning", "info"}


def names_in(expression: str) -> set[str]:
    """Return the names of the series that an expression selects; one that is given as a pattern stands for all that it can match."""
    selectors = list(selectors_in(promql.parse(expression)))
    patterns = {one.value for selector in selectors for one in selector.matchers.matchers if one.name == NAME}
    return patterns | {selector.name for selector in selectors if selector.name}


def unknown(expression: str) -> set[str]:
    """Return what an expression names, and nothing sends or records."""
    known = {f"{name}{ending}" for name in NAMES for ending in ENDINGS} | OTHERS | {rule["record"] for rule in RULES if "record" in rule}
    return {name for name in names_in(expression) if not any(re.fullmatch(name, one) for one in known)}


def test_the_rules_name_only_what_there_is() -> None:
    assert {rule.get("alert", rule.get("record")): wrong for rule in RULES if (wrong := unknown(rule["expr"]))} == {}
    assert unknown("airflow_cbr_replica_verifed_at") == {"airflow_cbr_replica_verifed_at"}, "a misspelt one is found"


def targets() -> list[tuple[str, str]]:
    """Return title and expression of everything that the dashboard asks, with its variables filled in."""
    panels = [*DASHBOARD["panels"], *(inner for panel in DASHBOARD["panels"] for inner in panel.get("panels", ()))]
    found = [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", ())]
    return [(title, re.sub(r"\$__\w+", "1d", expression).replace("$vault", ".*")) for title, expression in found]


def test_the_dashboard_names_only_what_there_is_and_shows_every_metric() -> None:
    asked = targets()

    assert {title: wrong for title, expression in asked if (wrong := unknown(expression))} == {}
    recorded = {rule["record"]: names_in(rule["expr"]) for rule in RULES if "record" in rule}
    shown = {name for _, expression in asked for name in names_in(expression)}
    reached = shown.union(*(recorded.get(name, set()) for name in shown))

    def is_shown(name: str) -> bool:
        return any(re.fullmatch(one, f"{name}{ending}") for one in reached for ending in ENDINGS)

    assert [name for name in NAMES if not is_shown(name)] == []


def test_the_dashboard_can_be_imported() -> None:
    panels = DASHBOARD["panels"]

    assert DASHBOARD["uid"] == "airflow-cbr"
    assert DASHBOARD["__inputs"][0]["type"] == "datasource"
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels if "targets" in panel} == {"${DS_PROMETHEUS}"}
    assert all(panel["gridPos"]["x"] >= 0 and panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def test_the_page_has_every_metric_with_its_kind() -> None:
    rows = dict(re.findall(r"^\| `(cbr\.[\w.]+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE))

    assert set(rows) == set(Metric)
    for name in Metric:
        if name in ("cbr.replica.verified_at", "cbr.replica.age_seconds", "cbr.vault.used_ratio", "cbr.replication.gb"):
            assert rows[name] == "gauge"
        else:
            assert rows[name] == ("timing" if name.endswith(".seconds") else "counter")
