"""A world: accounts, regions, projects, vaults and backups, as a file or a control call describes them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError, model_validator

from airflow_cbr.emulator.bounds import MOST_THINGS
from airflow_cbr.emulator.faults import AnyFault
from airflow_cbr.emulator.key_parts import AgencyPart, OidcPart, PodPart, ServerPart, UserPart
from airflow_cbr.emulator.machine_parts import FlavorPart, NetworkPart
from airflow_cbr.emulator.parts import Part, describe
from airflow_cbr.emulator.store import WorldError
from airflow_cbr.emulator.switches import Switches
from airflow_cbr.emulator.vault_parts import BackupPart, ProjectPart, RegionPart, ResourcePart, VaultPart


class World(Part):
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
