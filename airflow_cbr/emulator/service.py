"""One world at work: every call passes here, from its arrival to the answer and to how the answer is delivered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_cbr.emulator.answers import dated, delivery_of, instead, refused, spoilt
from airflow_cbr.emulator.cbr_calls import CbrCalls, Visit
from airflow_cbr.emulator.checkpoints import Checkpoints
from airflow_cbr.emulator.clock import Clock, Timeline
from airflow_cbr.emulator.copies import Copies
from airflow_cbr.emulator.exchange import Answer, Call, Delivery, Refusal
from airflow_cbr.emulator.faults import CallFault, Faults, LateFault, MovingRowsFault, TokenFault
from airflow_cbr.emulator.iam import Iam, is_token_call
from airflow_cbr.emulator.iam_calls import IamCalls
from airflow_cbr.emulator.ids import Ids
from airflow_cbr.emulator.ledger import CallEntry, Ledger
from airflow_cbr.emulator.populate import Populator
from airflow_cbr.emulator.refusals import gateway, malformed_url
from airflow_cbr.emulator.replication import Replication
from airflow_cbr.emulator.store import Store, Vault
from airflow_cbr.emulator.world import BackupPart, World

if TYPE_CHECKING:
    from collections.abc import Callable

WRITES: Final = frozenset({"CopyCheckpoint", "CopyBackup", "CreateCheckpoint", "DeleteBackup"})


@dataclass
class Outcome:
    """An answer, how it reaches the client, and what to call when it has."""

    answer: Answer
    delivery: Delivery
    delivered: Callable[[], None]


class Service:
    """IAM and CBR of one world.

    :param world: what there is.
    :param clock: simulated time; it goes on when another world takes this one's place.
    """

    def __init__(self, world: World, clock: Clock) -> None:
        self.world = world
        self.clock = clock
        self.switches = world.switches.model_copy(deep=True)
        self.timeline = Timeline()
        self.store = Store()
        self.ledger = Ledger()
        self.faults = Faults(world.seed)
        for fault in world.faults:
            self.faults.add(fault)
        self._ids = Ids(world.seed)
        self.populator = Populator(self.store, self._ids, self.switches)
        self.populator.build(world, clock.now())
        self.iam = Iam(account=world.account, users=world.users, store=self.store, clock=clock, switches=self.switches, ids=self._ids)
        copies = Copies(
            store=self.store,
            timeline=self.timeline,
            switches=self.switches,
            faults=self.faults,
            ids=self._ids,
            ledger=self.ledger,
            populator=self.populator,
        )
        self.cbr = CbrCalls(
            store=self.store,
            switches=self.switches,
            clock=clock,
            replication=Replication(store=self.store, switches=self.switches, copies=copies),
            checkpoints=Checkpoints(
                store=self.store,
                timeline=self.timeline,
                switches=self.switches,
                faults=self.faults,
                ids=self._ids,
                ledger=self.ledger,
            ),
            ledger=self.ledger,
        )
        self._iam_calls = IamCalls(self.iam)

    def settle(self) -> float:
        """Let happen what is due.

        :return: the simulated time.
        """
        now = self.clock.now()
        self.timeline.run_until(now)
        return now

    def handle(self, call: Call) -> Outcome:
        """Answer a call.

        :param call: the call.
        """
        now = self.settle()
        request_id = self._ids.hex32()
        vault_id = self._vault_of(call)
        self.ledger.count(call.name, vault_id if vault_id in self.store.vaults else None)
        entry = None
        if call.name in WRITES:
            entry = self.ledger.enter(call=call.name, at=now, project_id=call.path.get("project_id"), vault_id=vault_id, request=call.json)
        fault = self.faults.on_call(call, vault_id, by_token=is_token_call(call.headers))
        answer, outcome = self._answer(call, fault, now, request_id, entry)
        answer.headers |= {"X-Request-Id": request_id, "Server": "api-gateway"} | dated(fault, now + self._clock_ahead(call))
        if call.name.startswith("Keystone"):
            answer.headers["X-IAM-Trace-Id"] = f"token_emulator_null_{request_id}"
        delivery = delivery_of(fault)
        if entry is not None:
            entry.outcome, entry.fault = outcome, fault.kind if fault else None
            entry.status = answer.status if delivery.how in ("whole", "truncated") else None
            entry.answer = _decoded(answer) if delivery.how == "whole" else None

        def delivered() -> None:
            if entry is not None:
                entry.answer_delivered = True

        return Outcome(answer, delivery, delivered)

    def _answer(self, call: Call, fault: CallFault | None, now: float, request_id: str, entry: CallEntry | None) -> tuple[Answer, str]:
        """Return the answer, and in a word what the service itself did."""
        if fault is not None:
            self._disturb(fault, call, now)
        own: Answer | None = None
        outcome = "not carried out"
        if isinstance(fault, LateFault):
            self.timeline.at(now + fault.seconds, lambda then: self._carry_out_late(call, then, request_id, entry))
        if fault is None or fault.when == "after" or isinstance(fault, TokenFault | MovingRowsFault):
            own, outcome = self.carry_out(call, now, request_id, entry)
        if fault is not None:
            replaced = instead(fault, call, now)
            if isinstance(replaced, Refusal):
                return refused(replaced, {}, request_id), outcome
            if replaced is not None:
                return replaced, outcome
            if own is not None:
                return spoilt(fault, own), outcome
        return own or Answer(200), outcome

    def _carry_out_late(self, call: Call, then: float, request_id: str, entry: CallEntry | None) -> None:
        _, outcome = self.carry_out(call, then, request_id, entry)
        if entry is not None:
            entry.outcome = outcome

    def carry_out(self, call: Call, now: float, request_id: str, entry: CallEntry | None) -> tuple[Answer, str]:
        """Do what a call asks for, without any fault.

        :param call: the call.
        :param now: simulated time.
        :param request_id: its request id.
        :param entry: its place in the ledger, when it writes.
        :return: the answer, and in a word what was decided: ``accepted`` or a code.
        """
        try:
            on_iam = self._iam_calls.by_name.get(call.name)
            if on_iam is not None:
                return on_iam(call), "accepted"
            handler = self.cbr.by_name.get(call.name)
            if handler is None:
                raise gateway("APIG.0101", "The API does not exist or has not been published in the environment.", 404)
            project = self.store.projects.get(call.path["project_id"])
            if project is None:
                raise malformed_url()
            caller = self.iam.caller(call, project)
            if entry is not None:
                entry.by = caller.name
            return handler(Visit(call, caller, project, now, request_id, entry)), "accepted"
        except Refusal as refusal:
            outcome = refusal.content.get("error_code") or "refused"
            return refused(refusal, self.switches.code_status, request_id), outcome

    def _disturb(self, fault: CallFault, call: Call, now: float) -> None:
        if isinstance(fault, TokenFault):
            self.iam.end_tokens(value=call.headers.get("x-auth-token"), expire=fault.kind == "token_expired")
        elif isinstance(fault, MovingRowsFault):
            vault = self._vault_for_rows(call)
            if vault is None:
                return
            newest = self.store.listing(vault.project_id, vault.id)
            if fault.kind == "rows_deleted":
                for backup in newest[: fault.rows]:
                    self.cbr.remove_backup(backup)
                return
            for number in range(min(fault.rows, self.populator.room)):
                self.populator.add_backup(vault, BackupPart(age_seconds=0), now, number)

    def _vault_for_rows(self, call: Call) -> Vault | None:
        asked = call.asked("vault_id")
        if asked is not None:
            return self.store.vaults.get(asked)
        return next((vault for vault in self.store.vaults.values() if vault.project_id == call.path.get("project_id")), None)

    def _clock_ahead(self, call: Call) -> float:
        project = self.store.projects.get(call.path.get("project_id", ""))
        return self.store.clocks_ahead.get(project.region, 0.0) if project is not None else 0.0

    def _vault_of(self, call: Call) -> str | None:
        """Return the vault that a call is about, as far as it can be told without judging the call."""
        if "vault_id" in call.path:
            return call.path["vault_id"]
        if "backup_id" in call.path:
            backup = self.store.backups.get(call.path["backup_id"])
            return backup.vault_id if backup else None
        if call.method == "GET":
            return call.asked("vault_id")
        body = call.json if isinstance(call.json, dict) else {}
        for key in ("replicate", "checkpoint"):
            part = body.get(key)
            if isinstance(part, dict) and isinstance(part.get("vault_id"), str):
                return str(part["vault_id"])
        return None


def _decoded(answer: Answer) -> Any:
    try:
        return msgspec.json.decode(answer.body) if answer.body else None
    except msgspec.MsgspecError:
        return answer.body.decode(errors="replace")


class Emulator:
    """The service of the world that is in force, and the clock that outlives it.

    :param world: the first world.
    :param clock: simulated time. Default: real time.
    """

    def __init__(self, world: World, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.service = Service(world, self.clock)

    def replace(self, world: World) -> None:
        """Put another world in force; nothing of the old one stays, not even its ledger.

        :param world: the new world.
        """
        self.service = Service(world, self.clock)

    def reset(self) -> None:
        """Start the world in force anew."""
        self.service = Service(self.service.world, self.clock)
