"""Whatever anybody sends: no answer of 500, a world that still answers, and a refused change that changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_cbr.emulator.app import ROUTES
from airflow_cbr.emulator.bounds import FIRST_MOMENT, LAST_MOMENT
from airflow_cbr.emulator.changes import BackupChange, RecordChange, VaultChange
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.control import ClockChange, Control, TokensEnd
from airflow_cbr.emulator.faults import KINDS, CallFault, CheckpointFault, CopyFault, InjectedFault
from airflow_cbr.emulator.image_calls import IMAGE_ROUTES
from airflow_cbr.emulator.key_parts import UserPart
from airflow_cbr.emulator.machines import PUBLIC_IMAGE
from airflow_cbr.emulator.server_calls import SERVER_ROUTES
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.switches import Switches
from airflow_cbr.emulator.vault_parts import BackupPart, GeneratePart, VaultPart
from airflow_cbr.emulator.world import (
    BACKUPS,
    DESTINATION_PROJECT,
    DESTINATION_VAULT,
    DRILL_SUBNET,
    DRILL_VPC,
    SOURCE_PROJECT,
    SOURCE_VAULT,
    World,
    default_world,
)
from tests.support.emulator import ControlError, InProcessAdapter
from tests.support.plain_client import TO_DESTINATION, Plain, token_body
from tests.support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic import BaseModel

    from tests.support.emulator import ControlClient

pytestmark = pytest.mark.campaign

BOUNDED = settings(derandomize=True, max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

NUMBERS = [
    *(0, 1, -1, 5, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, 10**300, 0.5, -0.0, 5e-324, 1e18, 1e308, -1e308),
    *(-62135596800, 253402300799, 253402300800, float("nan"), float("inf"), -float("inf")),
]
WORDS = [
    *(
        "",
        "x",
        "\x00",
        "\r\n",
        "é",
        "龥",
        "\U0001f600",
        "%s{0}",
        "a" * 300,
        "null",
        "1e400",
        "nan",
        "inf",
        "9" * 5000,
        "-5",
        "true",
        "__class__",
    ),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-01-01", "available", "fail", "server", "replication", "1009"),
    *(SOURCE_VAULT, DESTINATION_VAULT, BACKUPS[0], SOURCE_PROJECT, DESTINATION_PROJECT, "backup-bot", "cn-north-4", "emulator-password"),
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.sampled_from(NUMBERS), st.sampled_from(WORDS), st.text(max_size=8), st.integers(), st.floats()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)), max_leaves=6
)


def like(*models: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of the keys of models, and any values."""
    keys = sorted({name for model in models for name in model.model_fields})
    return st.dictionaries(st.sampled_from([*keys, "row", "colour"]), VALUES, max_size=4)


def nearly(content: dict[str, Any]) -> st.SearchStrategy[Any]:
    """A body that is right but for one value somewhere."""
    places: list[tuple[Any, ...]] = []

    def walk(value: Any, path: tuple[Any, ...]) -> None:
        places.append(path)
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
            walk(inner, (*path, key))

    walk(content, ())

    def changed(place: tuple[Any, ...], value: Any) -> Any:
        copy = json.loads(json.dumps(content))
        if not place:
            return value
        holder = copy
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = value
        return copy

    return st.builds(changed, st.sampled_from(places), VALUES)


