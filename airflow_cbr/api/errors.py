"""The error catalogue: what each code of CBR, the API gateway, IAM, IMS and ECS means, and what to do about it.

An error is classified by its ``error_code``, not by the HTTP status: the status of one and the same CBR code has changed over the years
(``BackupService.1009`` came with 500 in 2021 and comes with 400 today). Only the gateway's ``APIG.0201`` stands for several different
things, which its statuses tell apart.

Sources: the error code tables of the CBR API reference (Huawei Cloud, Chinese and international, 2021 to 2025; Open Telekom Cloud), of
API Gateway and of IAM. Where the tables only say "try again later", the decision is to retry.
``docs/reference/errors.md`` is made from this table: ``python -m airflow_cbr.api.errors_page > docs/reference/errors.md``.
"""

from __future__ import annotations

from typing import Final

from airflow_cbr.api.actions import POLICIES
from airflow_cbr.api.catalogue_row import IDS, KEYS, LATER, SUPPORT, CatalogueRow, Decision, rows_of
from airflow_cbr.api.machine_errors import IMAGE_ROWS, SERVER_ROWS
from airflow_cbr.exceptions import (
    CbrAlreadyReplicatedError,
    CbrAuthenticationError,
    CbrBusyError,
    CbrNotFoundError,
    CbrPermissionError,
    CbrRefusedError,
    CbrThrottledError,
    CbrUnavailableError,
    CbrVaultReplicatingError,
)

__all__ = ["CATALOGUE"]


_DESTINATION: Final = "Check destination_vault_id, destination_project_id and destination_region, and try again later."
_NOT_THIS_BACKUP: Final = (
    "Nothing. This backup is left out of the replication; only backups of servers, SFS Turbo and hybrid vaults can be copied."
)


