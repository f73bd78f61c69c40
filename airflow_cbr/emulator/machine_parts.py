"""What a world says of the compute service: flavors, and the networks that servers may be put into."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from airflow_cbr.emulator.bounds import MOST_THINGS

_Id = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32})$")]
_Word = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=10_000)


class FlavorPart(_Part):
    """A flavor, which every region offers."""

    id: _Word = Field(description="Flavor id.")
    vcpus: int = Field(default=2, ge=1, le=1024, description="Cores.")
    ram: int = Field(default=4096, ge=1, le=100_000_000, description="MB.")
    status: _Word = Field(default="normal", description="`cond:operation:status`: `normal`, `sellout`, `abandon` ...")


class NetworkPart(_Part):
    """A VPC with what servers need in it."""

    project_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] = Field(description="Its project.")
    vpc_id: _Id = Field(description="VPC.")
    subnet_ids: list[_Id] = Field(min_length=1, max_length=MOST_THINGS, description="Its subnets.")
    security_group_ids: list[_Id] = Field(min_length=1, max_length=MOST_THINGS, description="Security groups.")


DEFAULT_FLAVORS: Final = (FlavorPart(id="s6.large.2"), FlavorPart(id="s6.xlarge.2", vcpus=4, ram=8192))
"""Two that the documentation uses in its examples."""
