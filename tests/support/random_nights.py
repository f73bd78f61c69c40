"""Random nights under a seed: what may go wrong goes wrong, and the ledger is read at the end."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_cbr.emulator.world import SOURCE_VAULT
from airflow_cbr.exceptions import CbrError
from airflow_cbr.replication.steps import Result, Step
from tests.support.replication_night import Killed, Night

if TYPE_CHECKING:
    from tests.support.emulator import ControlClient

ATTEMPTS = 12
"""More than any schedule needs: a night that is not green by then has lost something."""

LOST_ANSWERS: list[dict[str, Any]] = [
    {"kind": "reset"},
    {"kind": "timeout"},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 502},
    {"kind": "status", "status": 504},
    {"kind": "html"},
    {"kind": "not_json"},
    {"kind": "code", "code": "6130"},
    {"kind": "code", "code": "1009"},
    {"kind": "code", "code": "0001"},
    {"kind": "code", "code": "1007"},
    {"kind": "empty_backups"},
]
LATE: dict[str, Any] = {"kind": "late"}
READ_FAULTS: list[dict[str, Any]] = [
    {"kind": "reset"},
    {"kind": "timeout"},
    {"kind": "status", "status": 503},
    {"kind": "throttle", "retry_after": 20},
    {"kind": "throttle"},
    {"kind": "truncated"},
    {"kind": "html"},
    {"kind": "token_revoked"},
    {"kind": "token_expired"},
]


@dataclass
class Outcome:
    """What became of a night.

    :param duplicates: backups of which a copy was started although one had succeeded or was running.
    :param lost: records of successful copies that the task does not name.
    :param false_green: backups that the green task answered for and that have no good copy.
    :param green: whether it ended green at all.
    """

    duplicates: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    false_green: list[str] = field(default_factory=list)
    green: bool = False

    @property
    def is_good(self) -> bool:
        """Return whether nothing was duplicated, lost or wrongly called copied."""
        return self.green and not (self.duplicates or self.lost or self.false_green)


def play(seed: int, *, durable: bool = True) -> Outcome:
    """Play one random night, and judge it.

    :param seed: of all that is random.
    :param durable: False switches adoption off, to show that the campaign can fail.
    """
    night, result = go_through(seed, durable=durable)
    return judge(night.control, SOURCE_VAULT, result.record_ids if result is not None else None)


def go_through(seed: int, *, durable: bool = True) -> tuple[Night, Result | None]:
    """Return one random night that is over, and how its order ended; None when it is not green.

    :param seed: of all that is random.
    :param durable: False switches adoption off.
    """
    chance = random.Random(seed)
    careless = chance.random() < 0.5
    night = Night(durable_store=chance.random() < 0.6, spec={"durable": durable, "poll_interval": 20.0, "max_poll_interval": 300.0})
    _arrange(night, chance, careless=careless)
    deferred = chance.random() < 0.5
    result: Result | None = None
    for _ in range(ATTEMPTS):
        kill_at = chance.randrange(1, 60) if chance.random() < 0.5 else None
        try:
            result = night.attempt(deferred=deferred, observe=_killer(night, chance, kill_at, writers=not careless))
        except (Killed, CbrError):
            night.clock.advance(chance.choice([1, 30, 300]))
            if chance.random() < 0.1:
                chance.choice([night.clear, night.clear_and_forget])()
        else:
            break
    return night, result


def _arrange(night: Night, chance: random.Random, *, careless: bool) -> None:
    control = night.control
    # The limits of the promise: within settle_time where the service is careless, beyond it where its own refusals are the net.
    longest = 100 if careless else 400
    control.switch(
        careless=careless,
        record_delay=chance.choice([0, 0, 10, 60, longest]),
        operation_log_delay=chance.choice([0, 0, 10, 60, longest]),
        operation_log_vault_id=chance.random() < 0.5,
        copy_seconds=chance.choice([1, 30, 600, 7200]),
        queue_seconds=chance.choice([0, 5, 60]),
        progress=chance.choice(["linear", "bursty", "stuck", "null"]),
        when_all_copied=chance.choice(["1009", "0001", "empty", "skip"]),
        failed_taken_again=chance.random() < 0.5,
        single_while_replicating=chance.choice(["accepted", "6130"]),
        extra_info_as_text=chance.random() < 0.2,
        time_notation=chance.choice(["naive", "offset", "zulu"]),
    )
    for _ in range(chance.randrange(4)):
        control.add_backup(SOURCE_VAULT, age_seconds=chance.choice([300, 7200]))
    for _ in range(chance.randrange(3)):
        control.fault(
            call="CopyCheckpoint", when=chance.choice(["before", "after"]), nth=chance.randrange(1, 3), **chance.choice(LOST_ANSWERS)
        )
    for _ in range(chance.randrange(2)):
        control.fault(call="CopyBackup", when=chance.choice(["before", "after"]), nth=chance.randrange(1, 3), **chance.choice(LOST_ANSWERS))
    if chance.random() < 0.2:
        # Within settle_time together with the delay of its record where the service is careless; as late as can be where it is not.
        late = 100 - float(control.switch()["record_delay"]) if careless else 900.0
        control.fault(call="CopyCheckpoint", when="before", seconds=max(late * chance.random(), 1.0), **LATE)
    for _ in range(chance.randrange(4)):
        fault = dict(chance.choice(READ_FAULTS))
        # A token that is refused again and again is a refusal for good; a page that cannot be read costs an attempt each.
        most = {"token_revoked": 1, "token_expired": 1, "html": 2, "truncated": 2}.get(fault["kind"], 30)
        control.fault(
            call=chance.choice(["ListBackups", "ListOpLogs"]),
            nth=chance.randrange(1, 8),
            count=min(chance.choice([1, 2, 30]), most),
            **fault,
        )
    for _ in range(chance.randrange(2)):
        control.fault("copy_fails", vault_id=SOURCE_VAULT, nth=chance.randrange(1, 5))


def _killer(night: Night, chance: random.Random, kill_at: int | None, *, writers: bool) -> Any:
    seen = 0
    client = night.client()

    def observe(step: Step, moment: str) -> None:
        nonlocal seen
        seen += 1
        if seen == kill_at:
            raise Killed
        if writers and step is Step.REPLICATE_VAULT and moment == "before" and chance.random() < 0.2:
            _write_beside(night, client)

    return observe


def _write_beside(night: Night, client: Any) -> None:
    """Let somebody else replicate the vault at the worst moment."""
    destination = night.spec["destination"]
    try:
        client.replicate_checkpoint(
            vault_id=SOURCE_VAULT,
            destination_region=destination.region,
            destination_project_id=destination.project_id,
            destination_vault_id=destination.vault_id,
        )
    except CbrError:
        return


def judge(control: ControlClient, vault_id: str, record_ids: list[str] | None) -> Outcome:
    """Compare what the service did with what a task says.

    :param control: control calls of the emulator.
    :param vault_id: the source vault.
    :param record_ids: the records that the green task names, or None when it is not green.
    """
    outcome = Outcome(green=record_ids is not None)
    replications = control.ledger(vault_id)["replications"]
    good: dict[str, str] = {}
    for started in replications:
        if started["outcome"] in ("skip", "fail"):
            continue
        if started["backup_id"] in good:
            outcome.duplicates.append(started["backup_id"])
        good[started["backup_id"]] = started["record_id"]
    if record_ids is not None:
        outcome.lost = [record_id for record_id in good.values() if record_id not in record_ids]
        done = {started["backup_id"] for started in replications if started["outcome"] == "success"}
        outcome.false_green = [backup["id"] for backup in control.state(vault_id)["backups"] if backup["id"] not in done]
    return outcome
