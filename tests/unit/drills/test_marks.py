"""What carries a drill's mark is the drill's, and nothing else is; and nothing can make the deletion of an image delete its replica."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import airflow_cbr
from airflow_cbr.api.machine_models import Image, Server
from airflow_cbr.drills.cleanup import Cleanup
from airflow_cbr.drills.marks import DagMark, DrillMark
from airflow_cbr.drills.spec import CleanupSpec
from airflow_cbr.emulator.world import DRILL_SECURITY_GROUP, DRILL_SUBNET, DRILL_VPC
from airflow_cbr.once.attempt import Attempt
from airflow_cbr.once.steps import Pause
from tests.support.drill_night import DrillNight

IDS = st.text(min_size=1, max_size=12)
MARK = DrillMark.of("dag", "run", "start", -1)


@given(IDS, IDS, IDS, st.integers(-1, 50), IDS, IDS, IDS, st.integers(-1, 50))
def test_two_drills_have_two_names(a: str, b: str, c: str, d: int, e: str, f: str, g: str, h: int) -> None:
    same = (a, b, c, d) == (e, f, g, h)
    assert (DrillMark.of(a, b, c, d).name == DrillMark.of(e, f, g, h).name) is same


@given(st.one_of(IDS, st.sampled_from([f"{MARK.name}-1", f"x{MARK.name}", MARK.name[:-1], MARK.name.upper(), MARK.search[:20]])))
def test_nothing_but_its_own_name_is_a_drills(name: str) -> None:
    for thing in (Image(id="1", name=name), Server(id="1", name=name)):
        assert MARK.owns(thing) is (name == MARK.name)
        assert not DagMark.of("dag").owns(thing) or name.startswith(DagMark.of("dag").search)


def test_a_tag_of_another_drill_disowns_it() -> None:
    assert MARK.owns(Server(id="1", name=MARK.name, tags=[f"cbr-drill={MARK.drill}", "team=a"]))
    assert MARK.owns(Image(id="1", name=MARK.name, tags=[f"cbr-drill.{MARK.drill}"]))
    assert not MARK.owns(Server(id="1", name=MARK.name, tags=["cbr-drill=0123456789abcdef"]))
    assert not DagMark.of("dag").owns(Server(id="1", name=MARK.name, tags=["cbr-drill=0123456789abcdef"]))


def test_a_dag_owns_its_drills_alone() -> None:
    assert DagMark.of("dag").owns(Server(id="1", name=MARK.name))
    assert not DagMark.of("other").owns(Server(id="1", name=MARK.name))
    assert not DagMark.of("dag").owns(Server(id="1", name=f"{MARK.name}0"))


# --- what is never deleted -----------------------------------------------------------------------------------------------


def make_server(night: DrillNight, name: str) -> str:
    image = next(iter(night.client().machines.list_images(kind="gold")))
    body = {
        "name": name,
        "imageRef": image.id,
        "flavorRef": "s6.large.2",
        "vpcid": DRILL_VPC,
        "nics": [{"subnet_id": DRILL_SUBNET}],
        "security_groups": [{"id": DRILL_SECURITY_GROUP}],
        "root_volume": {"volumetype": "SSD"},
    }
    made: str = (
        night.client().machines._servers.change("CreatePostPaidServers", "/cloudservers", {"server": body}, lambda one: one.body).decode()
    )
    return made


@pytest.mark.parametrize("name", ["payroll", "{mark}-copy", "cbr-drill-000000000000-0123456789abcdef"])
def test_a_server_without_the_mark_is_never_deleted(name: str) -> None:
    night = DrillNight()
    make_server(night, name.format(mark=night.mark.name))
    night.start()
    night.end()
    assert [one["state"] for one in night.control.ledger()["servers"]] == ["alive", "deleted"]


def test_a_server_that_has_lost_its_mark_meanwhile_is_left_alone() -> None:
    """Somebody has taken the server over, and given it another name, between the look and the deletion."""
    night = DrillNight()
    night.start()
    service = night.adapter.emulator.service
    (server,) = service.machines.servers.values()

    def rename(step: Any, moment: str) -> None:
        if str(step) == "look at a server" and moment == "before":
            server.name = "payroll"

    night.end(observe=rename)
    assert [one["state"] for one in night.control.ledger()["servers"]] == ["alive"]


# --- delete_backup -------------------------------------------------------------------------------------------------------


def test_every_image_that_is_deleted_is_deleted_without_its_replica() -> None:
    night = DrillNight()
    night.start()
    night.end()
    deletions = [call for call in night.control.ledger()["calls"] if call["call"] == "GlanceDeleteImage"]
    assert [call["request"] for call in deletions] == [{"delete_backup": False}]
    assert night.left() == []


def test_nothing_in_the_package_says_delete_backup_but_the_constant_that_is_false() -> None:
    """One mapping literal, whose value is the constant False, which only the one call reads; no parameter is named so."""
    package = Path(airflow_cbr.__file__).parent
    named: list[tuple[str, Any]] = []
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] == "emulator":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "delete_backup":
                        named.append((path.name, value.value if isinstance(value, ast.Constant) else ast.dump(value)))
            elif isinstance(node, ast.arg | ast.keyword) and node.arg == "delete_backup":
                named.append((path.name, "a parameter"))
            elif isinstance(node, ast.Attribute) and node.attr == "delete_backup":
                named.append((path.name, "an attribute"))
    assert [one for one in named if one[0] == "images.py"] == [("images.py", False)]
    # CBR's own call that deletes a backup is another one, and has no place in the room of drills.
    assert [one for one in named if one[0] != "images.py" and one[1] not in ("an attribute",)] == []
    drills = [path for path in (package / "drills").glob("*.py") if "delete_backup" in path.read_text(encoding="utf-8")]
    assert drills == []


@given(st.one_of(st.none(), st.booleans(), st.text(max_size=5), st.integers()))
def test_the_call_takes_no_such_parameter(value: Any) -> None:
    from airflow_cbr.api.calls.images import ImageCalls

    with pytest.raises(TypeError):
        ImageCalls.delete_image(ImageCalls(), "0" * 32, delete_backup=value)  # type: ignore[call-arg]


def test_a_cleanup_of_the_dag_leaves_other_dags_alone() -> None:
    night = DrillNight(identity=("another_dag", "run", "start", -1))
    night.start()
    cleanup = Cleanup(
        night.client(),
        CleanupSpec(owner=DagMark.of("a_dag"), before=night.clock.now() + 1e6),
        attempt=Attempt(),
        intents=None,
        now=night.clock.now,
    )
    assert not isinstance(cleanup.advance(), Pause)
    assert [one["state"] for one in night.control.ledger()["servers"]] == ["alive"]
