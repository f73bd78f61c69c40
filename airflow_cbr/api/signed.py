"""How a request carries a signature, in the way of ``requests``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from requests.auth import AuthBase

from airflow_cbr.api.sdk_hmac import authorization, format_sdk_date

if TYPE_CHECKING:
    from requests import PreparedRequest

    from airflow_cbr.api.credentials import AkSkCredentials

__all__ = ["SignedAuth"]


class SignedAuth(AuthBase):
    """Signs a prepared request.

    :param credentials: the key.
    :param project_id: the project that the request is about; None for one that is about none.
    """

    def __init__(self, credentials: AkSkCredentials, project_id: str | None) -> None:
        self._credentials = credentials
        self._project_id = project_id

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign it as it is."""
        url = request.url or ""
        body = request.body or b""
        headers = {
            "Host": urlsplit(url).netloc,
            "Content-Type": str(request.headers["Content-Type"]),
            "X-Sdk-Date": format_sdk_date(datetime.now(UTC)),
        }
        if self._project_id:
            headers["X-Project-Id"] = self._project_id
        if self._credentials.security_token:
            headers["X-Security-Token"] = self._credentials.security_token.reveal()
        request.headers.update(headers)
        request.headers["Authorization"] = authorization(
            self._credentials.access_key,
            self._credentials.secret_key,
            method=request.method or "GET",
            url=url,
            headers=headers,
            body=body if isinstance(body, bytes) else body.encode(),
        )
        return request