FAULTS = KINDS.of(InjectedFault)
FAULT_WORDS = [word for words in FAULTS.values() for word in words]
FAULT = st.builds(lambda kind, rest: rest | {"kind": kind}, st.sampled_from(FAULT_WORDS), like(*FAULTS))
WORLD = default_world().model_dump(mode="json")
VAULT = {"project_id": SOURCE_PROJECT}
BODIES: dict[tuple[str, str], st.SearchStrategy[Any]] = {
    ("POST", "/world"): st.one_of(like(World), nearly(WORLD)),
    ("POST", "/reset"): VALUES,
    ("POST", "/clock"): like(ClockChange),
    ("POST", "/faults"): st.one_of(FAULT, st.lists(FAULT, max_size=3), VALUES),
    ("PATCH", "/switches"): like(Switches),
    ("POST", "/tokens/revoke"): like(TokensEnd),
    ("PATCH", "/users/{}"): like(UserPart),
    ("POST", "/vaults"): st.builds(
        lambda rest, backups, generate: VAULT | rest | backups | generate,
        like(VaultPart),
        st.builds(lambda backups: {"backups": backups} if backups else {}, st.lists(like(BackupPart), max_size=2)),
        st.builds(lambda part: {"generate": part} if part else {}, like(GeneratePart)),
    ),
    ("PATCH", "/vaults/{}"): like(VaultChange),
    ("POST", "/vaults/{}/backups"): like(BackupPart),
    ("PATCH", "/backups/{}"): like(BackupChange),
    ("PATCH", "/records/{}"): like(RecordChange),
    ("DELETE", "/vaults/{}"): st.none(),
    ("DELETE", "/backups/{}"): st.none(),
    ("DELETE", "/records/{}"): st.none(),
    ("DELETE", "/faults/{}"): st.none(),
    ("DELETE", "/faults"): st.none(),
}
NAMES = st.one_of(
    st.sampled_from([SOURCE_VAULT, DESTINATION_VAULT, *BACKUPS, "backup-bot", "1"]), st.sampled_from(WORDS), st.text(max_size=8)
)
CHANGES = st.sampled_from(sorted(BODIES)).flatmap(lambda route: st.tuples(st.just(route), NAMES, BODIES[route]))


ADAPTER = InProcessAdapter(Emulator(default_world(), Clock(speed=0)))
"""One application for all examples: to make it takes longer than an example."""


def served() -> Plain:
    """An emulator of the default world, in virtual time, with a copy on its way."""
    emulator = ADAPTER.emulator
    emulator.clock = ADAPTER.clock = Clock(speed=0, start=1.8e9)
    emulator.replace(default_world().model_copy(update={"seed": 1}))
    cbr = Plain.in_process(ADAPTER)
    cbr.accepted()
    return cbr


def send(cbr: Plain, method: str, path: str, content: Any = None, **options: Any) -> requests.Response | None:
    """Send a request; None where a fault that is in force took the answer."""
    body = None if method in ("GET", "DELETE") else json.dumps(content).encode()
    try:
        return cbr.session.request(method, cbr.url + path, data=body, timeout=5, **options)
    except requests.exceptions.RequestException:
        return None


def told() -> bytes:
    """All that can be told of a world by its control calls."""
    control = Control(ADAPTER.emulator)
    vaults = [vault["id"] for vault in control.state()["vaults"]]
    service = ADAPTER.emulator.service
    users = {name: [user.password, user.access_key, sorted(user.denied_calls)] for name, user in service.iam.users.items()}
    rows = [backup.row for backup in service.store.backups.values()] + [vault.row for vault in service.store.vaults.values()]
    return msgspec.json.encode(
        [control.state(), [control.state(vault) for vault in vaults], control.ledger(), users, rows, sorted(service.iam.tokens)]
    )


def still_answers(cbr: Plain) -> None:
    """Look at everything, and let a year pass."""
    cbr.session.delete(f"{cbr.url}/_emulator/faults", timeout=5)
    emulator = ADAPTER.emulator
    if emulator.clock.now() < 7e9:
        emulator.clock.advance(86400 * 365)
    for path in ("/_emulator/state", "/_emulator/ledger", "/_emulator/clock", "/v3"):
        answer = send(cbr, "GET", path)
        assert answer is not None
        assert answer.status_code == 200, answer.text
    for vault_id in list(emulator.service.store.vaults)[:3]:
        assert cbr.control.state(vault_id)["backups"] is not None
    users = list(emulator.service.iam.users.values())
    project_id = next(iter(emulator.service.store.projects))
    body = token_body({"project": {"id": project_id}}, name=users[0].name, password=users[0].password, account=emulator.service.iam.account)
    token = send(cbr, "POST", "/v3/auth/tokens", body)
    assert token is not None
    assert token.status_code < 500
    headers = {"X-Auth-Token": token.headers.get("X-Subject-Token", "")}
    for path in ("/backups?show_replication=true&used_percent=50", "/backups?sort=protected_at,name:asc", "/vaults", "/operation-logs"):
        answer = send(cbr, "GET", f"/v3/{project_id}{path}", headers=headers)
        assert answer is not None
        assert answer.status_code < 500, answer.text
    reset = send(cbr, "POST", "/_emulator/reset", {})
    assert reset is not None
    assert reset.status_code == 200, reset.text


