"""The IAM action that each call needs, and what to do where it is missing."""

from __future__ import annotations

from typing import Final

__all__ = ["ACTION_OF_CALL", "POLICIES", "permission_advice"]

ACTION_OF_CALL: Final = {
    "CopyCheckpoint": "cbr:vaults:replicate",
    "CopyBackup": "cbr:backups:replicate",
    "CreateCheckpoint": "cbr:vaults:backup",
    "ShowCheckpoint": "cbr:backups:get",
    "ListBackups": "cbr:backups:list",
    "ShowBackup": "cbr:backups:get",
    "DeleteBackup": "cbr:backups:delete",
    "ListOpLogs": "cbr:tasks:list",
    "ShowOpLog": "cbr:tasks:get",
    "ListVault": "cbr:vaults:list",
    "ShowVault": "cbr:vaults:get",
    "ListExternalVault": "cbr:vaults:listExternalVaults",
    "ShowReplicationCapabilities": "cbr:backups:queryReplicationCapability",
    "CreateWholeImage": "ims:wholeImages:create",
    "ListImages": "ims:images:list",
    "GlanceDeleteImage": "ims:images:delete",
    "ShowImageQuota": "ims:quotas:get",
    "ShowJob": "ims:images:list",
    "CreatePostPaidServers": "ecs:cloudServers:create",
    "DeleteServers": "ecs:cloudServers:delete",
    "ListServersDetails": "ecs:cloudServers:list",
    "ShowServer": "ecs:cloudServers:get",
    "ListFlavors": "ecs:cloudServerFlavors:get",
    "ShowServerLimits": "ecs:cloudServerQuotas:get",
}
"""The actions by the names of the calls, as ``docs/howto/permissions.md`` lists them."""

POLICIES: Final = "Give the user or agency the policies of this task for the project; the documentation's page on permissions has them."
"""What to do where it is not known which action is missing."""


def permission_advice(call: str) -> str | None:
    """Return what to do when a call is not allowed; None where it is not known which action it needs.

    :param call: the call's name in the API reference.
    """
    if (action := ACTION_OF_CALL.get(call)) is None:
        return None
    return f"Give the user or agency the action {action} for the project; the documentation's page on permissions has each task's policy."
