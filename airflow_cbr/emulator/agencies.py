"""Agencies, and the keys that end: who holds them, until when, and who may take an agency on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.emulator.bounds import MOST_TOKENS
from airflow_cbr.emulator.key_parts import AgencyPart, account_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_cbr.emulator.clock import Clock
    from airflow_cbr.emulator.ids import Ids
    from airflow_cbr.emulator.users import User

_ACCESS_KEY_LENGTH: Final = 20
_SECRET_KEY_LENGTH: Final = 40


@dataclass(slots=True)
class Agency:
    """An agency as it is at the moment."""

    name: str
    account: str
    trusts: frozenset[str] | None
    longest_seconds: int
    projects: frozenset[str] | None
    denied_calls: frozenset[str]

    @property
    def id(self) -> str:
        """Return its id."""
        return account_id_of(f"{self.account}/{self.name}")

    @property
    def urn(self) -> str:
        """Return the name by which STS knows it."""
        return f"iam::{account_id_of(self.account)}:agency:{self.name}"

    def may_use(self, project_id: str) -> bool:
        """Return whether it may use a project.

        :param project_id: the project.
        """
        return self.projects is None or project_id in self.projects

    def is_trusted_to(self, name: str) -> bool:
        """Return whether somebody may assume it.

        :param name: the user or agency that asks.
        """
        return self.trusts is None or name in self.trusts


@dataclass(slots=True)
class EndingKey:
    """An access key that ends, with the token that belongs to it."""

    access_key: str
    holder: User | Agency
    ends_at: float
    secret_key: str = field(repr=False)
    security_token: str = field(repr=False)


class Agencies:
    """The agencies of a world, and all keys that end.

    :param parts: the agencies.
    :param account: the world's own account.
    :param clock: simulated time.
    :param ids: where keys come from.
    """

    def __init__(self, parts: Iterable[AgencyPart], *, account: str, clock: Clock, ids: Ids) -> None:
        self._account = account
        self._clock = clock
        self._ids = ids
        self.by_name = {part.name: self._made(part) for part in parts}
        self.keys: dict[str, EndingKey] = {}

    def _made(self, part: AgencyPart) -> Agency:
        return Agency(
            name=part.name,
            account=part.account or self._account,
            trusts=None if part.trusts is None else frozenset(part.trusts),
            longest_seconds=part.longest_seconds,
            projects=None if part.projects is None else frozenset(part.projects),
            denied_calls=frozenset(part.denied_calls),
        )

    def by_urn(self, urn: str) -> Agency | None:
        """Return the agency that STS knows by a URN, or None.

        :param urn: the URN.
        """
        return next((agency for agency in self.by_name.values() if agency.urn == urn), None)

    def of_account(self, account: str, name: str) -> Agency | None:
        """Return the agency of an account, or None.

        :param account: the account's name or id.
        :param name: the agency's name.
        """
        agency = self.by_name.get(name)
        return agency if agency is not None and account in (agency.account, account_id_of(agency.account)) else None

    def issue(self, holder: User | Agency, seconds: float) -> EndingKey:
        """Issue a key.

        :param holder: whose key it is.
        :param seconds: simulated seconds until it ends.
        """
        key = EndingKey(
            access_key=f"HST{self._ids.hex32().upper()}"[:_ACCESS_KEY_LENGTH],
            holder=holder,
            ends_at=self._clock.now() + seconds,
            secret_key=f"{self._ids.hex32()}{self._ids.hex32()}"[:_SECRET_KEY_LENGTH],
            security_token=f"hQpj{self._ids.token()}"[:400],
        )
        self.keys[key.access_key] = key
        if len(self.keys) > MOST_TOKENS:
            del self.keys[next(iter(self.keys))]
        return key

    def end(self, access_key: str) -> bool:
        """Let a key end now.

        :param access_key: the key.
        :return: whether there is such a key.
        """
        key = self.keys.get(access_key)
        if key is not None:
            key.ends_at = min(key.ends_at, self._clock.now())
        return key is not None

    def change(self, agency: Agency, changes: Mapping[str, Any]) -> None:
        """Change an agency; keys that were issued for it stay, and may do what it may do.

        :param agency: the agency.
        :param changes: new values by the keys of a world's agency; ``name`` cannot be changed.
        :raises ValidationError: a key is unknown, or a value is wrong.
        """
        now = {key: _plain(getattr(agency, key)) for key in AgencyPart.model_fields}
        made = self._made(AgencyPart.model_validate(now | dict(changes) | {"name": agency.name}))
        for key in AgencyPart.model_fields:
            setattr(agency, key, getattr(made, key))


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value