@BOUNDED
@given(st.lists(CHANGES, min_size=1, max_size=5))
@pytest.mark.usefixtures("wrong_answers")
def test_no_series_of_control_calls_bricks_it(changes: list[tuple[tuple[str, str], str, Any]]) -> None:
    cbr = served()
    for (method, path), name, content in changes:
        before = told()
        answer = send(cbr, method, f"/_emulator{path.format(quote(name, safe=''))}", content)
        assert answer is not None
        assert answer.status_code in (200, 400, 404, 405), answer.text
        if answer.status_code != 200:
            assert told() == before
    still_answers(cbr)


def fields(prefix: dict[str, Any], model: type[BaseModel], without: Collection[str] = ()) -> list[dict[str, Any]]:
    """Every field of a model with every odd value, one at a time."""
    names = sorted(set(model.model_fields) - set(prefix) - set(without))
    words = ["", "\x00", "nan", "-inf", "9" * 5000, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "server", SOURCE_VAULT]
    odd = [*NUMBERS, *words, 404, "fail", None, True, [], {}, [1], {"x": 1}]
    return [prefix | {name: value} for name in names for value in odd]


GENERATED = {"count": 2}
FAMILIES: dict[type[InjectedFault], tuple[str, dict[str, str]]] = {
    CallFault: ("reset", {"call": "ShowOpLog"}),
    CopyFault: ("copy_skipped", {}),
    CheckpointFault: ("backup_fails", {}),
}
"""The families of faults: a kind with nothing of its own, and what keeps it away from the calls of the test."""
EVERY_FIELD: dict[str, tuple[str, str, list[Any]]] = {
    "clock": ("POST", "/clock", fields({}, ClockChange)),
    "switches": ("PATCH", "/switches", fields({}, Switches)),
    "tokens": ("POST", "/tokens/revoke", fields({}, TokensEnd)),
    "vault": ("PATCH", f"/vaults/{SOURCE_VAULT}", fields({}, VaultChange)),
    "backup": ("PATCH", f"/backups/{BACKUPS[0]}", fields({}, BackupChange)),
    "new vault": ("POST", "/vaults", fields(VAULT, VaultPart)),
    "new backup": ("POST", f"/vaults/{SOURCE_VAULT}/backups", fields({}, BackupPart)),
    "generated": ("POST", "/vaults", [VAULT | {"generate": part} for part in fields(GENERATED, GeneratePart)]),
    "count": ("POST", "/vaults", [VAULT | {"generate": {"count": count}} for count in (0, -1, 50_001, 200_000, 10**9, 1e308, "9" * 9)]),
    "user": ("PATCH", "/users/backup-bot", fields({}, UserPart)),
    **{
        f"every {family.__name__}": ("POST", "/faults", fields({"kind": kind} | to_nobody, family))
        for family, (kind, to_nobody) in FAMILIES.items()
    },
    **{
        kind: ("POST", "/faults", fields({"kind": kind} | to_nobody, model, without=family.model_fields))
        for family, (_, to_nobody) in FAMILIES.items()
        for model, (kind, *_) in KINDS.of(family).items()
        if set(model.model_fields) - set(family.model_fields)
    },
}


@pytest.mark.parametrize("what", thinned(EVERY_FIELD, every=4))
@pytest.mark.usefixtures("wrong_answers")
def test_no_value_of_any_field_bricks_it(what: str) -> None:
    """What is accepted can be lived with: the world is looked at after each change."""
    cbr = served()
    method, path, bodies = EVERY_FIELD[what]
    accepted = 0
    for body in bodies:
        answer = send(cbr, method, f"/_emulator{path}", body)
        assert answer is not None
        assert answer.status_code in (200, 400), answer.text
        accepted += answer.status_code == 200
        if answer.status_code == 200:
            told()
            if what in ("new vault", "generated", "new backup"):
                state = cbr.control.state()
                assert len(state["vaults"]) <= 1000
    assert accepted or what in ("count", "code", "replica_changed")
    still_answers(cbr)


FAR = [FIRST_MOMENT - 1, LAST_MOMENT + 1, 1e18, 1e308, -1e308, float("inf"), float("nan"), 10**30]


