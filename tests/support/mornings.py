"""What everybody is told when a verify task has ended, by the operator itself, and what the destination held at that moment.

The operator runs over an emulator of this process. What it tells is what Airflow, a metrics backend, OpenLineage, an auditor and the page
"CBR replication" would get. What the destination held is read from the emulator's own book, which knows nothing of this package.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import msgspec
from attr import asdict

from airflow_cbr.airflow_names import AirflowFailException, AirflowSkipException
from airflow_cbr.api.models import parse_time
from airflow_cbr.assets import vault_asset
from airflow_cbr.emulator.kinds import PROVIDERS
from airflow_cbr.emulator.world import DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_VAULT
from airflow_cbr.evidence.judgement import State, judge
from airflow_cbr.exceptions import CbrError
from airflow_cbr.hooks import metrics
from tests.support.task_run import verifying

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.emulator.service import Emulator
    from airflow_cbr.emulator.store import Backup

_ENDPOINTS: Final = SimpleNamespace(endpoints=SimpleNamespace(cloud="myhuaweicloud.com"), console=None)
_SAME: Final = ("resource_id", "resource_type", "resource_size", "contain_system_disk")
"""What a replica must have as its source has it."""


# --- what the destination holds -----------------------------------------------------------------------------------------------


@dataclass
class Holdings:
    """What of a source vault the destination vault held at a moment.

    :param now: the moment, Unix time.
    :param made: by source backup that has a good replica, when it was made; None when the service does not say that.
    :param gb: of each of them.
    :param newest: by bound resource, when the newest of its backups that have a good replica was made; None when there is none.
    """

    now: float
    made: dict[str, float | None]
    gb: dict[str, float]
    newest: dict[str, float | None]

    @property
    def worst(self) -> float | None:
        """Return when the newest backup with a good replica was made, of the resource that is worst off; None when one has none."""
        times = list(self.newest.values())
        return None if not times or None in times else min(time for time in times if time is not None)


def holdings(emulator: Emulator) -> Holdings:
    """Return what the destination vault holds of the source vault, by the emulator's log of what it did and its store."""
    service = emulator.service
    now = service.settle()
    made: dict[str, float | None] = {}
    gb: dict[str, float] = {}
    newest: dict[str, float | None] = {}
    for resource in _shown(service.store.vaults[SOURCE_VAULT], "resources") or ():
        newest[resource if isinstance(resource, str) else resource["id"]] = None
    for log in service.store.logs.values():
        if log.operation_type != "replication" or log.status != "success":
            continue
        source = service.store.backups.get(log.detail["source_backup_id"])
        replica = service.store.backups.get(log.detail["destination_backup_id"] or "")
        if source is None or replica is None or source.vault_id != SOURCE_VAULT or not _is_good(replica, source, now):
            continue
        created = _time(source, "created_at")
        made[source.id], gb[source.id] = created, float(_shown(replica, "resource_size"))
        resource_id = _shown(source, "resource_id")
        if resource_id in newest and created is not None and created <= now + 300:
            newest[resource_id] = max(created, newest[resource_id] or 0.0)
    return Holdings(now, made, gb, newest)


def _is_good(replica: Backup, source: Backup, now: float) -> bool:
    expired_at = _time(replica, "expired_at")
    says_when = _shown(replica, "expired_at") is not None
    size = _shown(replica, "resource_size")
    return (
        (replica.vault_id, _shown(replica, "project_id")) == (DESTINATION_VAULT, DESTINATION_PROJECT)
        and (_shown(replica, "status"), _shown(replica, "image_type")) == ("available", "replication")
        and all(_shown(replica, name) == _shown(source, name) for name in _SAME)
        and _shown(replica, "provider_id") in PROVIDERS.values()
        and isinstance(size, int | float)
        and size > 0
        and (not says_when or (expired_at is not None and expired_at > now))
    )


def _shown(one: Any, name: str) -> Any:
    """Return a field as a client would see it: a test may have put another value into the row."""
    return one.row[name] if name in one.row else getattr(one, name)