_CBR: Final = [
    *rows_of(
        Decision.ADOPT,
        CbrAlreadyReplicatedError,
        [
            (
                "1009",
                "The backup is replicated, or being replicated, to that region.",
                "Nothing, if the replica is in the intended vault: its record is followed instead. One region holds one replica of a "
                "backup; to move it to another vault, delete the old replica first.",
            )
        ],
        "BackupService.",
    ),
    *rows_of(
        Decision.ADOPT,
        CbrVaultReplicatingError,
        [
            (
                "6130",
                "The vault is being replicated.",
                "Nothing. A vault has one replication at a time; the records of the running one are followed, or the call is sent again "
                "after it.",
            )
        ],
        "BackupService.",
    ),
    *rows_of(
        Decision.RETRY,
        CbrBusyError,
        [
            ("0002", "The resources are being backed up.", LATER),
            (
                "1001",
                "The backup is not available and cannot be replicated.",
                "If a backup is running, wait for it. A backup in error has to be deleted or made again.",
            ),
            ("2010", "The resource is being restored.", LATER),
            ("6125", "A backup is in progress in the vault.", LATER),
            ("6134", "Resources are being removed from the vault.", LATER),
            ("6201", "The backup cannot be deleted at present.", LATER),
            ("6203", "Backups are running.", LATER),
            ("6216", "The backup is in use.", LATER),
            ("7302", "Backups are being synchronised.", LATER),
        ],
        "BackupService.",
    ),
    *rows_of(
        Decision.RETRY,
        CbrUnavailableError,
        [
            ("1007", "The service cannot determine whether the backup is replicated already.", LATER),
            ("1008", "The service cannot check the destination vault.", _DESTINATION),
            ("4005", "Checking the destination vault failed.", _DESTINATION),
            ("6118", "Checking the destination vault failed.", _DESTINATION),
            ("8400", "The product look-up in the billing system (CBC) failed.", LATER),
            *(
                (code, "An internal step failed; the service asks to try again later.", LATER)
                for code in (
                    "4004",
                    "4006",
                    "4007",
                    "6107",
                    "6108",
                    "6110",
                    "6111",
                    "6115",
                    "6121",
                    "6123",
                    "6139",
                    "6206",
                    "7200",
                    "7203",
                    "7501",
                    "7504",
                    "7505",
                    "7506",
                )
            ),
            *(
                (code, "An operation on the backup's bucket failed; the service asks to try again.", LATER)
                for code in ("6400", "6401", "6402", "6403", "6404", "6405", "6406", "6407", "6408")
            ),
        ],
        "BackupService.",
    ),
    CatalogueRow(
        "BackupService.9910",
        "Unknown error.",
        Decision.RETRY,
        CbrUnavailableError,
        SUPPORT,
        uncertain=True,
    ),
    *rows_of(
        Decision.REAUTHENTICATE,
        CbrAuthenticationError,
        [("9998", "Authorisation failed inside the service.", KEYS)],
        "BackupService.",
    ),
    *rows_of(
        Decision.FAIL,
        CbrNotFoundError,
        [
            ("6105", "The vault does not exist.", IDS),
            (
                "6120",
                "The destination vault does not exist.",
                "Check that the destination vault exists in the destination project and region.",
            ),
            ("6200", "The backup does not exist.", IDS),
            ("6217", "The checkpoint does not exist.", IDS),
            ("6500", "The operation log does not exist.", IDS),
            ("6501", "The task does not exist.", IDS),
        ],
        "BackupService.",
    ),
    *rows_of(
        Decision.FAIL,
        CbrPermissionError,
        [
            (
                "8600",
                "The account's owner is not verified (real-name authentication).",
                "Complete the real-name authentication of the account.",
            )
        ],
        "BackupService.",
    ),
    *rows_of(
        Decision.FAIL,
        CbrRefusedError,
        [
            ("0001", "There is nothing to back up or to replicate.", "Nothing, if every backup of the vault is replicated already."),
            ("1002", "This kind of backup cannot be replicated; a replica cannot either.", _NOT_THIS_BACKUP),
            ("1003", "The backup is not one of a cloud server (ECS).", _NOT_THIS_BACKUP),
            (
                "1004",
                "The server's backup lacks the system disk.",
                "Back the server up with its system disk; this backup is left out of the replication.",
            ),
            (
                "1005",
                "The destination region does not support replication from here.",
                "Choose one of the regions that ShowReplicationCapabilities lists for the source region.",
            ),
            ("1006", "Importing the replica at the destination failed.", SUPPORT),
            (
                "1011",
                "The destination project does not support replication.",
                "Enable CBR in the destination project, or choose another one.",
            ),
            ("1012", "The limit of replicas is reached.", "Delete replicas that are not needed, or ask for a higher quota."),
            ("1013", "The system disk of the backup was chosen by the user.", _NOT_THIS_BACKUP),
            ("2004", "A replica cannot be restored directly.", "Create an image from the replica, and a server from the image."),
            (
                "6003",
                "The policy is bound to a replication vault, so its destination region is fixed.",
                "Unbind the policy before changing its destination.",
            ),
            (
                "6112",
                "The vault's status does not allow this.",
                "Check in the CBR console why the vault is locked, frozen or in error; the operation works again when it is available.",
            ),
            (
                "6113",
                "The vault's status does not allow a backup.",
                "Check in the CBR console why the vault is locked, frozen or in error.",
            ),
            ("6114", "The vault is over its capacity.", "Expand the vault, or delete backups."),
            (
                "6119",
                "The destination vault does not support replication.",
                "Use a vault that was made for replication (protect_type 'replication') and for the same object type as the source vault.",
            ),
            ("6122", "This type of resource cannot be replicated.", _NOT_THIS_BACKUP),
            ("6124", "This kind of vault cannot back up.", "Use a backup vault; replication vaults only take replicas."),
            (
                "6128",
                "This kind of vault cannot be replicated.",
                "Use a vault for servers, SFS Turbo or hybrid resources; disk vaults and replication vaults cannot be replicated.",
            ),
            ("6129", "The destination vault is full.", "Expand the destination vault, or delete replicas in it."),
            ("6131", "The record of the replication traffic is missing.", SUPPORT),
            ("6204", "The backup is used by an image.", "Delete the image first."),
            ("6220", "The vault is locked (WORM): its backups cannot be deleted before they expire.", "Wait until the backup expires."),
            (
                "9900",
                "A parameter was refused.",
                "Compare the parameters with the message; ids, names and times are the most frequent causes.",
            ),
        ],
        "BackupService.",
    ),
]

