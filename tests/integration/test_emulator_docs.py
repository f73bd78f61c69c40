"""The emulator's manual: its tables have every key, and its examples work."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
import requests
from pydantic_core import PydanticUndefined

from airflow_cbr.emulator import key_parts, machine_parts, vault_parts
from airflow_cbr.emulator.app import ROUTES
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.faults import KINDS, CallFault, CheckpointFault, CopyFault, ImageFault, InjectedFault, ServerFault
from airflow_cbr.emulator.image_calls import IMAGE_ROUTES
from airflow_cbr.emulator.server_calls import SERVER_ROUTES
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.switches import Switches
from airflow_cbr.emulator.world import World, default_world, read_world
from tests.support.emulator import EmulatorServer, InProcessAdapter
from tests.support.plain_client import Plain

if TYPE_CHECKING:
    from pydantic import BaseModel

MANUAL = (Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "emulator.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"<!-- (world|[A-Z]+ /_emulator\S+) -->\n```json\n(.*?)```", MANUAL, re.DOTALL)
PARTS: list[type[BaseModel]] = [
    World,
    key_parts.UserPart,
    vault_parts.RegionPart,
    vault_parts.ProjectPart,
    vault_parts.VaultPart,
    vault_parts.ResourcePart,
    vault_parts.BackupPart,
    vault_parts.GeneratePart,
    machine_parts.FlavorPart,
    machine_parts.NetworkPart,
    Switches,
]


def written(default: Any) -> str:
    return "required" if default is PydanticUndefined else f"`{json.dumps(default)}`"


def table(model: type[BaseModel]) -> str:
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        default = field.default
        if field.default_factory is not None:
            made = field.default_factory()  # type: ignore[call-arg]
            default = made if isinstance(made, list | dict) else {}
        rows.append(f"| `{name}` | {written(default)} | {field.description} |")
    return "\n".join(rows)


def fault_table(*families: type[InjectedFault]) -> str:
    rows = ["| kind | when | further keys (default) | what happens |", "|---|---|---|---|"]
    general = {name for family in (CallFault, CopyFault, CheckpointFault, ImageFault, ServerFault) for name in family.model_fields}
    for model, words in (one for family in families for one in KINDS.of(family).items()):
        own = {name: field for name, field in model.model_fields.items() if name not in general}
        kind = ", ".join(f"`{word}`" for word in words)
        moment = model.model_fields.get("when")
        when = " or ".join(f"`{word}`" for word in get_args(moment.annotation)) if moment else "copy"
        keys = "; ".join(f"`{name}` ({written(field.default)}): {str(field.description).rstrip('.')}" for name, field in own.items())
        rows.append(f"| {kind} | {when} | {keys or 'none'} | {model.__doc__} |")
    return "\n".join(rows)


def test_the_tables_of_the_world_file_have_every_key() -> None:
    for part in PARTS:
        assert table(part) in MANUAL, f"docs/reference/emulator.md lacks the newest table of {part.__name__}:\n{table(part)}"


def test_the_tables_of_faults_have_every_kind() -> None:
    for table in (fault_table(CallFault), fault_table(CopyFault, CheckpointFault, ImageFault, ServerFault)):
        assert table in MANUAL, f"docs/reference/emulator.md lacks the newest table of faults:\n{table}"


def test_the_calls_are_named() -> None:
    for name, method, path in (*ROUTES, *IMAGE_ROUTES, *SERVER_ROUTES):
        assert f"| `{name}` | `{method} {path}` |" in MANUAL


def test_the_default_world_is_shown() -> None:
    shown = default_world()
    for vault in shown.vaults:
        for value in (vault.id, vault.project_id, *(backup.id for backup in vault.backups)):
            assert f"`{value}`" in MANUAL
    for value in (shown.account, shown.users[0].name, shown.users[0].password, shown.users[0].access_key, shown.users[0].secret_key):
        assert f"`{value}`" in MANUAL


def test_there_are_examples_of_everything() -> None:
    assert {what for what, _ in EXAMPLES} >= {
        "world",
        "POST /_emulator/faults",
        "PATCH /_emulator/switches",
        "POST /_emulator/clock",
        "POST /_emulator/tokens/revoke",
        "POST /_emulator/vaults",
    }


@pytest.mark.parametrize(("what", "text"), EXAMPLES, ids=[f"{number}: {what}" for number, (what, _) in enumerate(EXAMPLES)])
def test_an_example_works(what: str, text: str) -> None:
    content = json.loads(text)
    if what == "world":
        Emulator(read_world(content))
        return
    method, path = what.split(" ")
    cbr = Plain.in_process(InProcessAdapter(Emulator(default_world(), Clock(speed=0))))
    answer = cbr.session.request(method, cbr.url + path, json=content, timeout=5)
    assert answer.status_code == 200, answer.text


def test_the_walk_through_copies_three_backups() -> None:
    """The request that the manual shows with curl, sent to a served emulator."""
    shown = re.search(r"<!-- replicate -->\n```json\n(.*?)```", MANUAL, re.DOTALL)
    assert shown is not None
    with EmulatorServer(clock=Clock(speed=0)) as server, requests.Session() as session:
        cbr = Plain(session, server.url, server.control)
        answer = cbr.send("POST", "/checkpoints/replicate", body=json.loads(shown[1]))
        assert len(answer.json()["replication"]["backups"]) == 3
        server.control.advance(10)
        assert set(cbr.statuses()) == {"success"}
