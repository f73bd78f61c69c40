"""A night without a permanent key, in virtual time: keys of fifteen minutes, a wait of a day, and nobody notices a renewal."""

from __future__ import annotations

import asyncio
from datetime import datetime
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api import signed
from airflow_cbr.api.agencies import AgencyByUrn
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.credential_sources import SOURCES
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.emulator.key_calls import KEY_ROUTES
from airflow_cbr.emulator.service import Service as EmulatedService
from airflow_cbr.emulator.world import SOURCE_PROJECT
from airflow_cbr.triggers.access import ConnectionAccess
from airflow_cbr.waiting import watch
from tests.support.emulator import IN_PROCESS_URL
from tests.support.key_world import AGENCY_URN, WAYS, Pod, extras_of, id_token, keyless_world
from tests.support.many_vaults import Service
from tests.support.task_run import replicating, set_connection, verifying
from tests.support.thinned import thinned
from tests.support.triggerer import Stage
from tests.support.virtual_time import START, InlineLooks, VirtualLoop, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.campaign

LIFE = 900.0
RENEWED_AFTER = 0.9 * LIFE
DAY = 86400.0
KEYS: dict[str, Any] = {"key_seconds": LIFE, "key_overlap_seconds": LIFE, "signature_clock": "simulated"}
MODULES = ("renewal", "agencies", "given_credentials", *(f"credential_sources.{name}" for name in ("metadata", "pod_identity", "oidc")))


def keep_time(patch: pytest.MonkeyPatch, monotonic: Callable[[], float]) -> None:
    """Let keys end, and requests be signed, by virtual time."""
    for module in MODULES:
        patch.setattr(f"airflow_cbr.api.{module}.time", SimpleNamespace(monotonic=monotonic))
    patch.setattr(signed, "datetime", SimpleNamespace(now=lambda zone: datetime.fromtimestamp(START + monotonic(), zone)))


class Book:
    """When keys were issued, by call, and what was refused."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.issued: dict[str, list[float]] = {}
        self.refused: list[tuple[str, int]] = []
        handle = EmulatedService.handle

        def noted(service: EmulatedService, call: Any) -> Any:
            reply = handle(service, call)
            if call.name in {name for name, _, _ in KEY_ROUTES} - {"GetMetadataToken"}:
                if reply.answer.status < 300:
                    self.issued.setdefault(call.name, []).append(service.clock.now())
            elif reply.answer.status >= 400:
                self.refused.append((call.name, reply.answer.status))
            return reply

        patch.setattr(EmulatedService, "handle", noted)

    def check(self, *, steps: int, since: float, until: float) -> None:
        """Check that each key was renewed once, and only when its life was nearly over."""
        assert len(self.issued) == steps
        for call, times in self.issued.items():
            assert all(later - earlier >= RENEWED_AFTER - 1 for earlier, later in pairwise(times)), f"{call} was asked again too early"
            assert len(times) <= (until - since) / RENEWED_AFTER + 2
            assert len(times) >= (until - since) / (2 * LIFE), f"{call} was not asked in the middle of the wait"


@pytest.fixture(autouse=True)
def hidden(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return what is masked; Airflow's own masker compiles all secrets of a process anew for each, most of what such a night would cost."""
    hidden = set[str]()

    async def hide(access: ConnectionAccess, secret: str) -> None:
        hidden.add(secret)

    monkeypatch.setattr(ConnectionAccess, "hide", hide)
    monkeypatch.setattr("airflow_cbr.hooks.cbr.mask_secret", hidden.add)
    return hidden


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(monkeypatch)
    world = keyless_world()
    stage.adapter.emulator.replace(world)
    stage.control.switch(queue_seconds=0, copy_seconds=DAY - 600, **KEYS)
    keep_time(monkeypatch, stage._now)
    return stage


def connect(stage: Stage, patch: pytest.MonkeyPatch, way: str, folder: Path) -> None:
    pod = Pod(folder, IN_PROCESS_URL, patch)
    pod.mount(oidc=id_token(now=stage.time(), seconds=2 * DAY))
    patch.setenv("HUAWEICLOUD_OIDC_DURATION_SECONDS", str(int(LIFE)))
    more = {"agency_duration": int(LIFE)} if "agency" in way.partition(",")[2] else {}
    set_connection(patch, IN_PROCESS_URL, login="", password="", **extras_of(way, IN_PROCESS_URL, **more))


PARAMETERS: dict[str, Any] = {"poll_interval": 30.0, "max_poll_interval": 600.0, "settle_time": 120.0, "timeout": 2 * DAY}


