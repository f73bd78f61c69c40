"""A world: accounts, regions, projects, vaults and backups, as a file or a control call describes them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

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
from airflow_cbr.emulator.faults import AnyFault
from airflow_cbr.emulator.key_parts import AgencyPart, OidcPart, PodPart, ServerPart
from airflow_cbr.emulator.kinds import BackupStatus, ImageType, ObjectType, ProtectType, VaultStatus
from airflow_cbr.emulator.machine_parts import FlavorPart, NetworkPart
from airflow_cbr.emulator.store import WorldError
from airflow_cbr.emulator.switches import Switches

ProjectId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
ResourceId = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32})$")]
RegionId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]


_TOLD: Final = 20
"""Mistakes that are named in one answer."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=10_000)


class UserPart(_Part):
    """An IAM user with a password and one access key."""

    name: str = Field(description="User name.")
    password: str = Field(description="IAM password.")
    access_key: str = Field(description="Access key (AK).")
    secret_key: str = Field(description="Secret key (SK).")
    security_token: str | None = Field(default=None, description="Makes the keys temporary ones: requests must bring and sign it.")
    projects: list[ProjectId] | None = Field(default=None, max_length=MOST_THINGS, description="Projects that the user may use; null: all.")
    denied_calls: list[str] = Field(default_factory=list, max_length=MOST_THINGS, description="Names of calls that the user may not make.")


class RegionPart(_Part):
    """A region."""

    id: RegionId = Field(description="Region id.")
    replicates_to: list[RegionId] = Field(
        default_factory=list, max_length=MOST_THINGS, description="Destination regions, as `replication-capabilities` lists them."
    )
    clock_ahead: Distance = Field(
        default=0.0, description="Seconds by which its `Date` headers, and its judgement of signatures, are ahead; negative: behind."
    )


class ProjectPart(_Part):
    """A project, which belongs to one region."""

    id: ProjectId = Field(description="Project id, 32 hexadecimal digits.")
    region: RegionId = Field(description="Its region.")
    name: str | None = Field(default=None, description="Name; null: the region's id, as of a default project.")
    replication: bool = Field(default=True, description="Whether the project may be a destination (1011 otherwise).")


class ResourcePart(_Part):
    """A server, disk or file system that is bound to a vault."""

    id: ResourceId | None = Field(default=None, description="Id; null: a new one.")
    name: str | None = Field(default=None, description="Name; null: made up.")
    type: str | None = Field(default=None, description="Type such as `OS::Nova::Server`; null: the one of the vault's object type.")
    size: Gigabytes = Field(default=40, description="GB.")
    protect_status: str = Field(default="available", description="`error` makes new checkpoints skip it.")


class BackupPart(_Part):
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


class GeneratePart(_Part):
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


class VaultPart(_Part):
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


class World(_Part):
    """All that an emulator starts with."""

    account: str = Field(default="acme", description="Account (domain) name.")
    users: list[UserPart] = Field(min_length=1, max_length=MOST_THINGS, description="IAM users.")
    regions: list[RegionPart] = Field(min_length=1, max_length=MOST_THINGS, description="Regions.")
    projects: list[ProjectPart] = Field(min_length=1, max_length=MOST_THINGS, description="Projects.")
    vaults: list[VaultPart] = Field(default_factory=list, max_length=MOST_THINGS, description="Vaults.")
    agencies: list[AgencyPart] = Field(default_factory=list, max_length=MOST_THINGS, description="Agencies, of this account and of others.")
    server: ServerPart = Field(default_factory=ServerPart, description="The server that the metadata service belongs to.")
    pod: PodPart | None = Field(default=None, description="The pod whose identity can be asked for; null: there is none.")
    oidc_providers: list[OidcPart] = Field(default_factory=list, max_length=MOST_THINGS, description="Identity providers in IAM.")
    flavors: list[FlavorPart] | None = Field(
        default=None, max_length=MOST_THINGS, description="Flavors of servers, in every region; null: `s6.large.2` and `s6.xlarge.2`."
    )
    networks: list[NetworkPart] = Field(default_factory=list, max_length=MOST_THINGS, description="VPCs that servers can be put into.")
    switches: Switches = Field(default_factory=Switches, description="Switches.")
    faults: list[AnyFault] = Field(default_factory=list, max_length=MOST_THINGS, description="Faults, as the control call takes them.")
    seed: int | None = Field(
        default=None, ge=-(2**63), le=2**63, description="Makes ids and the chances of faults repeatable; null: they differ in every run."
    )

    @model_validator(mode="after")
    def _consistent(self) -> World:
        regions = {region.id for region in self.regions}
        projects = {project.id for project in self.projects}
        for project in self.projects:
            if project.region not in regions:
                raise ValueError(f"project {project.id} is in an unknown region: {project.region}")
        for vault in self.vaults:
            if vault.project_id not in projects:
                raise ValueError(f"vault {vault.id or vault.name} is in an unknown project: {vault.project_id}")
        agencies = {agency.name for agency in self.agencies}
        for agency in (self.server.agency, self.pod.agency if self.pod else None):
            if agency is not None and agency not in agencies:
                raise ValueError(f"agency {agency} is unknown")
        for what, ids in (
            ("agency", [agency.name for agency in self.agencies]),
            ("identity provider", [provider.name for provider in self.oidc_providers]),
            ("flavor", [flavor.id for flavor in self.flavors or ()]),
            ("region", [region.id for region in self.regions]),
            ("project", [project.id for project in self.projects]),
            ("user", [user.name for user in self.users]),
            ("access key", [user.access_key for user in self.users]),
            ("vault", [vault.id for vault in self.vaults if vault.id]),
            ("backup", [backup.id for vault in self.vaults for backup in vault.backups if backup.id]),
        ):
            twice = next((one for one, times in Counter(ids).items() if times > 1), None)
            if twice is not None:
                raise ValueError(f"{what} {twice} is listed twice")
        return self


