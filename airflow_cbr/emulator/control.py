"""The control calls under ``/_emulator/``: look at the service, change it, make it fail, read its book."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from airflow_cbr.emulator.bounds import FASTEST, LATEST_NOW, MOST_THINGS, Seconds
from airflow_cbr.emulator.changes import change_backup, change_record, change_vault
from airflow_cbr.emulator.clock import moment_text
from airflow_cbr.emulator.faults import AnyFault
from airflow_cbr.emulator.key_parts import PodPart, ServerPart
from airflow_cbr.emulator.rows import record_row
from airflow_cbr.emulator.store import Backup, Vault, WorldError
from airflow_cbr.emulator.switches import Switches
from airflow_cbr.emulator.vault_parts import BackupPart, VaultPart
from airflow_cbr.emulator.world import read_world

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_cbr.emulator.service import Emulator, Service

_Thing = TypeVar("_Thing")
_FAULTS: TypeAdapter[list[AnyFault]] = TypeAdapter(list[AnyFault])


class MissingError(WorldError):
    """Something that a control call names does not exist."""


class ClockChange(BaseModel):
    """Body of the clock's control call."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    advance: Seconds = Field(default=0.0, description="Simulated seconds that pass at once.")
    speed: float | None = Field(
        default=None, ge=0, le=FASTEST, description="Simulated seconds per real second from now on; null: as before."
    )


class TokensEnd(BaseModel):
    """Body of the tokens' control call."""

    model_config = ConfigDict(extra="forbid")

    token: str | None = Field(default=None, description="Only this one; null: all that match.")
    user: str | None = Field(default=None, description="Only this user's; null: everybody's.")
    how: str = Field(default="revoke", pattern="^(revoke|expire)$", description="`revoke` or `expire`.")