@pytest.mark.parametrize("moment", FAR)
def test_a_time_that_is_no_date_is_refused(cbr: Plain, moment: float) -> None:
    cbr.accepted()
    record = cbr.records(BACKUPS[0])[0]["id"]
    for path, field in (
        (f"/backups/{BACKUPS[0]}", "created_at"),
        (f"/backups/{BACKUPS[0]}", "expired_at"),
        (f"/records/{record}", "visible_at"),
    ):
        answer = send(cbr, "PATCH", f"/_emulator{path}", {field: moment})
        assert answer is not None
        assert answer.status_code == 400


@pytest.mark.parametrize("distance", [1e10, -1e10])
def test_the_farthest_dates_can_be_written(cbr: Plain, control: ControlClient, distance: float) -> None:
    world = default_world()
    for region in world.regions:
        region.clock_ahead = distance
    control.world(world)
    cbr.forget_tokens()
    control.fault("date_shifted", call="ListVault", seconds=distance)
    years = {int(cbr.send("GET", path).headers["Date"].split()[3]) for path in ("/vaults", "/backups")}
    assert max(years) - min(years) in (316, 317)
    control.fault("throttle", call="ListBackups", retry_after=1e10, as_date=True)
    assert cbr.send("GET", "/backups").headers["Retry-After"].endswith(" GMT")


@pytest.mark.parametrize("distance", [1.1e10, -1.1e10, 1e18, 1e308])
def test_what_is_farther_is_refused(control: ControlClient, distance: float) -> None:
    world = default_world().model_dump(mode="json")
    with pytest.raises(ControlError, match="clock_ahead"):
        control.world(world | {"regions": [region | {"clock_ahead": distance} for region in world["regions"]]})
    with pytest.raises(ControlError, match="seconds"):
        control.fault("date_shifted", seconds=distance)
    with pytest.raises(ControlError, match="retry_after"):
        control.fault("throttle", retry_after=abs(distance))
    with pytest.raises(ControlError, match="age_seconds"):
        control.add_backup(SOURCE_VAULT, age_seconds=abs(distance))
    with pytest.raises(ControlError, match="copy_seconds"):
        control.switch(copy_seconds=abs(distance) / 10)


def test_the_clock_ends(cbr: Plain) -> None:
    answer = None
    for _ in range(8):
        answer = send(cbr, "POST", "/_emulator/clock", {"advance": 1e9, "speed": 5})
    assert answer is not None
    assert (answer.status_code, answer.json()["error"][:36]) == (400, "the clock would pass 2200-01-01, whe")
    assert cbr.control.state()["clock"]["now"] < "2200"
    assert cbr.accepted()


@pytest.mark.parametrize(
    ("vault", "mistake"),
    [
        ({"backups": [{"name": "good"}, {"id": BACKUPS[0]}]}, "exists already"),
        ({"backups": [{"id": "0" * 32}, {"name": "good"}, {"id": "0" * 32}]}, "is listed twice"),
        ({"backups": [{"name": "good"}, {"replicated_to": [SOURCE_VAULT]}]}, "not a replication vault"),
        ({"backups": [{"name": "good", "replicated_to": [DESTINATION_VAULT, "0" * 32]}]}, "not a replication vault"),
        ({"backups": [{"name": "good"}], "generate": {"count": 2, "replicated_to": ["0" * 32]}}, "not a replication vault"),
        ({"backups": [{"name": "good"}], "generate": {"count": 49_999}}, "at most 50000 backups"),
        ({"generate": {"count": 25_000, "replicated_to": [DESTINATION_VAULT]}}, "at most 50000 backups"),
    ],
)
def test_a_vault_comes_whole_or_not_at_all(vault: dict[str, Any], mistake: str) -> None:
    cbr = served()
    before = told()
    answer = send(cbr, "POST", "/_emulator/vaults", VAULT | vault)
    assert answer is not None
    assert (answer.status_code, mistake in answer.json()["error"]) == (400, True)
    assert told() == before


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (f"/backups/{BACKUPS[0]}", {"status": "error", "vault_id": "x", "row": {"a": 1}, "resource_size": "x"}),
        (f"/backups/{BACKUPS[0]}", {"status": "error", "row": {str(number): 1 for number in range(201)}}),
        (f"/vaults/{SOURCE_VAULT}", {"status": "frozen", "used": 1, "row": {"a": 1}, "size": 0}),
        ("/switches", {"careless": True, "copy_seconds": -1}),
        ("/users/backup-bot", {"password": "new", "denied_calls": 5}),
    ],
)
def test_a_change_is_made_whole_or_not_at_all(path: str, change: dict[str, Any]) -> None:
    cbr = served()
    before = told()
    answer = send(cbr, "PATCH", f"/_emulator{path}", change)
    assert answer is not None
    assert answer.status_code == 400
    assert told() == before


