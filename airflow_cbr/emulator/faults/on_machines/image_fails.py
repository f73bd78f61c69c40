"""An image that fails."""

from typing import Literal

from pydantic import Field

from airflow_cbr.emulator.faults.base import Ending, ImageFault
from airflow_cbr.emulator.machines import Image


class ImageFailsFault(ImageFault):
    """The job of a whole image ends in `FAIL`, and the image in `killed`."""

    kind: Literal["image_fails"]
    error_code: str = Field(default="IMG.1026", description="`error_code` of the job.")
    fail_reason: str = Field(default="Failed to create the image.", description="`fail_reason` of the job.")

    def on_end(self, image: Image) -> Ending:
        """Let the image fail."""
        return Ending("fail", self.error_code, self.fail_reason)
