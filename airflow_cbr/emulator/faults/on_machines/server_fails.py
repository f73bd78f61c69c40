"""A server that does not start."""

from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.faults.base import Ending, ServerFault
from airflow_cbr.emulator.machines import Server


class ServerFailsFault(ServerFault):
    """The job of a server ends in `FAIL`; the server is there, in `ERROR`, and so are its disks."""

    kind: Literal["server_fails"]
    error_code: str = Field(default="Ecs.0219", description="`error_code` of the job.")
    fail_reason: str = Field(default="No valid host was found.", description="`fail_reason` of the job.")

    def on_end(self, server: Server) -> Ending:
        """Let the server fail."""
        return Ending("fail", self.error_code, self.fail_reason)