class Control:
    """What the control calls do.

    :param emulator: the emulator.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def state(self, vault_id: str | None = None) -> dict[str, Any]:
        """Return a summary of everything, or of one vault with its backups' records.

        :param vault_id: only this vault. Default: None, all, without their backups.
        """
        service = self._emulator.service
        now = service.settle()
        vaults = service.store.vaults.values() if vault_id is None else [_found("vault", service.store.vaults, vault_id)]
        state: dict[str, Any] = {
            "clock": self.clock(),
            "switches": service.switches.model_dump(),
            "faults": service.faults.listing(),
            "projects": [
                {"id": one.id, "name": one.name, "region": one.region, "replication": one.replication}
                for one in service.store.projects.values()
            ],
            "vaults": [self._vault_state(vault) for vault in vaults],
        }
        if vault_id is not None:
            state["backups"] = [
                {
                    "id": backup.id,
                    "status": backup.status,
                    "image_type": backup.image_type,
                    "records": [record_row(record, now, service.switches) for record in backup.records],
                }
                for backup in service.store.in_vault(vault_id)
            ]
        return state

    def clock(self) -> dict[str, Any]:
        """Return the simulated time and its speed, and when something is due next."""
        clock, due = self._emulator.clock, self._emulator.service.timeline.next_due()
        return {"now": moment_text(clock.now()), "seconds": clock.now(), "speed": clock.speed, "next_due": moment_text(due)}

    def change_clock(self, change: ClockChange) -> dict[str, Any]:
        """Let simulated time pass, or change its speed.

        :param change: what.
        """
        clock = self._emulator.clock
        if clock.now() + change.advance > LATEST_NOW:
            raise WorldError("the clock would pass 2200-01-01, where it ends; another world does not set it back")
        clock.advance(change.advance)
        if change.speed is not None:
            clock.speed = change.speed
        self._emulator.service.settle()
        return self.clock()

    def replace_world(self, content: Any) -> dict[str, Any]:
        """Put another world in force.

        :param content: the world, decoded.
        """
        self._emulator.replace(read_world(content))
        return self.state()

    def reset(self) -> dict[str, Any]:
        """Start the world anew."""
        self._emulator.reset()
        return self.state()

    def faults(self) -> dict[str, Any]:
        """Return the faults in force."""
        return {"faults": self._emulator.service.faults.listing()}

    def add_faults(self, content: Any) -> dict[str, Any]:
        """Put faults in force.

        :param content: one fault or a list of them, decoded.
        """
        faults = self._emulator.service.faults
        asked = _FAULTS.validate_python(content if isinstance(content, list) else [content])
        if len(faults) + len(asked) > MOST_THINGS:
            raise WorldError(f"at most {MOST_THINGS} faults are in force at a time")
        numbers = [faults.add(fault) for fault in asked]
        return {"numbers": numbers} | self.faults()

    def remove_faults(self) -> dict[str, Any]:
        """Remove all faults."""
        self._emulator.service.faults.remove()
        return self.faults()

    def remove_fault(self, number: str) -> dict[str, Any]:
        """Remove one fault.

        :param number: from :meth:`add_faults`, as it stands in the path.
        """
        faults = self._emulator.service.faults
        known = next((one["number"] for one in faults.listing() if str(one["number"]) == number), None)
        if known is None:
            raise MissingError(f"fault {number[:100]} is not in force")
        faults.remove(known)
        return self.faults()

    def change_switches(self, content: Any) -> dict[str, Any]:
        """Change switches.

        :param content: new values by name.
        """
        service = self._emulator.service
        changed = Switches.model_validate(service.switches.model_dump() | content)
        for name in Switches.model_fields:
            setattr(service.switches, name, getattr(changed, name))
        service.store.forget_rows()
        return service.switches.model_dump()

    def end_tokens(self, what: TokensEnd) -> dict[str, Any]:
        """Revoke tokens, or let them expire.

        :param what: which ones and how.
        """
        ended = self._emulator.service.iam.end_tokens(value=what.token, user=what.user, expire=what.how == "expire")
        return {"ended": ended}

    def change_user(self, name: str, content: Any) -> dict[str, Any]:
        """Change a user: rotate keys or the password, or what they may do.

        :param name: the user.
        :param content: new values by the keys of a world's user.
        """
        identity = self._emulator.service.iam
        identity.change_user(_found("user", identity.users, name), content)
        return {"user": name}

    def change_agency(self, name: str, content: Any) -> dict[str, Any]:
        """Change an agency: whom it trusts, or what it may do.

        :param name: the agency.
        :param content: new values by the keys of a world's agency.
        """
        agencies = self._emulator.service.iam.agencies
        agency = _found("agency", agencies.by_name, name)
        agencies.change(agency, content)
        return {"agency": name, "urn": agency.urn}

    def change_server(self, content: Any) -> dict[str, Any]:
        """Attach another agency to the server, or none.

        :param content: new values by the keys of a world's server.
        """
        calls = self._emulator.service.key_calls
        part = ServerPart.model_validate(calls.server.model_dump() | content)
        if part.agency is not None:
            _found("agency", self._emulator.service.iam.agencies.by_name, part.agency)
        calls.server = part
        return part.model_dump()

    def change_pod(self, content: Any) -> dict[str, Any]:
        """Rotate the pod's token, or associate another agency with it.

        :param content: new values by the keys of a world's pod.
        """
        calls = self._emulator.service.key_calls
        part = PodPart.model_validate((calls.pod.model_dump() if calls.pod else {}) | content)
        _found("agency", self._emulator.service.iam.agencies.by_name, part.agency)
        calls.pod = part
        return {"agency": part.agency}

    def end_keys(self) -> dict[str, Any]:
        """Let all keys that end do so now."""
        agencies = self._emulator.service.iam.agencies
        return {"ended": sum(agencies.end(access_key) for access_key in agencies.keys)}

    def add_vault(self, content: Any) -> dict[str, Any]:
        """Add a vault with its backups.

        :param content: the vault, as in a world.
        """
        service = self._emulator.service
        part = VaultPart.model_validate(content)
        return self._vault_state(service.populator.add_vault(part, service.settle()))

    def change_vault(self, vault_id: str, content: Any) -> dict[str, Any]:
        """Change a vault.

        :param vault_id: the vault.
        :param content: new values by name.
        """
        vault = _found("vault", self._settled().store.vaults, vault_id)
        change_vault(vault, content)
        return self._vault_state(vault)

    def remove_vault(self, vault_id: str) -> dict[str, Any]:
        """Remove a vault with its backups.

        :param vault_id: the vault.
        """
        service = self._settled()
        vault = _found("vault", service.store.vaults, vault_id)
        service.populator.remove_backups(list(service.store.in_vault(vault_id)))
        del service.store.vaults[vault.id]
        return {"removed": vault_id}

    def add_backup(self, vault_id: str, content: Any) -> dict[str, Any]:
        """Add a backup.

        :param vault_id: its vault.
        :param content: the backup, as in a world.
        """
        service = self._settled()
        vault = _found("vault", service.store.vaults, vault_id)
        part = BackupPart.model_validate({"age_seconds": 0} | content if "created_at" not in content else content)
        return self._backup_state(service.populator.add_backup(vault, part, service.settle(), service.store.count_in_vault(vault_id)))

    def change_backup(self, backup_id: str, content: Any) -> dict[str, Any]:
        """Change a backup or a replica.

        :param backup_id: the backup.
        :param content: new values by name.
        """
        service = self._settled()
        backup = _found("backup", service.store.backups, backup_id)
        change_backup(service.store, backup, content)
        return self._backup_state(backup)

    def remove_backup(self, backup_id: str) -> dict[str, Any]:
        """Remove a backup or a replica, whatever happens to it at the moment.

        :param backup_id: the backup.
        """
        service = self._settled()
        service.populator.remove_backups([_found("backup", service.store.backups, backup_id)])
        return {"removed": backup_id}

    def change_record(self, record_id: str, content: Any) -> dict[str, Any]:
        """Change a replication record.

        :param record_id: the record.
        :param content: new values by name.
        """
        service = self._settled()
        record = _found("record", service.store.records, record_id)
        change_record(service.store, record, content)
        return record_row(record, self._emulator.clock.now(), service.switches)

    def remove_record(self, record_id: str) -> dict[str, Any]:
        """Let a replication record vanish; its copy goes on.

        :param record_id: the record.
        """
        service = self._settled()
        service.store.remove_record(_found("record", service.store.records, record_id))
        return {"removed": record_id}

    def ledger(self, vault_id: str | None = None) -> dict[str, Any]:
        """Return what the service did.

        :param vault_id: only what concerns this source vault. Default: None, everything.
        """
        return self._settled().ledger.report(vault_id)

    def _vault_state(self, vault: Vault) -> dict[str, Any]:
        return {
            "id": vault.id,
            "name": vault.name,
            "project_id": vault.project_id,
            "protect_type": vault.protect_type,
            "object_type": vault.object_type,
            "status": vault.status,
            "size": vault.size,
            "used": vault.used,
            "backups": self._emulator.service.store.count_in_vault(vault.id),
            "copies_in_flight": vault.in_flight,
        }

    @staticmethod
    def _backup_state(backup: Backup) -> dict[str, Any]:
        return {"id": backup.id, "vault_id": backup.vault_id, "resource_id": backup.resource_id, "status": backup.status}

    def _settled(self) -> Service:
        """Return the service, after everything that is due."""
        self._emulator.service.settle()
        return self._emulator.service


def _found(what: str, things: Mapping[str, _Thing], name: str) -> _Thing:
    if name not in things:
        raise MissingError(f"{what} {name[:100]} does not exist")
    return things[name]