def test_the_newest_tokens_are_known(cbr: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_cbr.emulator.iam.MOST_TOKENS", 3)
    tokens = []
    for _ in range(5):
        cbr.forget_tokens()
        tokens.append(cbr.token(SOURCE_PROJECT))
    found = [send(cbr, "GET", f"/v3/{SOURCE_PROJECT}/vaults", headers={"X-Auth-Token": token}) for token in tokens]
    assert [answer.status_code for answer in found if answer is not None] == [401, 401, 200, 200, 200]


def test_a_key_belongs_to_one_user(cbr: Plain, control: ControlClient) -> None:
    world = default_world()
    world.users.append(UserPart(name="other", password="p", access_key="AK", secret_key="SK"))
    control.world(world)
    answer = send(cbr, "PATCH", "/_emulator/users/other", {"access_key": "EMULATORACCESSKEY001"})
    assert answer is not None
    assert (answer.status_code, "exists already" in answer.json()["error"]) == (400, True)


def test_a_fault_without_anything_to_start_needs_no_sense_in_the_body(cbr: Plain, control: ControlClient) -> None:
    cbr.token(SOURCE_PROJECT)
    bodies: list[Any] = [{"replicate": 5}, {"replicate": None}, [], 5, None]
    for body in bodies:
        control.fault("empty_backups", when="before")
        answer = cbr.send("POST", "/checkpoints/replicate", body=body)
        assert (answer.status_code, answer.json()["replication"]) == (200, {"backups": []})


REQUESTS: dict[str, dict[str, Any]] = {
    "CopyCheckpoint": {"replicate": {"vault_id": SOURCE_VAULT, "auto_trigger": False, "enable_acceleration": True} | TO_DESTINATION},
    "CopyBackup": {"replicate": TO_DESTINATION | {"name": "n", "description": "d"}},
    "CreateCheckpoint": {
        "checkpoint": {
            "vault_id": SOURCE_VAULT,
            "parameters": {"name": "n", "resources": ["r"], "resource_details": [{"id": "i", "type": "t", "extra_info": {}}]},
        }
    },
    "CreateWholeImage": {
        "name": "n",
        "backup_id": BACKUPS[0],
        "whole_image_type": "CBR",
        "description": "d",
        "image_tags": [{"key": "k", "value": "v"}],
    },
    "CreatePostPaidServers": {
        "dry_run": False,
        "server": {
            "name": "n",
            "imageRef": PUBLIC_IMAGE,
            "flavorRef": "s6.large.2",
            "vpcid": DRILL_VPC,
            "nics": [{"subnet_id": DRILL_SUBNET}],
            "root_volume": {"volumetype": "SSD", "size": 40},
            "server_tags": [{"key": "k", "value": "v"}],
            "auto_terminate_time": "2030-01-01T00:00:00Z",
        },
    },
    "DeleteServers": {"servers": [{"id": BACKUPS[0]}], "delete_volume": True},
    "KeystoneCreateUserTokenByPassword": token_body({"project": {"name": "cn-north-4", "domain": {"name": "acme"}}}),
}
IDS = st.one_of(
    st.sampled_from([SOURCE_VAULT, BACKUPS[0], SOURCE_PROJECT, DESTINATION_PROJECT, "0" * 32]), st.sampled_from(WORDS), st.text(max_size=6)
)
QUERY_NAMES = [
    *("offset", "limit", "marker", "sort", "show_replication", "vault_id", "status", "image_type", "incremental", "start_time", "end_time"),
    *(
        "used_percent",
        "own_type",
        "member_status",
        "dec",
        "operation_type",
        "id",
        "resource_ids",
        "protect_type",
        "object_type",
        "objcet_type",
    ),
    *("region_id", "external_project_id", "cloud_type", "per_page", "page", "nocatalog", "name", "enterprise_project_id", ""),
]
QUERY = st.lists(st.tuples(st.sampled_from(QUERY_NAMES), st.sampled_from([*WORDS, *map(str, NUMBERS)])), max_size=4)
HEADER_NAMES = [
    "X-Auth-Token",
    "Authorization",
    "X-Sdk-Date",
    "X-Project-Id",
    "X-Subject-Token",
    "X-Security-Token",
    "Content-Type",
    "Accept",
    "X-Sdk-Content-Sha256",
]
HEADER_VALUES = st.one_of(
    st.binary(max_size=20).map(lambda raw: b"x" + raw.replace(b"\r", b"").replace(b"\n", b"")),
    st.sampled_from(
        [
            b"a" * 30000,
            b"\xe9\xff",
            b"99999999T999999Z",
            b"20260101T000000Z",
            b"SDK-HMAC-SHA256 Access=EMULATORACCESSKEY001, SignedHeaders=host;x-sdk-date, Signature=" + b"a" * 64,
            b"SDK-HMAC-SHA256 Access=\xe9, SignedHeaders=;;, Signature=" + b"0" * 64,
            b"SDK-HMAC-SHA256 Access=EMULATORACCESSKEY001, SignedHeaders=host;x-sdk-date;\xff, Signature=" + b"0" * 64,
            b"UNSIGNED-PAYLOAD",
        ]
    ),
)


def call_bodies(name: str) -> st.SearchStrategy[Any]:
    return st.one_of(nearly(REQUESTS[name]), VALUES) if name in REQUESTS else VALUES


CALLS = st.sampled_from((*ROUTES, *IMAGE_ROUTES, *SERVER_ROUTES)).flatmap(lambda route: st.tuples(st.just(route), call_bodies(route[0])))


@settings(BOUNDED, max_examples=40)
@given(
    CALLS,
    st.lists(IDS, min_size=3, max_size=3),
    QUERY,
    st.dictionaries(st.sampled_from(HEADER_NAMES), HEADER_VALUES, max_size=3),
    st.one_of(st.none(), st.binary(max_size=40)),
)
def test_no_call_is_answered_with_500(
    call: tuple[tuple[str, str, str], Any], ids: list[str], query: list[tuple[str, str]], headers: dict[str, str | bytes], raw: bytes | None
) -> None:
    (_, method, path), content = call
    cbr = served()
    token = cbr.token(SOURCE_PROJECT)
    quoted = [quote(one, safe="") for one in ids]
    filled = path
    for name, value in zip(
        ("project_id", "backup_id", "vault_id"), [SOURCE_PROJECT if len(ids[0]) % 2 else quoted[0], *quoted[1:]], strict=True
    ):
        filled = filled.replace(f"{{{name}}}", value)
    for other in ("checkpoint_id", "operation_log_id", "image_id", "server_id", "job_id"):
        filled = filled.replace(f"{{{other}}}", quoted[2])
    body = raw if raw is not None else json.dumps(content).encode()
    answer = cbr.session.request(
        method,
        cbr.url + filled,
        params=query,
        headers={"X-Auth-Token": token, **headers},
        data=body if method == "POST" else None,
        timeout=5,
    )
    assert answer.status_code < 500, answer.text
    still_answers(cbr)


@BOUNDED
@given(st.lists(FAULT, min_size=1, max_size=4), st.sampled_from(sorted(REQUESTS)), st.data())
@pytest.mark.usefixtures("wrong_answers")
def test_no_fault_leaves_it_at_a_loss(faults: list[dict[str, Any]], name: str, data: st.DataObject) -> None:
    """An error of the emulator's own would come out of the adapter; what a fault answers is the fault's business."""
    cbr = served()
    token = cbr.token(SOURCE_PROJECT)
    narrow = {"call", "path", "method", "nth", "chance", "vault_id"}
    for fault in faults:
        send(cbr, "POST", "/_emulator/faults", {key: value for key, value in fault.items() if key not in narrow})
    path = next(path for call, _, path in (*ROUTES, *IMAGE_ROUTES, *SERVER_ROUTES) if call == name).format(
        project_id=SOURCE_PROJECT, backup_id=BACKUPS[0]
    )
    send(cbr, "POST", path, data.draw(call_bodies(name)), headers={"X-Auth-Token": token})
    still_answers(cbr)
