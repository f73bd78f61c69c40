"""What would keep drills from starting, and what they would cost; found out before anything is made, by reads and dry runs alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_cbr.api.texts import counted
from airflow_cbr.exceptions import CbrApiError, CbrDrillFailedError, CbrError, CbrOutcomeUnknownError, CbrTransportError
from airflow_cbr.once.clock import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.machine_client import MachineClient
    from airflow_cbr.api.machine_models import Flavor
    from airflow_cbr.drills.pick import Restorable
    from airflow_cbr.drills.spec import Placement

__all__ = ["DrillPlan", "check_drills"]

_NAME: Final = "cbr-drill-dry-run"
_NO_LIMIT: Final = -1
_CLOSED: Final = frozenset({"abandon", "sellout"})


@dataclass(slots=True)
class DrillPlan:
    """What a preflight says.

    :param replicas: what would be restored.
    :param costs: the drivers of the cost: ``drills``, ``gb``, ``flavor``, ``vcpus``, ``ram_mb``, ``hours_at_most``.
    :param errors: what would make a drill fail.
    :param warnings: what may, or could not be found out.
    """

    replicas: list[Restorable]
    costs: dict[str, Any]
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def failure(self) -> CbrDrillFailedError | None:
        """Return the error that lists what is wrong; None when nothing is."""
        if not self.errors:
            return None
        return CbrDrillFailedError(
            f"{counted(len(self.errors), 'finding')} would make the restore drills fail; nothing was started.",
            problems=self.errors,
            advice="Correct the parameters, raise the quota, or remove what earlier drills have left: CbrSweepRestoreDrillsOperator.",
        )

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "replicas": msgspec.to_builtins(self.replicas),
            "costs": self.costs,
            "errors": self.errors,
            "warnings": self.warnings,
        }


def check_drills(
    client: CbrClient,
    placement: Placement,
    replicas: Sequence[Restorable],
    *,
    terminate_after: float,
    at_once: int | None = None,
    dry_run_image_id: str | None = None,
) -> DrillPlan:
    """Look at quotas, flavor and network, and let the service check a server.

    :param client: a client of the drills' region and project.
    :param placement: what servers, and where.
    :param replicas: what would be restored.
    :param terminate_after: seconds after which the service deletes a server by itself.
    :param at_once: how many drills run at a time. Default: all.
    :param dry_run_image_id: the image of the server that the service checks. Default: a public one.
    """
    machines, many = client.machines, min(len(replicas), at_once or len(replicas))
    sizes = [one.size_gb for one in replicas if one.size_gb is not None]
    costs = {
        "drills": len(replicas),
        "at_once": many,
        "gb": sum(sizes),
        "gb_unknown": len(replicas) - len(sizes),
        "flavor": placement.flavor,
        "hours_at_most": round(len(replicas) * terminate_after / 3600, 2),
    }
    plan = DrillPlan(list(replicas), costs)
    flavor = _reading(plan, "the flavor", lambda: _flavor(machines, placement.flavor, plan))
    if flavor is not None:
        costs |= {"vcpus": flavor.vcpus, "ram_mb": flavor.ram}
    _reading(plan, "the quota of servers", lambda: _server_quota(machines, flavor, many, plan))
    _reading(plan, "the quota of images", lambda: _image_quota(machines, many, plan))
    _dry_run(client, placement, terminate_after, dry_run_image_id, plan)
    return plan


def _reading(plan: DrillPlan, what: str, read: Any) -> Any:
    """Return what a look finds; one that fails leaves a warning, since the drill itself may need less."""
    try:
        return read()
    except CbrError as error:
        plan.warnings.append(f"{what} could not be read: {error.what_happened}")
        return None


def _flavor(machines: MachineClient, name: str, plan: DrillPlan) -> Flavor | None:
    flavor = machines.show_flavor(name)
    if flavor is None:
        plan.errors.append(f"flavor {name} does not exist in this region")
    elif flavor.status in _CLOSED:
        plan.errors.append(f"flavor {name} is not offered at present: {flavor.status}")
    return flavor


def _server_quota(machines: MachineClient, flavor: Flavor | None, many: int, plan: DrillPlan) -> None:
    limits = machines.show_server_limits()
    wanted = [("servers", limits.instances, limits.instances_used, many)]
    if flavor is not None:
        wanted += [
            ("cores", limits.cores, limits.cores_used, many * (flavor.vcpus or 0)),
            ("MB of memory", limits.ram, limits.ram_used, many * (flavor.ram or 0)),
        ]
    for what, most, used, needed in wanted:
        if most is not None and used is not None and most != _NO_LIMIT and used + needed > most:
            plan.errors.append(f"the quota of {what} is {most}, of which {used} are used; {many} drills at once need {needed}")


def _image_quota(machines: MachineClient, many: int, plan: DrillPlan) -> None:
    quota = machines.show_image_quota()
    if quota is None:
        plan.warnings.append("the quota of images is not said")
    elif quota[0] + many > quota[1]:
        plan.errors.append(f"the quota of private images is {quota[1]}, of which {quota[0]} are used; {many} drills at once need {many}")


def _dry_run(client: CbrClient, placement: Placement, terminate_after: float, image_id: str | None, plan: DrillPlan) -> None:
    """Let the service check a server. With a public image in the replica's place, a refusal may be about that image."""
    named = image_id is not None
    if image_id is None:
        images = _reading(plan, "the list of public images", lambda: _public_images(client.machines))
        if not images:
            plan.warnings.append("no dry run was made: there is no public image, and none was named")
            return
        image_id = images[0]
    ends = moment((client.server_time or moment(0)).timestamp() + terminate_after)
    server = placement.server(image_id, name=_NAME, terminate_at=ends.strftime("%Y-%m-%dT%H:%M:00Z"), tags={})
    try:
        client.machines.check_server(server)
    except (CbrTransportError, CbrOutcomeUnknownError) as error:
        plan.warnings.append(f"the dry run had no answer: {error.what_happened}")
    except CbrApiError as error:
        (plan.errors if named and error.permanent else plan.warnings).append(
            f"the service refuses a server of this kind (image {image_id}): {error.what_happened}"
        )


def _public_images(machines: MachineClient) -> list[str]:
    return [one.id for one in machines.list_images(kind="gold", status="active")][:1]