@pytest.mark.parametrize(("way", "deferrable"), thinned([*((way, True) for way in WAYS), ("ecs_agency, then agency_urn", False)], every=3))
def test_a_day_of_waiting(
    stage: Stage, hidden: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str, deferrable: bool
) -> None:
    connect(stage, monkeypatch, way, tmp_path)
    book = Book(monkeypatch)
    began = stage.time()
    task = replicating(**PARAMETERS, deferrable=deferrable)
    record_ids = stage.play(task)
    assert stage.time() - began > DAY - 600
    stage.play(verifying(record_ids))
    ledger = stage.control.ledger()
    assert len(record_ids) == len(ledger["replications"]) == 3
    assert ledger["duplicates"] == []
    assert book.refused == [], "no request was sent with a key that had ended"
    book.check(steps=2 if "," in way else 1, since=began, until=stage.time())
    assert len(hidden) > sum(map(len, book.issued.values())), "each renewed key, and its token, is masked"


@pytest.mark.parametrize("way", thinned(["pod_identity, then agency_name", "ecs_agency"], every=2))
def test_a_night_in_which_every_step_fails_for_a_while(stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str) -> None:
    connect(stage, monkeypatch, way, tmp_path)
    calls = ("GetSecurityKey", "GetMetadataToken") if way == "ecs_agency" else ("GetPodIdentityCredentials", "CreateTemporaryAccessKey")
    for nth, call in enumerate(calls):
        stage.control.fault("status", status=503, call=call, when="before", nth=10 + 5 * nth, count=15)
        stage.control.fault("timeout", call=call, when="before", nth=40 + nth, count=2)
        stage.control.fault("html", call=call, nth=50, count=2)
    stage.control.fault("key_expired", call="ListBackups", nth=30)
    stage.control.fault("key_expired", call="ListBackups", nth=90)
    record_ids = stage.play(replicating(**PARAMETERS, deferrable=True))
    ledger = stage.control.ledger()
    assert len(record_ids) == len(ledger["replications"]) == 3
    assert ledger["duplicates"] == []
    missed = [one["fault"] for one in stage.control.faults() if not one["hits"]]
    assert missed == []


def test_an_agency_that_is_refused_for_half_an_hour_does_not_end_a_wait(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    connect(stage, monkeypatch, "ecs_agency, then agency_urn", tmp_path)
    trusts: list[bool] = []
    handle = EmulatedService.handle

    def refused_for_a_while(service: EmulatedService, call: Any) -> Any:
        is_trusted = not 10_000 < stage._now() < 10_000 + 1200
        trusts.append(is_trusted)
        agency = service.iam.agencies.by_name["airflow"]
        agency.trusts = None if is_trusted else frozenset()
        return handle(service, call)

    monkeypatch.setattr(EmulatedService, "handle", refused_for_a_while)
    assert len(stage.play(replicating(**PARAMETERS, deferrable=True))) == 3
    assert False in trusts
    assert stage.control.ledger()["duplicates"] == []


@pytest.mark.campaign
def test_all_waits_of_a_process_share_a_key_and_its_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    vaults = 12

    class Keyless(Service):
        """One whose waits sign in at the metadata service, and assume an agency."""

        def client(self, on_secret: Callable[[str], None] | None = None) -> CbrClient:
            source = AgencyByUrn(SOURCES["ecs_agency"].of({"metadata_endpoint": IN_PROCESS_URL}), int(LIFE), AGENCY_URN)
            endpoints = Endpoints(cbr=IN_PROCESS_URL, iam=IN_PROCESS_URL, sts=IN_PROCESS_URL)
            client = CbrClient(
                source, region="cn-north-4", project_id=SOURCE_PROJECT, endpoints=endpoints, retry_budget=0.0, on_secret=on_secret
            )
            client._transport._session.mount(IN_PROCESS_URL, self.adapter)
            return client

    async def scene(loop: VirtualLoop) -> None:
        service = Keyless(loop, [[60 * (20 + number % 4)] for number in range(vaults)])
        service.control.switch(**KEYS)
        keep_time(monkeypatch, loop.time)
        monkeypatch.setattr(watch, "_lanes", InlineLooks())
        service.start_copies()
        book = Book(monkeypatch)

        async def wait(vault: Any) -> None:
            with service.wait(vault) as waiter:
                while not (await waiter.next()).are_final:
                    pass

        began = service.emulator.clock.now()
        await asyncio.gather(*(wait(vault) for vault in service.vaults))
        assert service.emulator.clock.now() - began > 20 * 3600
        assert book.refused == []
        book.check(steps=2, since=began, until=service.emulator.clock.now())
        keys = service.emulator.service.iam.agencies.keys.values()
        assert {key.secret_key for key in list(keys)[-2:]} <= set(service.hidden), "a renewed key is masked too"
        await asyncio.sleep(0)

    run(scene)
