"""The web application: one thin route per published call, and the control calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from airflow_cbr.emulator.control_routes import control_router
from airflow_cbr.emulator.delivery import DeliveredResponse
from airflow_cbr.emulator.exchange import Call
from airflow_cbr.emulator.guard import CONTROL, Guard, Hosts
from airflow_cbr.emulator.image_calls import IMAGE_ROUTES
from airflow_cbr.emulator.key_calls import KEY_ROUTES
from airflow_cbr.emulator.server_calls import SERVER_ROUTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_cbr.emulator.service import Emulator

ROUTES: Final = (
    ("KeystoneShowVersion", "GET", "/v3"),
    ("KeystoneCreateUserTokenByPassword", "POST", "/v3/auth/tokens"),
    ("KeystoneValidateToken", "GET", "/v3/auth/tokens"),
    ("KeystoneListProjects", "GET", "/v3/projects"),
    ("CopyCheckpoint", "POST", "/v3/{project_id}/checkpoints/replicate"),
    ("CreateCheckpoint", "POST", "/v3/{project_id}/checkpoints"),
    ("ShowCheckpoint", "GET", "/v3/{project_id}/checkpoints/{checkpoint_id}"),
    ("CopyBackup", "POST", "/v3/{project_id}/backups/{backup_id}/replicate"),
    ("ListBackups", "GET", "/v3/{project_id}/backups"),
    ("ShowBackup", "GET", "/v3/{project_id}/backups/{backup_id}"),
    ("DeleteBackup", "DELETE", "/v3/{project_id}/backups/{backup_id}"),
    ("ListOpLogs", "GET", "/v3/{project_id}/operation-logs"),
    ("ShowOpLog", "GET", "/v3/{project_id}/operation-logs/{operation_log_id}"),
    ("ListExternalVault", "GET", "/v3/{project_id}/vaults/external"),
    ("ListVault", "GET", "/v3/{project_id}/vaults"),
    ("ShowVault", "GET", "/v3/{project_id}/vaults/{vault_id}"),
    ("ShowReplicationCapabilities", "GET", "/v3/{project_id}/replication-capabilities"),
)
"""Published name, method and path of every call; the order matters where a fixed segment stands in an id's place."""


def create_app(emulator: Emulator, hosts: Hosts | None = None) -> FastAPI:
    """Return the application of an emulator.

    :param emulator: the emulator.
    :param hosts: the names under which control calls may know it. Default: ``localhost`` and any address.
    """
    app = FastAPI(title="CBR emulator", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.include_router(control_router(emulator), prefix=CONTROL)
    for name, method, path in (*ROUTES, *KEY_ROUTES, *IMAGE_ROUTES, *SERVER_ROUTES):
        app.add_api_route(path, _endpoint(emulator, name), methods=[method], name=name)
    app.add_api_route("/{anything:path}", _endpoint(emulator, "Unknown"), methods=["GET", "POST", "PUT", "PATCH", "DELETE"], name="Unknown")
    app.add_middleware(Guard, hosts=hosts or Hosts())
    app.add_exception_handler(Exception, _at_a_loss)
    return app


def _at_a_loss(_request: Request, error: Exception) -> Response:
    """Answer what nobody foresaw. The error itself goes on to the server's log, or to the test that runs the application in-process."""
    return JSONResponse({"error": f"the emulator failed internally ({type(error).__name__}); this is a bug, please report it"}, 400)


def _endpoint(emulator: Emulator, name: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        scope = request.scope
        call = Call(
            name=name,
            method=request.method,
            raw_path=scope["raw_path"].decode("ascii", "replace"),
            raw_query=scope["query_string"].decode("ascii", "replace"),
            headers={key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]},
            path=scope["path_params"],
            body=await request.body(),
        )
        return DeliveredResponse(emulator.service.handle(call))

    return endpoint
