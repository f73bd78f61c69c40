"""An image is deleted without its replica, always: what leaves this machine says so, whatever it is asked for and answered."""

from __future__ import annotations

import ast
import inspect
import io
import json
import logging
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import urllib3

import airflow_cbr
from airflow_cbr.drills.cleanup import Cleanup, CleanupIntent
from airflow_cbr.drills.state import CleanupState
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.exceptions import CbrError
from airflow_cbr.once.steps import Pause
from airflow_cbr.operators import cbr as operators
from airflow_cbr.operators import drill_group
from tests.support.drill_night import DrillNight, replicated_world
from tests.support.drill_nights import arrange_machines
from tests.support.emulator import InProcessAdapter
from tests.support.fresh_machine import new_machine

if TYPE_CHECKING:
    import requests

pytestmark = pytest.mark.campaign

PACKAGE = Path(airflow_cbr.__file__).parent
WORDS = ("delete_backup", "deleteBackup", "Delete_Backup", "delete-backup")
TROUBLES: list[dict[str, Any]] = [
    {"kind": "reset"},
    {"kind": "status", "status": 500},
    {"kind": "throttle", "retry_after": 5},
    {"kind": "token_revoked"},
]
TRUTHS: tuple[Any, ...] = (True, "true", 1, {"delete_backup": True}, ["delete_backup"])


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class Tap(InProcessAdapter):
    """Keeps each request as it leaves, and lets the service talk of the deletion of backups wherever it can.

    :param chance: decides where.
    """

    def __init__(self, chance: random.Random) -> None:
        new_machine()
        super().__init__(Emulator(replicated_world(), Clock(speed=0)), latency=0.05)
        self.sent: list[requests.PreparedRequest] = []
        self._chance = chance

    def send(self, request: requests.PreparedRequest, *rest: Any, **options: Any) -> requests.Response:
        self.sent.append(request.copy())
        response = super().send(request, *rest, **options)
        body = response.content
        with suppress(ValueError):
            body = json.dumps(self._spoil(json.loads(body))).encode()
        kept = {name: value for name, value in response.headers.items() if name.lower() != "content-length"}
        headers = kept | {"X-Delete-Backup": "true", "Content-Length": str(len(body))}
        raw = urllib3.HTTPResponse(
            body=io.BytesIO(body), headers=headers, status=response.status_code, preload_content=False, request_method=request.method
        )
        return self._builder.build_response(request, raw)

    def _spoil(self, answered: Any) -> Any:
        if isinstance(answered, dict):
            spoilt = {name: self._spoil(value) for name, value in answered.items()}
            # Not where names are data, as in the addresses of a server.
            is_row = bool(spoilt.keys() & {"id", "job_id", "images", "servers", "server", "backups", "token"})
            return spoilt | ({self._chance.choice(WORDS): self._chance.choice(TRUTHS)} if is_row else {})
        if isinstance(answered, list):
            return [self._spoil(one) for one in answered]
        return answered

    def deletions(self) -> list[requests.PreparedRequest]:
        """Return the calls that delete an image."""
        return [one for one in self.sent if one.method == "DELETE" and "/v2/images/" in str(one.url)]

    def mentions(self) -> list[str]:
        """Return everything else that was sent and speaks of it."""
        said = []
        for one in self.sent:
            body = one.body.decode() if isinstance(one.body, bytes) else one.body or ""
            text = f"{one.method} {one.url} {dict(one.headers)} {'' if one in self.deletions() else body}".lower().replace("-", "_")
            said += [text] if "delete_backup" in text or "deletebackup" in text else []
        return said


def spoilt_state(chance: random.Random, state: dict[str, Any]) -> dict[str, Any]:
    """Return what went through a trigger, with what somebody has put in."""
    return state | {"found": list(TRUTHS[1:2]), "asked": {word: 1.0 for word in WORDS if chance.random() < 0.5}}


def test_whatever_the_service_answers_an_image_is_deleted_without_its_replica() -> None:
    deleted = [play(seed) for seed in range(25)]
    assert sum(map(bool, deleted)) > 12, "nights without an image prove nothing"


