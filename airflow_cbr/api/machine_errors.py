"""The rows of the error catalogue about images (IMS) and servers (ECS), as far as restore drills can meet them.

Sources: the error code tables of the IMS and ECS API references (Huawei Cloud, Open Telekom Cloud). A code that says that something inside
failed leaves open, after a call that makes something, whether it was made.
"""

from __future__ import annotations

from typing import Final

from airflow_cbr.api.catalogue_row import IDS, KEYS, LATER, SUPPORT, Decision, rows_of
from airflow_cbr.exceptions import (
    CbrAuthenticationError,
    CbrBusyError,
    CbrNotFoundError,
    CbrPermissionError,
    CbrRefusedError,
    CbrUnavailableError,
)

__all__ = ["IMAGE_ROWS", "SERVER_ROWS"]

_PARAMETERS: Final = "Compare the parameters with the message; ids, names and times are the most frequent causes."
_REPLICA: Final = "Run CbrVerifyReplicationOperator on the vault: its report says what is wrong with each replica."
_TAKEN: Final = (
    "One backup makes one whole image. Delete the image that was made of it, which ends no backup; CbrSweepRestoreDrillsOperator finds "
    "those of drills."
)
_ROOM: Final = (
    "Delete what is not needed, or ask for a higher quota. CbrSweepRestoreDrillsOperator finds what drills have left, and at_once limits "
    "how many run at a time."
)
_PERMISSIONS: Final = "Give the user the permissions for IMS and ECS in the destination project that restore drills need."
_ACCOUNT: Final = "Look at the account in the console: its balance, its budget, its means of payment and its verification."
_SYSTEM_DISK: Final = "Restore a replica of a server's backup that contains the system disk."
_FLAVOR: Final = "Choose another flavor, or another availability_zone; the message says what does not fit."
_NETWORK: Final = "Check that vpc_id, subnet_id and security_group_ids exist in the destination region, and belong together."
_DISKS: Final = "Choose another root_volume_type, or name the data disks of the image in data_volumes; the message says what does not fit."

IMAGE_ROWS: Final = [
    *rows_of(
        Decision.RETRY,
        CbrBusyError,
        [
            ("0009", "An image of that name exists.", "Nothing. The drill looks again, and adopts the image if it carries its mark."),
            ("0032", "The backup is not available at present.", LATER),
            ("0060", "Too many tasks are running.", "Nothing, the request is made again. Run fewer drills at the same time."),
            ("0090", "The image is being made, and cannot be deleted yet.", LATER),
            ("0132", "The backup's status does not allow a whole image at present.", LATER),
        ],
        "IMG.",
    ),
    *rows_of(
        Decision.RETRY,
        CbrUnavailableError,
        [
            *((code, "An internal step failed.", LATER) for code in ("0014", "0016", "0018", "0061")),
            ("1075", "The image could not be registered.", LATER),
        ],
        "IMG.",
        uncertain=True,
    ),
    *rows_of(
        Decision.RETRY,
        CbrUnavailableError,
        [("0023", "The job could not be looked up.", LATER), ("0064", "IAM did not answer the service.", LATER)],
        "IMG.",
    ),
    *rows_of(Decision.FAIL, CbrAuthenticationError, [("0030", "The project and the credentials do not belong together.", KEYS)], "IMG."),
    *rows_of(
        Decision.FAIL,
        CbrPermissionError,
        [
            *((code, "The user may not do this.", _PERMISSIONS) for code in ("0026", "0047", "0092")),
            *((code, "The user may not use the backup.", _PERMISSIONS) for code in ("0133", "0165")),
            *((code, "The account may not buy anything at present.", _ACCOUNT) for code in ("0238", "0239", "0241", "0242")),
        ],
        "IMG.",
    ),
    *rows_of(
        Decision.FAIL,
        CbrNotFoundError,
        [
            *((code, "The backup does not exist.", _REPLICA) for code in ("0020", "0127", "0198")),
            *((code, "The image does not exist.", IDS) for code in ("0027", "0086", "0144")),
        ],
        "IMG.",
    ),
    *rows_of(
        Decision.FAIL,
        CbrRefusedError,
        [
            *((code, "A parameter was refused.", _PARAMETERS) for code in ("0001", "0002", "0003", "0004", "0007", "0017", "0024")),
            *((code, "The tags of the image were refused.", _PARAMETERS) for code in ("0115", "0116")),
            ("0015", "The quota of private images is used up.", _ROOM),
            ("0028", "The image is protected.", "Take the protection off the image in the IMS console, and clear the end of the drill."),
            *((code, "An image was made of this backup already.", _TAKEN) for code in ("0029", "0134")),
            *((code, "The backup does not contain a system disk.", _SYSTEM_DISK) for code in ("0033", "0119")),
            ("0180", "Whole images cannot be made of backups of CBR here.", SUPPORT),
        ],
        "IMG.",
    ),
]

