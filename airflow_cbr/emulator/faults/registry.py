"""Which kinds of faults there are, and how one is read from JSON."""

from __future__ import annotations

import functools
import operator
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field, PlainValidator, SerializeAsAny, TypeAdapter

from airflow_cbr.emulator.faults.base import InjectedFault

_Family = TypeVar("_Family", bound=InjectedFault)


class FaultKinds:
    """The kinds of faults, by the words for ``kind``."""

    def __init__(self) -> None:
        self._models: dict[str, type[InjectedFault]] = {}
        self._reader: TypeAdapter[InjectedFault] | None = None

    def register(self, model: type[InjectedFault]) -> None:
        """Make a kind known.

        :param model: the class, whose ``kind`` is a ``Literal`` of its words.
        :raises ValueError: another kind has one of the words.
        """
        words = _words(model)
        taken = sorted(self._models.keys() & words)
        if taken:
            raise ValueError(f"there is a fault {taken[0]} already")
        self._models |= dict.fromkeys(words, model)
        self._reader = None

    def forget(self, model: type[InjectedFault]) -> None:
        """Make a kind unknown again; those in force stay.

        :param model: its class.
        """
        self._models = {word: one for word, one in self._models.items() if one is not model}
        self._reader = None

    def of(self, family: type[_Family]) -> dict[type[_Family], tuple[str, ...]]:
        """Return the kinds of a family with their words.

        :param family: such as :class:`CallFault`.
        """
        return {model: _words(model) for model in self._models.values() if issubclass(model, family)}

    def read(self, content: Any) -> InjectedFault:
        """Read a fault.

        :param content: decoded JSON, or a fault.
        :raises ValidationError: it is none; each place begins with the word for ``kind``.
        """
        if self._reader is None:
            union: Any = functools.reduce(operator.or_, dict.fromkeys(self._models.values()))
            self._reader = TypeAdapter(Annotated[union, Field(discriminator="kind")])
        return self._reader.validate_python(content)


def _words(model: type[InjectedFault]) -> tuple[str, ...]:
    words: tuple[str, ...] = model.model_fields["kind"].annotation.__args__  # type: ignore[union-attr]
    return words


KINDS: Final = FaultKinds()
AnyFault = Annotated[SerializeAsAny[InjectedFault], PlainValidator(KINDS.read)]
"""A fault of any kind that is known when it is read."""
