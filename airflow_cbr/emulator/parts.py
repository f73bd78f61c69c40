"""What the parts of a world have in common: what ids look like in them, and how a mistake in one is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints

if TYPE_CHECKING:
    from pydantic import ValidationError

ProjectId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
ResourceId = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32})$")]
RegionId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]

_TOLD: Final = 20
"""Mistakes that are named in one answer."""


class Part(BaseModel):
    """A part of a world; it may hold no key that it does not know."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=10_000)


def describe(error: ValidationError) -> str:
    """Return one line that names each place and what is wrong there, without the values (some are secrets).

    :param error: from pydantic.
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [
        f"{'.'.join(str(part)[:100] for part in one['loc']) or 'world'}: {one['msg'].removeprefix('Value error, ')[:1000]}"
        for one in found[:_TOLD]
    ]
    return "; ".join(lines) + (f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else "")
