"""A new fault is one file: whoever registers a kind needs to change nothing else of the emulator."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

import airflow_cbr.emulator.faults
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.faults import KINDS, Arrival, CallFault, CheckpointFault, CopyFault, Ending, InjectedFault
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.world import BACKUPS, SOURCE_VAULT, default_world, load_world, read_world
from tests.support.emulator import ControlError, InProcessAdapter
from tests.support.plain_client import Plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_cbr.emulator.exchange import Answer, Delivery
    from airflow_cbr.emulator.faults import Copy
    from airflow_cbr.emulator.store import Backup, Checkpoint
    from tests.support.emulator import ControlClient


class TeapotFault(CallFault):
    """The service is a teapot, after it has done its work or before."""

    kind: Literal["teapot"]
    tea: str = "green"

    def on_call(self, arrival: Arrival) -> Answer:
        answer = super().on_call(arrival)
        answer.status, answer.body = 418, self.tea.encode()
        return answer

    def on_sending(self, answer: Answer, now: float) -> Delivery:
        answer.headers["X-Tea"] = self.tea
        return super().on_sending(answer, now)


class HastyFault(CopyFault):
    """A copy that does not wait, and ends in its own way."""

    kind: Literal["hasty"]

    def on_queue(self, seconds: float) -> float:
        return 0

    def on_start(self, copy: Copy) -> None:
        copy.timeline.at(copy.middle, lambda _moment: setattr(copy.record, "shown_status", "hastening"))

    def on_end(self, copy: Copy) -> Ending:
        copy.record.shown_status = None
        return Ending("fail", "BackupService.4242", "In a hurry.")


class HalfFault(CheckpointFault):
    """A checkpoint of which the first backup fails."""

    kind: Literal["half"]

    def on_backup(self, backup: Backup) -> Ending:
        return Ending("fail") if backup.resource_name == "ecs-web-01" else Ending()

    def on_end(self, checkpoint: Checkpoint) -> None:
        checkpoint.extra_info = {"name": "half"}


KIND_CLASSES: tuple[type[InjectedFault], ...] = (TeapotFault, HastyFault, HalfFault)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    for model in KIND_CLASSES:
        KINDS.register(model)
    yield
    for model in KIND_CLASSES:
        KINDS.forget(model)


@pytest.mark.parametrize(("when", "copies"), [("before", 0), ("after", 3)])
def test_a_fault_of_calls(cbr: Plain, control: ControlClient, when: str, copies: int) -> None:
    control.fault("teapot", call="CopyCheckpoint", when=when, tea="black", nth=2)
    control.fault("code", call="CopyCheckpoint", code="1007")
    assert cbr.replicate().status_code == 500
    control.advance(10)
    control.switch(careless=True)
    before = len(control.ledger()["replications"])
    answer = cbr.replicate()
    assert (answer.status_code, answer.text, answer.headers["X-Tea"]) == (418, "black", "black")
    ledger = control.ledger()
    assert len(ledger["replications"]) - before == copies
    assert (ledger["calls"][-1]["fault"], ledger["calls"][-1]["status"]) == ("teapot", 418)
    assert [(one["hits"], one["fault"]["kind"]) for one in control.faults()] == [(1, "teapot"), (1, "code")]


@pytest.mark.usefixtures("wrong_answers")
def test_a_fault_of_copies(cbr: Plain, control: ControlClient) -> None:
    control.fault("hasty", backup_id=BACKUPS[0])
    cbr.accepted()
    statuses = []
    for _ in range(4):
        control.advance(1)
        statuses.append(cbr.records(BACKUPS[0])[0]["status"])
    assert statuses == ["replicating", "hastening", "hastening", "fail"]
    assert control.ledger()["replications"][0]["outcome"] == "fail"


def test_a_fault_of_checkpoints(cbr: Plain, control: ControlClient) -> None:
    control.fault("half", vault_id=SOURCE_VAULT)
    checkpoint = cbr.send("POST", "/checkpoints", body={"checkpoint": {"vault_id": SOURCE_VAULT}}).json()["checkpoint"]["id"]
    control.advance(10)
    rows = cbr.get("/backups", checkpoint_id=checkpoint)["backups"]
    assert sorted(row["status"] for row in rows) == ["available", "available", "error"]
    assert cbr.get(f"/checkpoints/{checkpoint}")["checkpoint"]["extra_info"] == {"name": "half"}


def test_a_fault_of_a_world_file(tmp_path: Path) -> None:
    faults = [{"kind": "teapot", "call": "ListBackups", "tea": "oolong"}]
    world = read_world(default_world().model_dump(mode="json") | {"faults": faults})
    assert read_world(world.model_dump(mode="json")) == world
    (tmp_path / "world.json").write_text(world.model_dump_json())
    cbr = Plain.in_process(InProcessAdapter(Emulator(load_world(tmp_path / "world.json"), Clock(speed=0))))
    assert [cbr.send("GET", "/backups").status_code for _ in range(2)] == [418, 200]


def test_what_is_wrong_with_it_is_named(control: ControlClient) -> None:
    with pytest.raises(ControlError, match=r"0\.teapot\.tea: Input should be a valid string"):
        control.fault("teapot", tea=5)


def test_a_word_belongs_to_one_kind_and_to_none_when_it_is_forgotten(control: ControlClient) -> None:
    class OtherTeapot(CallFault):
        kind: Literal["kettle", "teapot"]

    with pytest.raises(ValueError, match="there is a fault teapot already"):
        KINDS.register(OtherTeapot)
    with pytest.raises(ControlError, match="kettle"):
        control.fault("kettle")
    KINDS.forget(TeapotFault)
    with pytest.raises(ControlError, match="teapot"):
        control.fault("teapot")
    KINDS.register(TeapotFault)
    control.fault("teapot")


def test_every_file_of_the_folders_brings_a_kind() -> None:
    """No list of kinds is kept anywhere: a file is found because it is there."""
    folder = Path(airflow_cbr.emulator.faults.__file__).parent
    files = {
        path.stem for name in ("on_calls", "on_copies", "on_machines") for path in (folder / name).glob("*.py") if path.stem != "__init__"
    }
    found = {model.__module__.rpartition(".")[2] for model in KINDS.of(InjectedFault) if model not in KIND_CLASSES}
    assert found == files


def test_the_emulator_knows_no_kind_outside_its_file() -> None:
    """No other module names the class of a kind."""
    folder = Path(airflow_cbr.emulator.faults.__file__).parent
    sources = {path: path.read_text(encoding="utf-8") for path in folder.parent.rglob("*.py")}
    for model in set(KINDS.of(InjectedFault)) - set(KIND_CLASSES):
        naming = [path.stem for path, text in sources.items() if re.search(rf"\b{model.__name__}\b", text)]
        assert naming == [model.__module__.rpartition(".")[2]]
