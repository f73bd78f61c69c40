"""Without a permanent key, through the whole chain: the connection test, the operators, another account, another package's connection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.emulator.key_parts import AgencyPart
from airflow_cbr.emulator.switches import Switches
from airflow_cbr.emulator.world import DESTINATION_PROJECT, SOURCE_PROJECT
from airflow_cbr.hooks.cbr import CbrHook
from tests.support.emulator import EmulatorServer
from tests.support.fresh_machine import new_machine
from tests.support.key_world import AGENCY_URN, PARTNER_URN, WAYS, Pod, extras_of, id_token, keyless_world
from tests.support.task_run import ACCESS_KEY, SECRET_KEY, replicating, set_connection, set_password_connection, verifying, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WORKS = (True, f"CBR in cn-north-4 answers for project {SOURCE_PROJECT}.")


@pytest.fixture
def emulator(stop_soon: Callable[[EmulatorServer], None]) -> Iterator[EmulatorServer]:
    world = keyless_world().model_copy(update={"switches": Switches(queue_seconds=0, copy_seconds=0.2)})
    server = EmulatorServer(world).__enter__()
    yield server
    stop_soon(server)


@pytest.fixture
def pod(emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    return Pod(tmp_path, emulator.url, monkeypatch)


def connect(emulator: EmulatorServer, patch: pytest.MonkeyPatch, way: str, **more: Any) -> None:
    set_connection(patch, emulator.url, login="", password="", **extras_of(way, emulator.url, **more))


def fails(*needles: str) -> str:
    works, message = CbrHook().test_connection()
    assert not works
    for needle in needles:
        assert needle in message
    return message


# --- the connection test ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_good_connection_works(emulator: EmulatorServer, pod: Pod, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    connect(emulator, monkeypatch, way)
    assert CbrHook().test_connection() == WORKS


@pytest.mark.parametrize("extra", [{"agency_urn": AGENCY_URN}, {"agency_name": "airflow", "agency_domain_name": "acme"}])
@pytest.mark.parametrize("by", ["key", "password"])
def test_an_agency_on_top_of_a_key_or_a_password_works(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, by: str, extra: dict[str, str]
) -> None:
    (set_connection if by == "key" else set_password_connection)(monkeypatch, emulator.url, sts_endpoint=emulator.url, **extra)
    assert CbrHook().test_connection() == WORKS


def test_the_connection_test_says_which_step_failed(emulator: EmulatorServer, pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(emulator, monkeypatch, "ecs_agency, then agency_urn")
    emulator.control.change_server(agency=None)
    fails("Signing in failed while asking the metadata service of this server", "Cloud Service Agency", "ECS server")
    emulator.control.change_server(agency="airflow")
    emulator.control.change_agency("airflow", trusts=[])
    fails("Signing in failed while assuming the agency at STS (agency_urn)", "STS5.1003", "agency trusts")
    connect(emulator, monkeypatch, "pod_identity, then agency_name")
    fails("Signing in failed while assuming the agency at IAM (agency_name)", "HTTP 403")
    # The pod's key is good for a day, and kept by the process.
    new_machine()
    emulator.control.change_pod(token="another")
    connect(emulator, monkeypatch, "pod_identity")
    fails("Signing in failed while asking for the identity of this pod", "HTTP 401")
    pod.mount(oidc=id_token(seconds=-1))
    connect(emulator, monkeypatch, "oidc")
    message = fails("Signing in failed while exchanging the OpenID Connect token", "has expired", "HTTP 403")
    for secret in pod.secrets:
        assert secret not in message


def test_a_metadata_service_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://127.0.0.1:9"
    set_connection(monkeypatch, url, login="", password="", auth_type="ecs_agency", metadata_endpoint=url)
    fails("Signing in failed while asking the metadata service", "127.0.0.1", "ECS server")


# --- tasks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_vault_is_replicated_and_verified_without_a_permanent_key(
    emulator: EmulatorServer, pod: Pod, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    connect(emulator, monkeypatch, way)
    replicate = replicating()
    replicate.attempt()
    records = replicate.xcoms["return_value"]
    assert len(records) == 3
    waiting(records).attempt()
    assert verifying(records).attempt()["verdict"] == "verified"
    assert emulator.control.ledger()["duplicates"] == []


def test_the_destination_belongs_to_another_account(emulator: EmulatorServer, pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither side's credentials are good for the other: the source's user, and an agency of the account with the replicas."""
    emulator.control.change_user("backup-bot", projects=[SOURCE_PROJECT])
    emulator.control.change_agency("partner-backup", trusts=["airflow"])
    set_connection(monkeypatch, emulator.url)
    extra = extras_of("ecs_agency, then agency_urn", emulator.url, agency_urn=PARTNER_URN)
    set_connection(monkeypatch, emulator.url, conn_id="partner", login="", password="", **extra)
    replicate = replicating(destination_conn_id="partner", preflight=True)
    replicate.attempt()
    records = replicate.xcoms["return_value"]
    assert verifying(records, destination_conn_id="partner").attempt()["verdict"] == "verified"
    with pytest.raises(AirflowFailException, match="no access to this project"):
        verifying(records).attempt()
    by = {call["by"].partition(" ")[0] for call in emulator.control.ledger()["calls"]}
    assert by == {"backup-bot"}
    assert CbrHook("partner", region="cn-shenzhen-1").project_id == DESTINATION_PROJECT


def test_a_refused_agency_of_the_destination_is_red_and_says_so(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.control.change_agency("partner-backup", trusts=["somebody-else"])
    set_connection(monkeypatch, emulator.url)
    set_connection(monkeypatch, emulator.url, conn_id="partner", sts_endpoint=emulator.url, agency_urn=PARTNER_URN)
    replicate = replicating()
    replicate.attempt()
    with pytest.raises(AirflowFailException, match=r"Signing in failed while assuming the agency at STS"):
        verifying(replicate.xcoms["return_value"], destination_conn_id="partner").attempt()


@pytest.mark.parametrize("conn_type", ["huaweicloud", "huaweicloud_cbr"])
def test_a_connection_of_another_package_is_taken_as_it_is(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, conn_type: str
) -> None:
    """Login and password are an access key; region and project are extras, next to those of other services."""
    extra = {
        "region": "cn-north-4",
        "project_id": SOURCE_PROJECT,
        "obs_bucket": "logs",
        "override_region": False,
        "cbr_endpoint": emulator.url,
        "iam_endpoint": emulator.url,
    }
    value = {"conn_type": conn_type, "login": ACCESS_KEY, "password": SECRET_KEY, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_HUAWEICLOUD_DEFAULT", json.dumps(value))
    works, message = CbrHook("huaweicloud_default").test_connection()
    assert works
    assert message.startswith(WORKS[1])
    assert ("unknown key 'obs_bucket'" in message) is (conn_type == "huaweicloud_cbr"), "what belongs to another package is left alone"
    replicate = replicating(cbr_conn_id="huaweicloud_default")
    replicate.attempt()
    records = replicate.xcoms["return_value"]
    waiting(records, cbr_conn_id="huaweicloud_default").attempt()
    assert verifying(records, cbr_conn_id="huaweicloud_default").attempt()["verdict"] == "verified"


def test_an_agency_may_be_of_any_account_by_name(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(
        monkeypatch, emulator.url, region="cn-shenzhen-1", agency_name="partner-backup", agency_domain_name="partner", project_id=None
    )
    assert CbrHook().test_connection() == (True, f"CBR in cn-shenzhen-1 answers for project {DESTINATION_PROJECT}.")
    assert AgencyPart(name="x").account is None