def play(seed: int) -> int:
    """Play a drill whose every answer, XCom and note speaks of the deletion of backups; return how often an image was deleted.

    :param seed: of all that is random.
    """
    chance = random.Random(seed)
    tap = Tap(chance)
    night = DrillNight(adapter=tap, durable_store=chance.random() < 0.5)
    arrange_machines(night.control, chance)
    for kind in TROUBLES:
        if chance.random() < 0.3:
            night.control.fault(call="GlanceDeleteImage", count=1, **kind)
    with suppress(CbrError):
        night.start()
    # What the end reads: an XCom, what an earlier attempt wrote down, and what went through the trigger.
    night.xcom = (night.xcom or {}) | {word: chance.choice(TRUTHS) for word in WORDS}
    if night.end_intents is not None:
        night.end_intents.stored = msgspec.to_builtins(CleanupIntent(owner=str(night.mark), generation=0)) | {"delete_backup": True}
    for _ in range(6):
        try:
            night.end(deferred=chance.random() < 0.5)
            break
        except CbrError:
            night.clock.advance(60)
    assert {one.body for one in tap.deletions()} <= {b'{"delete_backup":false}'}
    assert tap.mentions() == []
    assert night.control.ledger()["lost_replicas"] == []
    night.control.clear_faults()
    assert night.left() == []
    return len(tap.deletions())


def test_what_went_through_a_trigger_cannot_ask_for_it() -> None:
    tap = Tap(random.Random(0))
    night = DrillNight(adapter=tap)
    night.start()
    night.end_began = night.clock.now()
    state = CleanupState(deadline=night.clock.now() + 600, begun_at=night.clock.now())
    dumped = spoilt_state(random.Random(1), state.dump())
    end: Cleanup = night.ending(state=CleanupState.load(dumped))
    while isinstance(step := end.advance(), Pause):
        night.clock.advance(step.seconds)
    assert [one.body for one in tap.deletions()] == [b'{"delete_backup":false}']
    assert night.left() == []


def parameters_of(target: Any) -> set[str]:
    return set(inspect.signature(target).parameters)


def test_no_parameter_of_an_operator_speaks_of_it() -> None:
    """Neither by name, nor as something that is passed on as it is."""
    drills = [operators.CbrStartRestoreDrillOperator, operators.CbrEndRestoreDrillOperator, operators.CbrSweepRestoreDrillsOperator]
    drills += [operators.CbrPlanRestoreDrillsOperator, operators.CbrNameRestoreDrillOperator]
    named = {name for one in [*drills, drill_group.restore_drills] for name in parameters_of(one)}
    assert [name for name in named if "backup" in name.lower()] == []
    for one in (operators.CbrEndRestoreDrillOperator, operators.CbrSweepRestoreDrillsOperator):
        assert not parameters_of(one) & {"body", "extra", "options", "params_of_deletion"}


def texts_of(path: Path) -> list[str]:
    """Return the texts in a module's code; what stands alone documents it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documenting = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in documenting]
    return [one.decode("latin-1") if isinstance(one, bytes) else one for one in found if isinstance(one, str | bytes)]


def test_the_words_stand_in_one_place_of_the_package() -> None:
    """As text, not only as the key of a mapping: nothing else can put them together, nor send that call."""
    modules = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] != "emulator"]
    texts = [(path.name, text) for path in modules for text in texts_of(path)]
    assert [(name, text) for name, text in texts if "delete_backup" in text.lower()] == [("images.py", "delete_backup")]
    assert [name for name, text in texts if "/v2/images" in text] == ["images.py"]
    # The name alone sends nothing: it also tells which action of IAM the call needs.
    assert [name for name, text in texts if text == "GlanceDeleteImage"] == ["actions.py", "images.py"]
    split = [(name, text) for name, text in texts if text.rstrip("_").endswith("delete") and text.endswith(("delete_", "delete-"))]
    assert split == []
