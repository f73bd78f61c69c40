"""The operator that chooses what restore drills restore, and looks whether they can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_cbr.api.ids import check_id
from airflow_cbr.exceptions import CbrError, CbrParameterError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.hooks.failures import raise_for_airflow
from airflow_cbr.operators.base import BetweenRegions
from airflow_cbr.operators.drilling import check_life, placement_of
from airflow_cbr.operators.parameters import check_at_least, check_record_ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_cbr.drills.pick import Restorable
    from airflow_cbr.inventory.destination import Destination

__all__ = ["CbrPlanRestoreDrillsOperator"]

PLAN_XCOM_KEY = "plan"


class CbrPlanRestoreDrillsOperator(BetweenRegions):
    """Choose the replicas that are restored, and check that they can be; nothing is made or paid for.

    Chosen are replicas that are verified now, at the destination: the newest of each resource that is named, of a random sample, or of
    every resource. Checked are the flavor, the quotas of servers, cores, memory and images, and by a dry run the network. The log says what
    drives the cost: the number of drills, their GB, the flavor, and the hours after which the service deletes the servers by itself.

    XCom: ``return_value`` is the list of replica ids, to map over; ``plan`` has each replica with its resource, the ``costs``, the
    ``errors`` and the ``warnings``; it is pushed before the task fails.

    :param vault_id: id of the source vault. (templated)
    :param destination_region: region id of the replicas. (templated)
    :param destination_project_id: project id in that region. (templated)
    :param destination_vault_id: id of the replication vault in that project. (templated)
    :param flavor: as of :class:`~airflow_cbr.operators.cbr.CbrStartRestoreDrillOperator`. (templated)
    :param vpc_id: the same. (templated)
    :param subnet_id: the same. (templated)
    :param security_group_ids: the same. (templated)
    :param resource_ids: ids of the resources to restore. Default: all that have a verified replica. (templated)
    :param sample: how many resources are chosen at random. Default: all.
    :param seed: text that decides the random choice; the same seed and the same resources give the same. Default: the Dag run's id.
        (templated)
    :param root_volume_type: as of the start. Default: ``SSD``. (templated)
    :param data_volumes: as of the start. Default: those of the image.
    :param availability_zone: as of the start. Default: the service's choice. (templated)
    :param key_name: as of the start. Default: none. (templated)
    :param user_data: as of the start. Default: none. (templated)
    :param enterprise_project_id: as of the start. Default: none. (templated)
    :param terminate_after: as of the start. Default: 21600.
    :param at_once: how many drills will run at a time; the quotas are judged by it. Default: all.
    :param dry_run_image_id: image of the server that the service checks; a refusal is an error then. Default: a public one, and a refusal
        is a warning. (templated)
    :param cbr_conn_id: id of the connection. Default: ``huaweicloud_cbr_default``. (templated)
    :param destination_conn_id: connection for the destination region, where it needs other credentials. Default: ``cbr_conn_id``.
        (templated)
    :param region: source region id. Default: the connection's. (templated)
    :param project_id: source project id. Default: the connection's, or looked up. (templated)
    :raises CbrDrillFailedError: there is no replica to restore, or something would make a drill fail.
    """

    template_fields: Sequence[str] = (
        "vault_id",
        *BetweenRegions.template_fields,
        "flavor",
        "vpc_id",
        "subnet_id",
        "security_group_ids",
        "resource_ids",
        "seed",
        "root_volume_type",
        "availability_zone",
        "key_name",
        "user_data",
        "enterprise_project_id",
        "dry_run_image_id",
    )
    ui_color = "#f0ead4"

    def __init__(
        self,
        *,
        vault_id: str,
        destination_region: str,
        destination_project_id: str,
        destination_vault_id: str,
        flavor: str,
        vpc_id: str,
        subnet_id: str,
        security_group_ids: Sequence[str] | str,
        resource_ids: Sequence[str] | None = None,
        sample: int | None = None,
        seed: str | None = None,
        root_volume_type: str = "SSD",
        data_volumes: Sequence[Mapping[str, Any]] | None = None,
        availability_zone: str | None = None,
        key_name: str | None = None,
        user_data: str | None = None,
        enterprise_project_id: str | None = None,
        terminate_after: float | timedelta = 21600,
        at_once: int | None = None,
        dry_run_image_id: str | None = None,
        cbr_conn_id: str = CbrHook.default_conn_name,
        destination_conn_id: str | None = None,
        region: str | None = None,
        project_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vault_id = vault_id
        self.destination_region = destination_region
        self.destination_project_id = destination_project_id
        self.destination_vault_id = destination_vault_id
        self.flavor = flavor
        self.vpc_id = vpc_id
        self.subnet_id = subnet_id
        self.security_group_ids = security_group_ids
        self.resource_ids = resource_ids
        self.sample = sample
        self.seed = seed
        self.root_volume_type = root_volume_type
        self.data_volumes = data_volumes
        self.availability_zone = availability_zone
        self.key_name = key_name
        self.user_data = user_data
        self.enterprise_project_id = enterprise_project_id
        self.terminate_after = terminate_after
        self.at_once = at_once
        self.dry_run_image_id = dry_run_image_id
        self.cbr_conn_id = cbr_conn_id
        self.destination_conn_id = destination_conn_id
        self.region = region
        self.project_id = project_id

    def execute(self, context: Context) -> list[str]:
        """Choose and check.

        :param context: the task's context.
        :return: the ids of the replicas.
        """
        from airflow_cbr.drills.lines import cost_line
        from airflow_cbr.drills.preflight import check_drills

        try:
            destination = self.destination_of(self.vault_id)
            placement, life = placement_of(self), check_life(self.terminate_after)
            at_once = None if self.at_once is None else check_at_least(self.at_once, 1, "at_once")
            image_id = None if self.dry_run_image_id is None else check_id(self.dry_run_image_id, "dry_run_image_id")
            self._push_links(context)
            chosen = self._choose(context, destination)
            client = self.destination_hook.client
            plan = check_drills(client, placement, chosen, terminate_after=life, at_once=at_once, dry_run_image_id=image_id)
            context["ti"].xcom_push(key=PLAN_XCOM_KEY, value=plan.document())
            for replica in plan.replicas:
                self.log.info("To restore: %s", replica.subject)
            for warning in plan.warnings:
                self.log.warning("%s", warning)
            self.log.info("%s", cost_line(plan.costs))
            if error := plan.failure():
                raise error
            return [replica.replica_id for replica in plan.replicas]
        except CbrError as error:
            raise_for_airflow(error)

    def _choose(self, context: Context, destination: Destination) -> list[Restorable]:
        from airflow_cbr.drills.pick import find_restorable, newest_by_resource, pick_newest, sample

        named = None if self.resource_ids is None else check_record_ids(self.resource_ids, "resource_ids", source="a list of ids")
        size = None if self.sample is None else check_at_least(self.sample, 1, "sample")
        if named is not None and size is not None and size > len(named):
            raise CbrParameterError("sample", f"is {size}, and resource_ids names {len(named)}.")
        clients = self.hook.client, self.destination_hook.client
        newest = newest_by_resource(find_restorable(*clients, vault_id=check_id(self.vault_id, "vault_id"), there=destination))
        if named is not None:
            newest = pick_newest(newest, named)
        if size is not None:
            newest = sample(newest, size, str(self.seed if self.seed is not None else context["ti"].run_id))
        return newest if newest else sample(newest, 1, "")