SOURCE_PROJECT: Final = "4229d7a45436489f8c3dc2b1d35d4987"
SOURCE_VAULT: Final = "3b5816b5-f29c-4172-9d9a-76c719a659ce"
DESTINATION_PROJECT: Final = "68589cac08274b82b4e254268a3862d8"
DESTINATION_VAULT: Final = "0ca3eb86-8800-46da-9c37-9d657a825274"
BACKUPS: Final = (
    "7558e1a3-7046-4787-95cd-14b0ad0642a8",
    "6df2b54c-dd62-4059-a07c-1b8f24f2725d",
    "aa00034d-ef40-443d-ab7a-dc846d988cdf",
)
DRILL_VPC: Final = "2a1f3c4d-77f1-4a0e-8a2b-5f0d0b6f1e11"
DRILL_SUBNET: Final = "5d6c1b7e-3e0d-4b55-9b0c-8d3b7e5a9c22"
DRILL_SECURITY_GROUP: Final = "f0e1d2c3-b4a5-4687-9a8b-7c6d5e4f3a33"
_SERVERS: Final = (
    ("94eba8b2-acc9-4d82-badc-127144cc5526", "ecs-web-01", 40),
    ("1a503932-ee8f-4dd5-8248-8dfb57e584c5", "ecs-app-01", 60),
    ("54f7ccbc-072f-4ec5-a7b7-b24dabdb4539", "ecs-db-01", 100),
)


def default_world() -> World:
    """Return the world of the API's own documentation: one vault with three backups, and a replication vault in another region."""
    return World(
        account="acme",
        users=[
            UserPart(
                name="backup-bot",
                password="emulator-password",  # noqa: S106 (published: it opens nothing but the emulator)
                access_key="EMULATORACCESSKEY001",
                secret_key="emulator-secret-key-for-local-use-only",  # noqa: S106
            )
        ],
        regions=[
            RegionPart(id="cn-north-4", replicates_to=["cn-shenzhen-1"]),
            RegionPart(id="cn-shenzhen-1", replicates_to=["cn-north-4"]),
        ],
        projects=[ProjectPart(id=SOURCE_PROJECT, region="cn-north-4"), ProjectPart(id=DESTINATION_PROJECT, region="cn-shenzhen-1")],
        vaults=[
            VaultPart(
                id=SOURCE_VAULT,
                name="vault-nightly",
                project_id=SOURCE_PROJECT,
                size=500,
                resources=[ResourcePart(id=server, name=name, size=size) for server, name, size in _SERVERS],
                backups=[
                    BackupPart(
                        id=backup,
                        name=f"nightly-{name}",
                        checkpoint_id="8b0851a8-adf3-4f4c-a914-dead08bf9664",
                        resource_id=server,
                        auto_trigger=True,
                    )
                    for backup, (server, name, _) in zip(BACKUPS, _SERVERS, strict=True)
                ],
            ),
            VaultPart(id=DESTINATION_VAULT, name="vault-replicas", project_id=DESTINATION_PROJECT, protect_type="replication", size=1000),
        ],
        agencies=[AgencyPart(name="airflow"), AgencyPart(name="partner-backup", account="partner", projects=[DESTINATION_PROJECT])],
        server=ServerPart(agency="airflow"),
        pod=PodPart(agency="airflow"),
        networks=[
            NetworkPart(
                project_id=DESTINATION_PROJECT, vpc_id=DRILL_VPC, subnet_ids=[DRILL_SUBNET], security_group_ids=[DRILL_SECURITY_GROUP]
            )
        ],
    )


def read_world(content: Any) -> World:
    """Check a world.

    :param content: decoded JSON.
    :raises WorldError: a key is unknown or missing, or a value is wrong; the text names each place.
    """
    try:
        return World.model_validate(content)
    except ValidationError as error:
        raise WorldError(describe(error)) from None


def load_world(path: str | Path) -> World:
    """Read a world file.

    :param path: a JSON file.
    :raises WorldError: it cannot be read, or is no world.
    """
    try:
        return World.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise WorldError(f"cannot read the world file: {error}") from None
    except ValidationError as error:
        raise WorldError(f"world file {path}: {describe(error)}") from None


def describe(error: ValidationError) -> str:
    """Return one line that names each place and what is wrong there, without the values (some are secrets).

    :param error: from pydantic.
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [
        f"{'.'.join(str(part)[:100] for part in one['loc']) or 'world'}: {one['msg'].removeprefix('Value error, ')[:1000]}"
        for one in found[:_TOLD]
    ]
    return "; ".join(lines) + (f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else "")
