"""The routes of the control calls; every mistake is answered with one clear sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from airflow_cbr.emulator.control import ClockChange, Control, MissingError, TokensEnd
from airflow_cbr.emulator.exchange import NotJsonError, decoded
from airflow_cbr.emulator.parts import describe
from airflow_cbr.emulator.store import WorldError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.emulator.service import Emulator


def control_router(emulator: Emulator) -> APIRouter:
    """Return the routes below ``/_emulator``.

    :param emulator: the emulator.
    """
    control = Control(emulator)
    router = APIRouter()

    def route(method: str, path: str, act: Callable[[Request, Any], dict[str, Any]]) -> None:
        async def endpoint(request: Request) -> Response:
            try:
                content = _content(await request.body()) if method in ("POST", "PATCH") else {}
                return _json(act(request, content))
            except MissingError as error:
                return _json({"error": str(error)}, 404)
            except WorldError as error:
                return _json({"error": str(error)}, 400)
            except ValidationError as error:
                return _json({"error": describe(error)}, 400)

        router.add_api_route(path, endpoint, methods=[method], name=f"{method} {path}")

    def path(request: Request, name: str) -> str:
        return str(request.path_params[name])

    route("GET", "/state", lambda request, _: control.state(request.query_params.get("vault_id")))
    route("GET", "/ledger", lambda request, _: control.ledger(request.query_params.get("vault_id")))
    route("POST", "/world", lambda _, content: control.replace_world(content))
    route("POST", "/reset", lambda _, content: control.reset())
    route("GET", "/clock", lambda _, content: control.clock())
    route("POST", "/clock", lambda _, content: control.change_clock(ClockChange.model_validate(content)))
    route("GET", "/faults", lambda _, content: control.faults())
    route("POST", "/faults", lambda _, content: control.add_faults(content))
    route("DELETE", "/faults", lambda _, content: control.remove_faults())
    route("DELETE", "/faults/{number}", lambda request, _: control.remove_fault(path(request, "number")))
    route("PATCH", "/switches", lambda _, content: control.change_switches(_object(content)))
    route("POST", "/tokens/revoke", lambda _, content: control.end_tokens(TokensEnd.model_validate(content)))
    route("PATCH", "/users/{name}", lambda request, content: control.change_user(path(request, "name"), _object(content)))
    route("PATCH", "/agencies/{name}", lambda request, content: control.change_agency(path(request, "name"), _object(content)))
    route("PATCH", "/server", lambda _, content: control.change_server(_object(content)))
    route("PATCH", "/pod", lambda _, content: control.change_pod(_object(content)))
    route("POST", "/keys/end", lambda _, content: control.end_keys())
    route("POST", "/vaults", lambda _, content: control.add_vault(content))
    route("PATCH", "/vaults/{vault_id}", lambda request, content: control.change_vault(path(request, "vault_id"), _object(content)))
    route("DELETE", "/vaults/{vault_id}", lambda request, _: control.remove_vault(path(request, "vault_id")))
    route("POST", "/vaults/{vault_id}/backups", lambda request, content: control.add_backup(path(request, "vault_id"), _object(content)))
    route("PATCH", "/backups/{backup_id}", lambda request, content: control.change_backup(path(request, "backup_id"), _object(content)))
    route("DELETE", "/backups/{backup_id}", lambda request, _: control.remove_backup(path(request, "backup_id")))
    route("PATCH", "/records/{record_id}", lambda request, content: control.change_record(path(request, "record_id"), _object(content)))
    route("DELETE", "/records/{record_id}", lambda request, _: control.remove_record(path(request, "record_id")))
    router.add_api_route("/{anything:path}", _unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"], name="unknown control call")
    return router


async def _unknown(request: Request) -> Response:
    return _json({"error": f"there is no control call {request.method} {request.url.path}"}, 404)


def _content(body: bytes) -> Any:
    if not body:
        return {}
    try:
        return decoded(body)
    except NotJsonError as error:
        raise WorldError(f"the body is not JSON: {error}") from None


def _object(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise WorldError("the body must be a JSON object")
    return content


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