_GATEWAY: Final = [
    CatalogueRow(
        "APIG.0101",
        "The gateway does not know this API.",
        Decision.FAIL,
        CbrNotFoundError,
        "Check region, cloud and cbr_endpoint; not every region offers every call.",
    ),
    CatalogueRow(
        "APIG.0201",
        "The request is malformed or too large.",
        Decision.FAIL,
        CbrRefusedError,
        "Check the parameters; a body may have 12 MB, the headers (with the token) 128 KB.",
        statuses=frozenset({400, 413, 414, 494}),
    ),
    CatalogueRow(
        "APIG.0201",
        "The service behind the gateway is down, slow or failed.",
        Decision.RETRY,
        CbrUnavailableError,
        LATER,
        statuses=frozenset({500, 502, 504}),
        uncertain=True,
    ),
    CatalogueRow(
        "APIG.0203",
        "The service behind the gateway did not answer in time.",
        Decision.RETRY,
        CbrUnavailableError,
        LATER,
        uncertain=True,
    ),
    *rows_of(
        Decision.REAUTHENTICATE,
        CbrAuthenticationError,
        [
            ("0301", "The gateway does not accept the token or the signature.", KEYS),
            ("0307", "The token has expired, or was issued for another region.", KEYS),
        ],
        "APIG.",
    ),
    *rows_of(
        Decision.FAIL,
        CbrAuthenticationError,
        [
            ("0303", "Wrong app credentials.", KEYS),
            ("0305", "Wrong authentication method.", KEYS),
        ],
        "APIG.",
    ),
    *rows_of(
        Decision.FAIL,
        CbrPermissionError,
        [
            ("0302", "The IAM user may not call this API.", POLICIES),
            ("0304", "The app may not call this API.", "Use an IAM user or AK/SK instead of an app."),
            (
                "0306",
                "Access is denied, for example by an address blacklist.",
                "Ask the account's administrator for the access control rules.",
            ),
            ("0310", "The project is unavailable.", "Check project_id and region; the project may be frozen."),
        ],
        "APIG.",
    ),
    *rows_of(
        Decision.RETRY,
        CbrThrottledError,
        [("0308", "Too many requests of this user in this minute.", "Poll less often, or run fewer tasks at the same time.")],
        "APIG.",
    ),
    *rows_of(
        Decision.RETRY,
        CbrUnavailableError,
        [("0613", "IAM is unavailable; the request was not forwarded.", LATER)],
        "APIG.",
    ),
]

_IAM: Final = [
    *rows_of(
        Decision.REAUTHENTICATE,
        CbrAuthenticationError,
        [("0066", "The token has expired.", KEYS), ("0067", "The token is invalid.", KEYS)],
        "IAM.",
    ),
    *rows_of(
        Decision.FAIL,
        CbrAuthenticationError,
        [
            ("0001", "IAM does not accept the credentials.", KEYS),
            (
                "0061",
                "The user is locked after too many wrong passwords.",
                "Wait for the lock to end, then check login and password of the connection.",
            ),
            ("0062", "The password is wrong.", "Check login, password and domain_name of the connection."),
            ("1108", "The security token has expired.", "Put new temporary credentials (AK, SK and security_token) into the connection."),
        ],
        "IAM.",
    ),
    *rows_of(
        Decision.FAIL,
        CbrPermissionError,
        [
            ("0002", "IAM refuses the access.", "Ask the account's administrator for the permission that the message names."),
            ("0003", "The permission is missing.", "Ask the account's administrator for the permission that the message names."),
            ("0080", "The user is not allowed to do this.", "Ask the account's administrator; the user may be disabled."),
            ("0081", "The user may only use the console.", "Allow the user programmatic access."),
            ("0082", "The user is not allowed to do this from here.", "Ask the account's administrator for the login rules."),
            ("0083", "The user is not allowed to do this.", "Ask the account's administrator for the login rules."),
        ],
        "IAM.",
    ),
    *rows_of(
        Decision.FAIL, CbrNotFoundError, [("0004", "IAM does not find the resource.", "Check project_id, region and domain_name.")], "IAM."
    ),
    *rows_of(
        Decision.FAIL,
        CbrRefusedError,
        [
            ("0011", "The request is invalid.", "Check the fields of the connection."),
            ("0020", "The resource is gone.", "Check project_id and domain_name."),
            ("0072", "The request is invalid.", "Check the fields of the connection."),
        ],
        "IAM.",
    ),
    *rows_of(Decision.RETRY, CbrThrottledError, [("0012", "Too many requests to IAM.", "Run fewer tasks at the same time.")], "IAM."),
    *rows_of(Decision.RETRY, CbrUnavailableError, [("0006", "IAM failed internally.", LATER)], "IAM."),
]

CATALOGUE: Final[tuple[CatalogueRow, ...]] = (
    *sorted(_CBR, key=lambda row: row.code),
    *sorted(_GATEWAY, key=lambda row: row.code),
    *sorted(_IAM, key=lambda row: row.code),
    *sorted(IMAGE_ROWS, key=lambda row: row.code),
    *sorted(SERVER_ROWS, key=lambda row: row.code),
)
"""Every known error: CBR, then the gateway, IAM, IMS and ECS, each sorted by code."""
