"""The shapes in which CBR, the gateway before it and IAM refuse a call, and the codes of CBR."""

from __future__ import annotations

from typing import Final

from airflow_cbr.emulator.exchange import Refusal

CODES: Final[dict[str, tuple[int, str]]] = {
    "0001": (400, "No resources to be backed up."),
    "0002": (500, "The resources are being backed up."),
    "1001": (400, "The backup is not available and cannot be replicated."),
    "1002": (400, "The backup cannot be replicated. The image type must be backup or sync."),
    "1003": (400, "The backup is not an ECS backup."),
    "1004": (400, "The ECS backup does not contain the system disk."),
    "1005": (400, "The destination region does not support replication."),
    "1006": (500, "Failed to import the replica."),
    "1007": (500, "Failed to determine whether the backup has been replicated. Try again later."),
    "1008": (500, "Failed to check the destination vault. Try again later."),
    "1009": (400, "The backup has been replicated or is being replicated to the destination region."),
    "1011": (400, "The destination project does not support replication."),
    "1012": (400, "The number of replicas has reached the upper limit."),
    "1013": (400, "The system disk of the backup was specified by the user."),
    "2010": (400, "The resource is being restored."),
    "6105": (404, "The vault does not exist."),
    "6112": (400, "The vault status is not allowed for this operation."),
    "6113": (400, "The vault status does not allow backup."),
    "6114": (400, "The used capacity of the vault exceeds its total capacity."),
    "6118": (400, "Failed to check the destination vault. Try again later."),
    "6119": (400, "The destination vault does not support replication."),
    "6120": (400, "The destination vault does not exist."),
    "6122": (400, "The resource type does not support replication."),
    "6124": (400, "The vault type does not support backup."),
    "6125": (400, "The vault is executing."),
    "6128": (400, "The vault type does not support replication."),
    "6129": (400, "The capacity of the destination vault is insufficient."),
    "6130": (400, "The vault is replicating."),
    "6200": (404, "The backup does not exist."),
    "6201": (400, "Failed to delete the backup."),
    "6204": (400, "The backup is used by an image and cannot be deleted."),
    "6216": (400, "The backup is in use and cannot be deleted."),
    "6217": (404, "The checkpoint does not exist."),
    "6220": (400, "The vault is locked: automatic backups cannot be deleted."),
    "6500": (404, "The operation log does not exist."),
    "8600": (403, "The account is not real-name authenticated."),
    "9900": (400, "Parameter check failed."),
    "9910": (500, "Unknown error."),
    "9998": (500, "Authorization failed."),
}
"""HTTP status and text of the codes that the emulator uses; the status is the one of the newest documentation."""


def cbr(code: str, message: str | None = None, status: int | None = None) -> Refusal:
    """Return a refusal of CBR itself.

    :param code: four digits; ``BackupService.`` is put before them.
    :param message: Default: the text of the code.
    :param status: HTTP status. Default: the code's own, 400 for an unknown code.
    """
    own_status, own_message = CODES.get(code, (400, "Refused."))
    content = {"error_code": f"BackupService.{code}", "error_msg": message or own_message}
    return Refusal(own_status if status is None else status, content, code)


def gateway(code: str, message: str, status: int, request_id: str = "") -> Refusal:
    """Return a refusal of the API gateway.

    :param code: such as ``APIG.0301``.
    :param message: the text.
    :param status: HTTP status.
    :param request_id: repeated in the body. Default: empty; the request's own is filled in when the answer is sent.
    """
    return Refusal(status, {"error_msg": message, "error_code": code, "request_id": request_id})


def malformed_url() -> Refusal:
    """Return what the identity check behind the gateway answers for ids that are none: a 401 that is no failure to authenticate."""
    return Refusal(401, {"unauthorized": {"code": "401", "message": "Malformed request url"}})


def iam(status: int, message: str) -> Refusal:
    """Return a refusal of IAM.

    :param status: HTTP status, repeated in the body.
    :param message: the text.
    """
    titles = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}
    return Refusal(status, {"error": {"code": status, "message": message, "title": titles.get(status, "Internal Server Error")}})