SERVER_ROWS: Final = [
    *rows_of(
        Decision.RETRY,
        CbrBusyError,
        [
            ("0032", "The image is not active yet.", LATER),
            ("0048", "The whole image, or the backup that it was made of, is not available at present.", LATER),
            ("0319", "There is no room left for this flavor.", _FLAVOR),
            ("0603", "Another operation is running on the server.", LATER),
        ],
        "Ecs.",
    ),
    *rows_of(
        Decision.RETRY,
        CbrUnavailableError,
        [
            *((code, "The server could not be started.", _FLAVOR) for code in ("0204", "0219", "0226")),
            *((code, "A disk of the server could not be made.", _DISKS) for code in ("0202", "0203", "0205")),
            *((code, "The network of the server could not be made.", _NETWORK) for code in ("0201", "0212", "0217")),
            *((code, "An internal step failed.", LATER) for code in ("0000", "0002", "0615", "1000", "1001", "1100", "1200")),
            *((code, "A service that ECS asks did not answer it in time.", LATER) for code in ("1002", "1201", "1300")),
        ],
        "Ecs.",
        uncertain=True,
    ),
    *rows_of(
        Decision.RETRY,
        CbrUnavailableError,
        [
            *(
                (code, "Something could not be looked up.", LATER)
                for code in ("0301", "0302", "0303", "0304", "0306", "0308", "0320", "0322")
            ),
            *((code, "The server could not be deleted.", LATER) for code in ("0403", "0501", "0502", "0507")),
        ],
        "Ecs.",
    ),
    *rows_of(Decision.FAIL, CbrAuthenticationError, [("0004", "The credentials were refused inside the service.", KEYS)], "Ecs."),
    *rows_of(
        Decision.FAIL,
        CbrPermissionError,
        [
            *((code, "The user may not do this.", _PERMISSIONS) for code in ("0003", "0110")),
            *((code, "The account may not buy anything at present.", _ACCOUNT) for code in ("0066", "0067", "0069", "0070", "0071")),
        ],
        "Ecs.",
    ),
    *rows_of(
        Decision.FAIL,
        CbrNotFoundError,
        [
            *((code, "The server does not exist.", IDS) for code in ("0114", "0614")),
            ("0031", "The image does not exist.", IDS),
            ("0034", "The backup that the image was made of does not exist.", _REPLICA),
            ("0038", "The subnet does not exist.", _NETWORK),
            ("0314", "The key pair does not exist.", "Check key_name, and that the key pair is one of the destination region."),
        ],
        "Ecs.",
    ),
    *rows_of(
        Decision.FAIL,
        CbrRefusedError,
        [
            ("0001", "The quota of servers, cores or memory is used up.", _ROOM),
            ("0021", "The quota of disks is used up.", _ROOM),
            (
                "0005",
                "A parameter was refused.",
                "Check flavor, vpc_id, subnet_id, security_group_ids and data_volumes; the message says which.",
            ),
            ("0007", "The image does not fit the flavor.", _FLAVOR),
            *((code, "The flavor does not exist, or is no longer offered.", _FLAVOR) for code in ("0008", "0019", "0029")),
            ("0012", "The subnet has no address left.", "Free addresses in the subnet of the drills, or take a larger one."),
            *((code, "VPC, subnet and security groups do not belong together.", _NETWORK) for code in ("0014", "0064")),
            *((code, "The type of a disk does not fit.", _DISKS) for code in ("0015", "0043", "0044", "0046", "0909")),
            ("0023", "The project is not that of the credentials.", IDS),
            ("0042", "The server would have too many data disks.", _FLAVOR),
            ("0605", "The server is locked.", "Unlock the server in the ECS console, and clear the end of the drill."),
        ],
        "Ecs.",
    ),
]
