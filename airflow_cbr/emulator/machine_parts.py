"""What a world says of the compute service: flavors, and the networks that servers may be put into."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from airflow_cbr.emulator.bounds import MOST_THINGS
from airflow_cbr.emulator.parts import Name, Part, ProjectId, ResourceId


class FlavorPart(Part):
    """A flavor, which every region offers."""

    id: Name = Field(description="Flavor id.")
    vcpus: int = Field(default=2, ge=1, le=1024, description="Cores.")
    ram: int = Field(default=4096, ge=1, le=100_000_000, description="MB.")
    status: Name = Field(default="normal", description="`cond:operation:status`: `normal`, `sellout`, `abandon` ...")


class NetworkPart(Part):
    """A VPC with what servers need in it."""

    project_id: ProjectId = Field(description="Its project.")
    vpc_id: ResourceId = Field(description="VPC.")
    subnet_ids: list[ResourceId] = Field(min_length=1, max_length=MOST_THINGS, description="Its subnets.")
    security_group_ids: list[ResourceId] = Field(min_length=1, max_length=MOST_THINGS, description="Security groups.")


DEFAULT_FLAVORS: Final = (FlavorPart(id="s6.large.2"), FlavorPart(id="s6.xlarge.2", vcpus=4, ram=8192))
"""Two that the documentation uses in its examples."""
