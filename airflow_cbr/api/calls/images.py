"""The calls of IMS about whole images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_cbr.api.call_parameters import query_of, segment
from airflow_cbr.api.calls.identified import unreadable
from airflow_cbr.api.ids import check_id, is_id
from airflow_cbr.api.machine_models import Image, Job
from airflow_cbr.api.responses import decode
from airflow_cbr.exceptions import CbrParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_cbr.api.caller import Caller
    from airflow_cbr.api.responses import ServiceResponse

__all__ = ["ImageCalls", "check_job_id"]

_NAME: Final = re.compile(r"[A-Za-z0-9\u4e00-\u9fa5._-]{1,128}")
_LONGEST_DESCRIPTION: Final = 1024
_JOB_ID: Final = re.compile("[0-9A-Za-z-]{1,64}")
_PAGE: Final = 500


class _JobStarted(msgspec.Struct, frozen=True, kw_only=True):
    job_id: str


class _Images(msgspec.Struct, frozen=True, kw_only=True):
    images: list[Image] | None


class _Quota(msgspec.Struct, frozen=True, kw_only=True):
    type: str | None = None
    used: int | None = None
    quota: int | None = None


class _Resources(msgspec.Struct, frozen=True, kw_only=True):
    resources: list[_Quota] | None


class _Quotas(msgspec.Struct, frozen=True, kw_only=True):
    quotas: _Resources


def check_job_id(value: Any, answer: ServiceResponse, call: str) -> str:
    """Return a job's id, if it is one.

    :param value: what the answer says.
    :param answer: the answer, for the error.
    :param call: the call's name, for the error.
    :raises CbrProtocolError: it is none.
    """
    if not isinstance(value, str) or not _JOB_ID.fullmatch(value):
        raise unreadable(answer, call, "the job's id is not valid")
    return value


class ImageCalls:
    """CreateWholeImage, ListImages, GlanceDeleteImage, ShowImageQuota and ShowJob of IMS."""

    _images: Caller
    _image_jobs: Caller

    def create_whole_image(
        self, *, backup_id: str, name: str, description: str | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        """Begin to make a whole image of a server's backup or replica (CreateWholeImage).

        :param backup_id: the backup or replica, in this region.
        :param name: name of the image, 1 to 128 letters, digits, ``-``, ``.`` or ``_``.
        :param description: at most 1024 characters without ``<``, ``>`` and line ends. Default: none.
        :param tags: tags of the image. Default: none.
        :return: the job's id, by which it can be followed.
        :raises CbrOutcomeUnknownError: the service may have accepted the call.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise CbrParameterError("name", "must be 1 to 128 letters, digits, '-', '.' or '_'.")
        body: dict[str, Any] = {"name": name, "backup_id": check_id(backup_id, "backup_id"), "whole_image_type": "CBR"}
        if description is not None:
            if len(description) > _LONGEST_DESCRIPTION or any(character in description for character in "<>\r\n"):
                raise CbrParameterError("description", f"must have at most {_LONGEST_DESCRIPTION} characters and no '<', '>' or line end.")
            body["description"] = description
        if tags:
            body["image_tags"] = [{"key": key, "value": value} for key, value in tags.items()]
        return self._images.change(
            "CreateWholeImage",
            "/v1/cloudimages/wholeimages/action",
            body,
            lambda answer: check_job_id(decode(answer, _JobStarted, call="CreateWholeImage").job_id, answer, "CreateWholeImage"),
        )

    def list_images(
        self, *, name: str | None = None, image_id: str | None = None, kind: str | None = None, status: str | None = None
    ) -> Iterator[Image]:
        """Yield images, page by page (ListImages).

        :param name: only images of exactly this name.
        :param image_id: only this image.
        :param kind: ``private``, ``gold`` (public) or ``shared``.
        :param status: for example ``active``.
        """
        filters = query_of(
            {"name": name, "id": None if image_id is None else check_id(image_id, "image_id"), "__imagetype": kind, "status": status}
        )
        marker, seen = "", set[str]()
        while True:
            page = self._images.send("ListImages", "GET", f"/v2/cloudimages?{filters}limit={_PAGE}{marker}", _read_images)
            fresh = [image for image in page if image.id not in seen]
            yield from fresh
            seen.update(image.id for image in fresh)
            if len(page) < _PAGE or not fresh:
                return
            marker = f"&marker={page[-1].id}"

    def delete_image(self, image_id: str) -> None:
        """Delete an image, never the backup or replica that it was made of (GlanceDeleteImage).

        The service answers the same whether there is such an image or not; it is gone when it is no longer listed.

        :param image_id: the image.
        """
        path = f"/v2/images/{segment(image_id, 'image_id')}"
        # True would delete the replica with its image. It is written here and nowhere else, so that nothing can lead to it.
        self._images.repeat("GlanceDeleteImage", "DELETE", path, {"delete_backup": False}, lambda answer: None)

    def show_image_quota(self) -> tuple[int, int] | None:
        """Return how many private images there are and may be, or None when the service does not say it (ShowImageQuota)."""
        found = self._images.send(
            "ShowImageQuota", "GET", "/v1/cloudimages/quota", lambda answer: decode(answer, _Quotas, call="ShowImageQuota")
        )
        for one in found.quotas.resources or ():
            if one.type == "image" and one.used is not None and one.quota is not None:
                return one.used, one.quota
        return None

    def show_image_job(self, job_id: str) -> Job:
        """Return a job of IMS (ShowJob).

        :param job_id: from :meth:`create_whole_image`.
        :raises CbrNotFoundError: there is no such job in this project.
        """
        if not _JOB_ID.fullmatch(job_id):
            raise CbrParameterError("job_id", "is not the id of a job.")
        return self._image_jobs.get("ShowJob", f"/jobs/{job_id}", Job)


def _read_images(answer: ServiceResponse) -> list[Image]:
    images = decode(answer, _Images, call="ListImages").images or []
    if not all(is_id(image.id) for image in images):
        raise unreadable(answer, "ListImages", "the id of an image is not valid")
    return images
