"""The calls that the tests of the wire make: three that change something, and one that reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.api.service import BACKUP, DESTINATION, VAULT, reply

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient

SHOWN = reply({"backup": {"id": BACKUP}})


def copy_vault(client: CbrClient) -> object:
    return client.replicate_checkpoint(vault_id=VAULT, **DESTINATION)


def copy_backup(client: CbrClient) -> object:
    return client.replicate_backup(BACKUP, **DESTINATION)


def back_up(client: CbrClient) -> object:
    return client.create_checkpoint(vault_id=VAULT)


def show(client: CbrClient) -> object:
    return client.show_backup(BACKUP)


CHANGES = [copy_vault, copy_backup, back_up]
