"""What a world says of regions, projects, vaults, and the backups in them."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import Field, model_validator

from airflow_cbr.emulator.bounds import (
    FIRST_MOMENT,
    LAST_MOMENT,
    MOST_AT_START,
    MOST_RESOURCES,
    MOST_THINGS,
    Age,
    Distance,
    Gigabytes,
    Megabytes,
    Row,
)
from airflow_cbr.emulator.kinds import BackupStatus, ImageType, ObjectType, ProtectType, VaultStatus
from airflow_cbr.emulator.parts import Part, ProjectId, RegionId, ResourceId


class RegionPart(Part):
    """A region."""

    id: RegionId = Field(description="Region id.")
    replicates_to: list[RegionId] = Field(
        default_factory=list, max_length=MOST_THINGS, description="Destination regions, as `replication-capabilities` lists them."
    )
    clock_ahead: Distance = Field(
        default=0.0, description="Seconds by which its `Date` headers, and its judgement of signatures, are ahead; negative: behind."
    )


class ProjectPart(Part):
    """A project, which belongs to one region."""

    id: ProjectId = Field(description="Project id, 32 hexadecimal digits.")
    region: RegionId = Field(description="Its region.")
    name: str | None = Field(default=None, description="Name; null: the region's id, as of a default project.")
    replication: bool = Field(default=True, description="Whether the project may be a destination (1011 otherwise).")


class ResourcePart(Part):
    """A server, disk or file system that is bound to a vault."""

    id: ResourceId | None = Field(default=None, description="Id; null: a new one.")
    name: str | None = Field(default=None, description="Name; null: made up.")
    type: str | None = Field(default=None, description="Type such as `OS::Nova::Server`; null: the one of the vault's object type.")
    size: Gigabytes = Field(default=40, description="GB.")
    protect_status: str = Field(default="available", description="`error` makes new checkpoints skip it.")


class BackupPart(Part):
    """A backup in a vault."""

    id: ResourceId | None = Field(default=None, description="Id; null: a new one.")
    name: str | None = Field(default=None, description="Name; null: made up.")
    checkpoint_id: ResourceId | None = Field(default=None, description="Checkpoint; null: a new one for each backup.")
    resource_id: ResourceId | None = Field(default=None, description="Resource; null: the vault's resources in turn, or a new one.")
    resource_name: str | None = Field(default=None, description="Name of the resource, where it is not one of the vault's.")
    resource_type: str | None = Field(default=None, description="Type of the resource, where it is not one of the vault's.")
    resource_size: Gigabytes | None = Field(default=None, description="GB; null: the resource's size, or 40.")
    status: BackupStatus = Field(default="available", description="Status.")
    image_type: ImageType = Field(default="backup", description="`backup` or `replication`.")
    created_at: datetime | None = Field(default=None, description="Creation; without a zone it is UTC. Excludes `age_seconds`.")
    age_seconds: Age | None = Field(
        default=None, description="Age at the start of the world; default one hour, a second less for each backup."
    )
    expires_in_seconds: Distance | None = Field(
        default=None, description="Seconds from the start of the world until it expires; null: never."
    )
    incremental: bool = Field(default=True, description="Incremental backup.")
    auto_trigger: bool = Field(default=False, description="Made by a policy.")
    contain_system_disk: bool = Field(default=True, description="A server's backup without its system disk cannot be replicated (1004).")
    system_disk_picked: bool = Field(default=False, description="A system disk picked by the user prevents replication (1013).")
    images: list[ResourceId] = Field(
        default_factory=list, max_length=MOST_THINGS, description="Images that were made of it; it cannot be deleted while there are any."
    )
    replicated_to: list[ResourceId] = Field(
        default_factory=list, max_length=MOST_THINGS, description="Destination vaults that hold a finished replica from the start."
    )
    row: Row = Field(default_factory=dict, description="Further fields of the row, or other values for its fields.")

    @model_validator(mode="after")
    def _one_time(self) -> BackupPart:
        if self.created_at is not None and self.age_seconds is not None:
            raise ValueError("created_at and age_seconds exclude each other")
        if self.created_moment is not None and not FIRST_MOMENT <= self.created_moment <= LAST_MOMENT:
            raise ValueError("created_at must be from 0001-01-02 to 9999-12-30")
        return self

    @property
    def created_moment(self) -> float | None:
        """Return ``created_at`` in seconds since 1970."""
        if self.created_at is None:
            return None
        return (self.created_at if self.created_at.tzinfo else self.created_at.replace(tzinfo=UTC)).timestamp()


class GeneratePart(Part):
    """A shorthand for many backups."""

    count: int = Field(ge=1, le=MOST_AT_START, description="Number of backups.")
    resources: int = Field(
        default=10, ge=1, le=MOST_RESOURCES, description="Number of resources they belong to in turn, where the vault lists none."
    )
    size: Gigabytes = Field(default=40, description="GB of a resource, where the vault lists none.")
    newest_age_seconds: Age = Field(default=3600.0, description="Age of the newest one.")
    every_seconds: float = Field(default=60.0, ge=0, le=1e5, description="Distance between two of them.")
    status: BackupStatus = Field(default="available", description="Status.")
    replicated_to: list[ResourceId] = Field(
        default_factory=list, max_length=MOST_THINGS, description="Destination vaults that hold finished replicas from the start."
    )


class VaultPart(Part):
    """A vault with what is in it."""

    id: ResourceId | None = Field(default=None, description="Id; null: a new one.")
    name: str | None = Field(default=None, description="Name; null: made up.")
    project_id: ProjectId = Field(description="Its project.")
    protect_type: ProtectType = Field(default="backup", description="`backup`, `replication` or `hybrid`.")
    object_type: ObjectType = Field(default="server", description="What it holds.")
    status: VaultStatus = Field(default="available", description="Billing status.")
    size: int = Field(default=1000, ge=1, le=10485760, description="GB.")
    used: Megabytes | None = Field(default=None, description="MB; null: the sum of its backups.")
    locked: bool = Field(default=False, description="Whether the vault is locked (WORM).")
    resources: list[ResourcePart] = Field(default_factory=list, max_length=MOST_RESOURCES, description="What is bound to it.")
    backups: list[BackupPart] = Field(default_factory=list, max_length=MOST_AT_START, description="Its backups.")
    generate: GeneratePart | None = Field(default=None, description="Further backups by number.")
    row: Row = Field(default_factory=dict, description="Further fields of the row, or other values for its fields.")
