"""What is not proven is never taken for good."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_cbr.evidence.judgement import MOST_REASONS, Judgement, State, UnknownContentError, judge, read_drill
from tests.support.evidence_nights import DAY, HOUR, LEVELS, finding, verification


def judged(*arguments: Any, **changes: Any) -> Judgement:
    return judge(msgspec.Raw(msgspec.json.encode(verification(*arguments, **changes))))


def test_every_resource_within_the_rpo_is_met() -> None:
    assert judged({"a": HOUR, "b": DAY}) == Judgement(State.MET, DAY, DAY, False, ())


@pytest.mark.parametrize(
    ("ages", "key", "worst"),
    [
        ({"a": HOUR, "b": DAY + 1}, "too_old", DAY + 1),
        ({"a": None, "b": HOUR}, "no_replica", math.inf),
        ({"a": -1.0}, "age_unknown", math.inf),
    ],
)
def test_a_resource_beyond_the_rpo_is_missed_whatever_the_verdict(ages: dict[str, float | None], key: str, worst: float) -> None:
    """The level may only warn, or not be judged at all."""
    for verdict in ("verified", "failed"):
        found = judged(ages, verdict=verdict)
        assert (found.state, found.breaks_rpo, found.age, [reason.key for reason in found.reasons]) == (State.MISSED, True, worst, [key])


def test_a_failed_verdict_is_missed_with_its_findings_and_does_not_break_the_rpo() -> None:
    found = judged(verdict="failed", findings=(finding("old", action="warn"), finding("db-01")))

    assert (found.state, found.breaks_rpo) == (State.MISSED, False)
    (reason,) = found.reasons
    assert (reason.key, reason.subject, reason.fault) == ("finding", "db-01 (backup-of-db-01)", "replica_missing")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"max_age": None}, "no_rpo"),
        ({"levels": ("record", "coverage")}, "replicas_not_looked_at"),
        ({"ages": {}}, "no_resource_known"),
    ],
)
def test_a_verification_that_did_not_ask_for_it_proves_nothing(changes: dict[str, Any], key: str) -> None:
    found = judged(changes.pop("ages", None), **changes)
    assert (found.state, [reason.key for reason in found.reasons]) == (State.UNPROVEN, [key])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.text(max_size=5), st.none() | st.floats(-10, 3 * DAY), max_size=4),
    st.sampled_from(["verified", "failed", "", "VERIFIED"]),
    st.none() | st.floats(0, 2 * DAY),
    st.lists(st.sampled_from(LEVELS), unique=True),
)
def test_it_is_met_only_if_all_of_it_holds(ages: dict[str, float | None], verdict: str, rpo: float | None, levels: list[str]) -> None:
    found = judged(ages, verdict=verdict, max_age=rpo, levels=tuple(levels))

    within = rpo is not None and bool(ages) and all(age is not None and 0 <= age <= rpo for age in ages.values())
    assert (found.state is State.MET) is (verdict == "verified" and "replica" in levels and within)


def test_a_resource_without_a_replica_is_missed_without_an_rpo_too() -> None:
    assert judged({"a": None, "b": HOUR}, max_age=None).state is State.MISSED


def test_of_many_reasons_the_first_are_kept() -> None:
    found = judged({f"server-{number}": None for number in range(50)}, verdict="failed", findings=(finding(),))
    assert len(found.reasons) == MOST_REASONS


def test_a_resource_is_named_once_although_a_finding_names_it_too() -> None:
    about = finding("web-01", fault="too_old") | {"about": "resource", "id": "id-of-web-01"}
    assert [reason.key for reason in judged({"web-01": 9 * DAY}, verdict="failed", findings=(about,)).reasons] == ["too_old"]


@pytest.mark.parametrize("content", [b"{}", b'{"report":null}', b'{"report":{}}', b"[]", b'"verified"'])
def test_what_is_no_verification_is_refused(content: bytes) -> None:
    with pytest.raises(UnknownContentError):
        judge(msgspec.Raw(content))


def test_a_drill_is_read_with_texts_that_can_be_shown() -> None:
    drill = read_drill(msgspec.Raw(b'{"verdict":"successful","resource_name":"a\\u202eb\\u001b[2J","seconds":90,"later":1}'))
    assert (drill.verdict, drill.seconds, drill.resource_name) == ("successful", 90, "a b [2J")
    with pytest.raises(UnknownContentError):
        read_drill(msgspec.Raw(b'{"seconds":90}'))
