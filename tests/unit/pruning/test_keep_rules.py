"""The keep rules: by example as restic's documentation has them, and as properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cbr.pruning.keep_rules import RULES, KeepRules, kept_by

START = datetime(2026, 11, 27, 23, 30, tzinfo=UTC)


def every(days: float, count: int) -> list[tuple[str, datetime]]:
    """Return backups at regular distances, the newest first and named by their place."""
    return [(f"{number:03}", START - timedelta(days=days * number)) for number in range(count)]


@pytest.mark.parametrize(
    ("rules", "backups", "kept"),
    [
        ({"last": 2}, every(1, 5), ["000", "001"]),
        ({"last": 9}, every(1, 3), ["000", "001", "002"]),
        ({"daily": 2}, every(0.25, 12), ["000", "004"]),
        ({"weekly": 2}, every(1, 20), ["000", "005"]),
        ({"monthly": 3}, every(1, 90), ["000", "027", "058"]),
        ({"yearly": 1}, every(30, 20), ["000"]),
        # A rule with periods left over keeps the oldest one too.
        ({"yearly": 3}, every(30, 20), ["000", "012", "019"]),
        ({"daily": 5}, every(0.1, 3), ["000", "002"]),
        ({"last": 1, "monthly": 2}, every(1, 40), ["000", "027"]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_examples(rules: dict[str, Any], backups: list[tuple[str, datetime]], kept: list[str]) -> None:
    assert sorted(kept_by(backups, KeepRules(**rules))) == kept


def test_each_rule_that_keeps_a_backup_is_named() -> None:
    assert kept_by(every(1, 3), KeepRules(last=1, daily=2)) == {"000": ["last", "daily"], "001": ["daily"]}


def test_a_day_begins_where_the_time_zone_says() -> None:
    # 23:30 in UTC is the next day in Shanghai, together with what was made an hour later.
    backups = [("late", START + timedelta(hours=1)), ("early", START), ("noon", START - timedelta(hours=11))]
    assert set(kept_by(backups, KeepRules(daily=2))) == {"late", "early"}
    assert set(kept_by(backups, KeepRules(daily=2, zone=ZoneInfo("Asia/Shanghai")))) == {"late", "noon"}


def test_a_week_is_one_of_the_iso_calendar() -> None:
    sunday, monday = datetime(2027, 1, 3, 12, tzinfo=UTC), datetime(2027, 1, 4, 12, tzinfo=UTC)
    last_year = datetime(2026, 12, 28, 12, tzinfo=UTC)
    backups = [("monday", monday), ("sunday", sunday), ("last year", last_year), ("before", last_year - timedelta(days=1))]
    assert set(kept_by(backups, KeepRules(weekly=2))) == {"monday", "sunday"}


def test_without_a_rule_nothing_is_kept() -> None:
    assert kept_by(every(1, 3), KeepRules()) == {}
    assert not KeepRules().keeps_something
    assert [name for name in RULES if not KeepRules(**dict[str, Any]({name: 1})).keeps_something] == []


backups_of_one = st.lists(
    st.tuples(st.uuids().map(str), st.datetimes(datetime(1972, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))),
    max_size=25,
    unique_by=lambda one: one[0],
)
any_rules = st.builds(
    KeepRules,
    **{name: st.integers(0, 5) for name in RULES},
    zone=st.sampled_from([UTC, ZoneInfo("Asia/Shanghai"), ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Kiritimati")]),
)


@given(backups=backups_of_one, rules=any_rules)
@settings(deadline=None, derandomize=True)
def test_as_reckoned_from_the_oldest(backups: list[tuple[str, datetime]], rules: KeepRules) -> None:
    """Another way to the same: the newest of each period overwrites those before it, and the last periods stay."""
    formats = {"daily": "%Y-%m-%d", "weekly": "%G-%V", "monthly": "%Y-%m", "yearly": "%Y"}
    oldest_first = sorted(backups, key=lambda one: (one[1], one[0]))
    kept: set[str] = set()
    for name in RULES:
        newest: dict[str, str] = {}
        for number, (id_, created) in enumerate(oldest_first):
            newest[created.astimezone(rules.zone).strftime(formats[name]) if name in formats else str(number)] = id_
        count, periods = getattr(rules, name), list(newest.values())
        kept.update(periods[max(len(periods) - count, 0) :])
        if count > len(periods) > 0:
            kept.add(oldest_first[0][0])
    assert set(kept_by(backups, rules)) == kept


@given(backups=backups_of_one, rules=any_rules, data=st.data())
@settings(deadline=None, derandomize=True)
def test_leaving_backups_out_makes_no_other_one_go(backups: list[tuple[str, datetime]], rules: KeepRules, data: Any) -> None:
    fewer = [one for one in backups if data.draw(st.booleans())]
    assert set(kept_by(backups, rules)) & {id_ for id_, _ in fewer} <= set(kept_by(fewer, rules))


@given(backups=backups_of_one.filter(bool), rules=any_rules.filter(lambda rules: rules.keeps_something))
@settings(deadline=None, derandomize=True)
def test_the_newest_stays_whatever_the_rules_and_their_order(backups: list[tuple[str, datetime]], rules: KeepRules) -> None:
    newest = max(backups, key=lambda one: (one[1], one[0]))[0]
    assert newest in kept_by(backups, rules)
    assert kept_by(backups, rules) == kept_by(backups[::-1], rules)