def _time(one: Backup, name: str) -> float | None:
    value = _shown(one, name)
    if isinstance(value, str):
        read = parse_time(value)
        return None if read is None else read.timestamp()
    return None if value is None else float(value)


# --- what is told -------------------------------------------------------------------------------------------------------------


@dataclass
class Told:
    """What everybody was told of one verification.

    :param state: of the task instance.
    :param outcome: the rendered field that the page reads, or None.
    :param events: the extras of the events of its outlets.
    :param sent: names and values of the metrics.
    :param facet: of the lineage, or None.
    :param report: the XCom ``verification``, or None.
    :param evidence: the content of the file of evidence, or None.
    """

    state: str
    outcome: dict[str, Any] | None
    events: list[dict[str, Any]]
    sent: list[tuple[str, Any]]
    facet: dict[str, Any] | None
    report: dict[str, Any] | None
    evidence: dict[str, Any] | None


class _Recorder:
    """A ``Stats`` that notes what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def gauge(self, stat: str, value: Any, *, tags: dict[str, str]) -> None:
        """Note a gauge."""
        self.sent.append((stat, value))

    def incr(self, stat: str, value: Any, *, tags: dict[str, str]) -> None:
        """Do nothing: what a client counts is no verdict."""


def tell(here: CbrClient, there: CbrClient, folder: Path, **changes: Any) -> Told:
    """Let the verify operator run, and return what it tells.

    :param here: a client of the source.
    :param there: a client of the destination.
    :param folder: for evidence; empty.
    :param changes: parameters of the operator that differ from the defaults.
    """
    asset = vault_asset("cn-shenzhen-1", DESTINATION_PROJECT, DESTINATION_VAULT)
    run = verifying(changes.pop("replication_record_ids", None), outlets=[asset], evidence_path=str(folder), **changes)
    for name, client in (("hook", here), ("destination_hook", there)):
        run.task.__dict__[name] = SimpleNamespace(client=client, region=client.region, fields=_ENDPOINTS)
    recorder, state = _Recorder(), "success"
    with patch.object(metrics, "stats", lambda: recorder):
        try:
            run.attempt()
        except AirflowSkipException:
            state = "skipped"
        except (CbrError, AirflowFailException):
            state = "failed"
    lineage = run.task.get_openlineage_facets_on_complete(run)
    files = sorted(folder.glob("*/*.json"))
    return Told(
        state=state,
        outcome=run.task.outcome,
        events=[run.outlet_events[outlet].extra for outlet in run.task.outlets] if state == "success" else [],
        sent=recorder.sent,
        facet=None if lineage is None else asdict(lineage.run_facets["cbr_replication"]),
        report=run.xcoms.get("verification"),
        evidence=json.loads(files[-1].read_bytes())["content"] if files else None,
    )


# --- what of it is false ------------------------------------------------------------------------------------------------------


@dataclass
class Morning:
    """One verification: what was told, and what was so."""

    told: Told
    held: Holdings
    false: list[str] = field(default_factory=list)
    """What was told and was not so."""

    @property
    def is_green(self) -> bool:
        """Return whether somebody was told that replicas are verified."""
        return bool(self.told.events)

    @classmethod
    def of(cls, emulator: Emulator, here: CbrClient, there: CbrClient, folder: Path, **changes: Any) -> Morning:
        """Verify, and compare.

        :param emulator: of the world that both clients look at.
        :param folder: for evidence; empty.
        :param changes: as of :func:`tell`.
        """
        morning = cls(tell(here, there, folder, **changes), holdings(emulator))
        morning.false += morning._false_facts() + morning._false_numbers() + morning._false_evidence()
        return morning

    def _false_facts(self) -> list[str]:
        told, report = self.told, self.told.report
        facts = [("event", one) for one in told.events]
        facts += [("outcome", told.outcome)] if told.outcome and "verdict" in told.outcome else []
        facts += [("facet", told.facet)] if told.facet is not None else []
        if report is None:
            return [f"there is an {name}, and no report" for name, _ in facts]
        found = []
        for name, one in facts:
            verified = [entry for entry in report["backups"] if entry["verdict"] == "verified"]
            held = [entry for entry in verified if entry["id"] in self.held.made]
            if one["counts"]["verified"] > len(held):
                found.append(f"the {name} counts {one['counts']['verified']} verified replicas, of which {len(held)} are there")
            all_there = bool(held) and len(held) + one["counts"]["skipped"] == len(report["backups"])
            if one["verdict"] == "verified" and not all_there:
                found.append(f"the {name} says verified, of {len(held)} good replicas of {len(report['backups'])}")
            if one.get("verified_at") is not None:
                found += self._false_time(name, datetime.fromisoformat(one["verified_at"]).timestamp(), one.get("age_seconds"))
            if one.get("size_gb", 0) > sum(self.held.gb.get(entry["id"], 0.0) for entry in report["backups"]) + 0.001:
                found.append(f"the {name} says {one['size_gb']} GB verified")
        return found

    def _false_numbers(self) -> list[str]:
        sent = dict(self.told.sent)
        if "cbr.replica.verified_at" not in sent:
            return ["an age without its time"] if "cbr.replica.age_seconds" in sent else []
        return self._false_time("metric", sent["cbr.replica.verified_at"], sent["cbr.replica.age_seconds"])

    def _false_time(self, name: str, verified_at: float, age: float | None) -> list[str]:
        worst = self.held.worst
        if worst is None:
            return [f"the {name} says when the worst resource's newest replica is from; one has none"]
        late = [f"the {name} says {verified_at - worst:.0f} s later than the newest good replica"] if verified_at > worst + 0.001 else []
        # The clocks of two regions, and the seconds in which headers say the time.
        young = age is not None and age < self.held.now - worst - 5
        return [*late, f"the {name} says an age of {age} s, but it is {self.held.now - worst:.0f} s"] if young else late

    def _false_evidence(self) -> list[str]:
        if self.told.evidence is None:
            return []
        found = []
        for resource in self.told.evidence["report"]["resources"]:
            newest = self.held.newest.get(resource["id"])
            if resource["verified_at"] is None:
                continue
            if newest is None or datetime.fromisoformat(resource["verified_at"]).timestamp() > newest + 0.001:
                found.append(f"the evidence says that {resource['name']} has a replica of {resource['verified_at']}")
        judged = judge(msgspec.Raw(json.dumps(self.told.evidence).encode()))
        if judged.state is State.MET:
            assert judged.rpo is not None
            if self.held.worst is None or self.held.now - self.held.worst > judged.rpo + 5:
                found.append("the evidence shows that the RPO was met")
        return found

    # --- the page -------------------------------------------------------------------------------------------------------------

    def as_if_at(self, now: datetime) -> dict[str, Any] | None:
        """Return the outcome as if the verification had been at another time, since a page compares it with its own."""
        if self.told.outcome is None:
            return None
        shift = now - datetime.fromtimestamp(self.held.now, UTC)
        outcome = dict(self.told.outcome)
        for name in ("verified_at", "at"):
            if outcome.get(name) is not None:
                outcome[name] = (datetime.fromisoformat(outcome[name]) + shift).isoformat()
        return outcome

    def false_cells(self, shown: dict[str, Any], *, since: timedelta = timedelta()) -> list[str]:
        """Return what of a row of the page is not so.

        :param shown: the row: ``verdict``, ``age`` in seconds, ``size`` and ``maxAge``.
        :param since: how much later than the verification the page was read.
        """
        report, worst, found = self.told.report, self.held.worst, []
        age = None if worst is None else self.held.now - worst + since.total_seconds()
        if shown["verdict"] in ("verified", "unjudged", "late"):
            assert report is not None
            if any(entry["id"] not in self.held.made for entry in report["backups"] if entry["verdict"] != "skipped"):
                found.append(f"the page says {shown['verdict']}")
        if shown["verdict"] == "verified" and (age is None or age > shown["maxAge"] + 5):
            found.append(f"the page says verified, at an age of {age}")
        if shown["age"] is not None and (age is None or shown["age"] < age - 5):
            found.append(f"the page says an age of {shown['age']}, but it is {age}")
        if (shown["size"] or 0) > sum(self.held.gb.values()) + 0.001:
            found.append(f"the page says {shown['size']} GB")
        return found
