"""How large anything may be that the emulator is told: times stay dates, numbers can be reckoned with, memory is bounded."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

FIRST_MOMENT: Final = -62_135_510_400.0
"""Seconds since 1970 of 0001-01-02: the first day that can be written in every zone."""
LAST_MOMENT: Final = 253_402_128_000.0
"""Seconds since 1970 of 9999-12-30: the last day that can be written in every zone."""
LATEST_NOW: Final = 7_258_118_400.0
"""Seconds since 1970 of 2200-01-01, where the simulated clock stands still; what lasts longest still ends in a year of four digits."""
LONGEST: Final = 1e9
"""Seconds that anything may last: 31 years."""
FARTHEST: Final = 1e10
"""Seconds that anything may be away from now: 317 years."""
FASTEST: Final = 1e6
"""Simulated seconds per real second."""

MOST_BACKUPS: Final = 50_000
"""Backups and replicas that one control call makes, also as a world: a hundred megabytes, and two seconds to make."""
MOST_AT_START: Final = 200_000
"""Backups and replicas of the world that an emulator is started with: its time and memory are those of whoever starts it."""
MOST_RECORDS: Final = 200_000
"""Replication records of a world."""
MOST_THINGS: Final = 1000
"""Users, regions, projects, vaults, or faults in force."""
MOST_RESOURCES: Final = 10_000
"""Resources of a vault; the service allows 256."""
MOST_TOKENS: Final = 10_000
"""Tokens that are remembered; the oldest ones go first."""
MOST_FIELDS: Final = 200
"""Fields that may be put into a row."""
LONGEST_TEXT: Final = 1_000_000
"""Characters of a text."""

Seconds = Annotated[float, Field(ge=0, le=LONGEST)]
"""How long something lasts."""
Distance = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST)]
"""Seconds before (negative) or after now."""
Age = Annotated[float, Field(ge=0, le=FARTHEST)]
"""Seconds before now."""
Moment = Annotated[float, Field(ge=FIRST_MOMENT, le=LAST_MOMENT)]
"""Seconds since 1970."""
Gigabytes = Annotated[int, Field(ge=0, le=1_000_000_000)]
"""Size of a resource."""
VaultSize = Annotated[int, Field(ge=1, le=1_000_000_000)]
"""Size of a vault; its share that is used can be reckoned."""
AnyGigabytes = Annotated[int, Field(ge=-1_000_000_000, le=1_000_000_000)]
"""Size that a wrong row may claim."""
Megabytes = Annotated[int, Field(ge=0, le=1_000_000_000_000)]
"""What is used of a vault."""
ErrorStatus = Annotated[int, Field(ge=400, le=599)]
"""HTTP status of a refusal."""
Row = Annotated[dict[str, Any], Field(max_length=MOST_FIELDS)]
"""Fields of a row, with values of any type."""
