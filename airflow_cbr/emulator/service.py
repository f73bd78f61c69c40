"""One world at work: every call passes here, from its arrival to the answer and to how the answer is delivered."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_cbr.emulator.agencies import Agencies
from airflow_cbr.emulator.backup_jobs import BackupJobs
from airflow_cbr.emulator.bounds import MOST_AT_START, MOST_BACKUPS
from airflow_cbr.emulator.cbr_calls import CbrCalls, Visit
from airflow_cbr.emulator.clock import Clock, Timeline
from airflow_cbr.emulator.copy_jobs import CopyJobs
from airflow_cbr.emulator.deletions import Deletions
from airflow_cbr.emulator.error_responses import gateway, malformed_url
from airflow_cbr.emulator.exchange import Answer, Call, Delivery, Refusal
from airflow_cbr.emulator.faults import Arrival, FaultsInForce
from airflow_cbr.emulator.iam import Iam
from airflow_cbr.emulator.iam_calls import IamCalls
from airflow_cbr.emulator.ids import Ids
from airflow_cbr.emulator.image_calls import IMAGE_WRITES, ImageCalls
from airflow_cbr.emulator.key_calls import KeyCalls
from airflow_cbr.emulator.ledger import CallEntry, Ledger
from airflow_cbr.emulator.machine_parts import DEFAULT_FLAVORS
from airflow_cbr.emulator.machines import Machines
from airflow_cbr.emulator.populate import Populator
from airflow_cbr.emulator.replication_rules import ReplicationRules
from airflow_cbr.emulator.server_calls import SERVER_WRITES, ServerCalls
from airflow_cbr.emulator.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.emulator.store import Project
    from airflow_cbr.emulator.world import World

WRITES: Final = frozenset({"CopyCheckpoint", "CopyBackup", "CreateCheckpoint", "DeleteBackup"}) | IMAGE_WRITES | SERVER_WRITES


@dataclass
class Reply:
    """An answer, how it reaches the client, and what to call when it has."""

    answer: Answer
    delivery: Delivery
    delivered: Callable[[], None]


class Service:
    """IAM, STS, CBR, IMS and ECS of one world, and what hands out keys on a server and in a pod.

    :param world: what there is.
    :param clock: simulated time; it goes on when another world takes this one's place.
    :param most_backups: backups and replicas that the world may bring. Default: what a control call may make.
    """

    def __init__(self, world: World, clock: Clock, most_backups: int = MOST_BACKUPS) -> None:
        self.world = world
        self._most_backups = most_backups
        self.clock = clock
        self.switches = world.switches.model_copy(deep=True)
        self.timeline = Timeline()
        self.store = Store()
        self.machines = Machines(DEFAULT_FLAVORS if world.flavors is None else world.flavors, world.networks)
        self.ledger = Ledger()
        self.faults = FaultsInForce(world.seed)
        for fault in world.faults:
            self.faults.add(fault)
        self._ids = Ids(world.seed)
        self.populator = Populator(self.store, self._ids, self.switches, self.ledger)
        self.populator.build(world.regions, world.projects, world.vaults, clock.now(), most_backups)
        self.iam = Iam(
            account=world.account,
            users=world.users,
            agencies=Agencies(world.agencies, account=world.account, clock=clock, ids=self._ids),
            store=self.store,
            clock=clock,
            switches=self.switches,
            ids=self._ids,
        )
        self.key_calls = KeyCalls(world, self.iam, clock=clock, switches=self.switches, ids=self._ids)
        machinery: dict[str, Any] = {
            "store": self.store,
            "timeline": self.timeline,
            "switches": self.switches,
            "faults": self.faults,
            "ids": self._ids,
            "ledger": self.ledger,
        }
        self.deletions = Deletions(
            store=self.store,
            timeline=self.timeline,
            switches=self.switches,
            ids=self._ids,
            ledger=self.ledger,
            populator=self.populator,
            machines=self.machines,
        )
        self.cbr = CbrCalls(
            store=self.store,
            switches=self.switches,
            replication=ReplicationRules(store=self.store, switches=self.switches, copies=CopyJobs(**machinery, populator=self.populator)),
            checkpoints=BackupJobs(**machinery),
            deletions=self.deletions,
        )
        images = ImageCalls(**machinery, machines=self.machines, populator=self.populator)
        del machinery["store"]
        servers = ServerCalls(**machinery, machines=self.machines)
        self._of_a_project = ChainMap(self.cbr.by_name, images.by_name, servers.by_name)
        self._of_no_project = IamCalls(self.iam).by_name | self.key_calls.by_name

    def anew(self) -> Service:
        """Return the service as it was at the start of its world; the clock has gone on."""
        return Service(self.world, self.clock, self._most_backups)

    def settle(self) -> float:
        """Let happen what is due.

        :return: the simulated time.
        """
        now = self.clock.now()
        self.timeline.run_until(now)
        self.deletions.expire(now)
        return now

    def handle(self, call: Call) -> Reply:
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

        def carry_out(moment: float) -> Answer:
            answer, outcome = self.carry_out(call, moment, request_id, entry)
            if entry is not None:
                entry.outcome = outcome
            return answer

        fault = self.faults.on_call(call, vault_id)
        try:
            answer = fault.on_call(Arrival(call, now, self.store, self.iam, self.populator, self.timeline, carry_out))
        except Refusal as refusal:
            answer = refusal.answer(request_id)
        here = now + self._clock_ahead(call)
        answer.headers |= {"X-Request-Id": request_id, "Server": "api-gateway", "Date": formatdate(here, usegmt=True)}
        if call.name.startswith("Keystone"):
            answer.headers["X-IAM-Trace-Id"] = f"token_emulator_null_{request_id}"
        delivery = fault.on_sending(answer, here)
        if entry is not None:
            entry.fault = fault.kind or None
            entry.status = answer.status if delivery.how in ("whole", "truncated") else None
            entry.answer = _decoded(answer) if delivery.how == "whole" else None

        def delivered() -> None:
            if entry is not None:
                entry.answer_delivered = True

        return Reply(answer, delivery, delivered)

    def carry_out(self, call: Call, now: float, request_id: str, entry: CallEntry | None) -> tuple[Answer, str]:
        """Do what a call asks for, without any fault.

        :param call: the call.
        :param now: simulated time.
        :param request_id: its request id.
        :param entry: its place in the ledger, when it writes.
        :return: the answer, and in a word what was decided: ``accepted`` or a code.
        """
        try:
            of_no_project = self._of_no_project.get(call.name)
            if of_no_project is not None:
                return of_no_project(call), "accepted"
            handler = self._of_a_project.get(call.name)
            if handler is None:
                raise gateway("APIG.0101", "The API does not exist or has not been published in the environment.", 404)
            project = self._project_of(call)
            if project is None:
                raise malformed_url()
            caller = self.iam.caller(call, project)
            if entry is not None:
                entry.by = caller.name
            return handler(Visit(call, caller, project, now, request_id, entry)), "accepted"
        except Refusal as refusal:
            outcome = refusal.content.get("error_code") or "refused"
            return refusal.answer(request_id, self.switches.code_status), outcome

    def _clock_ahead(self, call: Call) -> float:
        project = self._project_of(call)
        return self.store.clocks_ahead.get(project.region, 0.0) if project is not None else 0.0

    def _project_of(self, call: Call) -> Project | None:
        """Return the project that a call is about; IMS has most calls' project from who asks, and not from the path."""
        return self.store.projects.get(call.path.get("project_id") or self.iam.scope_of(call) or "")

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

    :param world: the first world, which may be larger than those that control calls put in its place.
    :param clock: simulated time. Default: real time.
    """

    def __init__(self, world: World, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.service = Service(world, self.clock, MOST_AT_START)

    def replace(self, world: World) -> None:
        """Put another world in force; nothing of the old one stays, not even its ledger.

        :param world: the new world.
        """
        self.service = Service(world, self.clock)

    def reset(self) -> None:
        """Start the world in force anew."""
        self.service = self.service.anew()
