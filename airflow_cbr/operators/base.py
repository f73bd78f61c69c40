"""What the operators share: a connection to a region, the way between two regions, and one loop that waits or defers.

No class here has an ``__init__``. Airflow fills ``default_args`` in by the signature of each class that has one, and ``partial`` and the
reference pages read the operator's own: so each operator names and sets its parameters itself, and the bases declare those they read.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from airflow_cbr.airflow_names import BaseOperator
from airflow_cbr.api.deadline import within
from airflow_cbr.api.ids import is_id
from airflow_cbr.api.stopping import refuse_if_stopped, stoppable
from airflow_cbr.exceptions import CbrError, CbrParameterError, CbrStoppedError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.hooks.failures import raise_for_airflow
from airflow_cbr.links.cbr import CONSOLE_XCOM_KEY, DESTINATION_XCOM_KEY, CbrDestinationLink, CbrVaultLink, console_url
from airflow_cbr.operators.outcome import of_failure
from airflow_cbr.operators.parameters import check_access, check_destination, check_intervals, check_seconds, check_way

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    from airflow.sdk import BaseOperatorLink, Context
    from airflow.triggers.base import BaseTrigger

    from airflow_cbr.inventory.destination import Destination
    from airflow_cbr.once.steps import Pause

__all__ = ["LAST_LOOK", "BaseCbrOperator", "BetweenRegions", "OnceOperator", "StoppableOperator", "WaitingOperator", "Work"]

LAST_LOOK: Final = 60.0
"""Seconds that a look may take beyond the task's deadline: one that begins at the deadline still finds copies that have ended."""

_WHILE_WAITING: Final = "it was waiting, and sends nothing more."
_LOOKS_FIRST: Final = "Nothing: the next attempt looks at what was started, adopts it, and sends the rest."

Outcome = TypeVar("Outcome", covariant=True)
Returned = TypeVar("Returned")


class Work(Protocol[Outcome]):
    """What a task works on leg by leg, for example a :class:`~airflow_cbr.once.machine.Machine`."""

    state: Any
    """What the next leg must know; its ``dump()`` goes through the trigger."""

    def advance(self) -> Pause | Outcome:
        """Do all that can be done now: return a pause after which this is called again, or the result."""


class BaseCbrOperator(BaseOperator):
    """A task that works with a connection, in a region and a project. A sensor is one too."""

    cbr_conn_id: str
    region: str | None
    project_id: str | None

    outcome: dict[str, Any] | None = None
    """What became of the task, for whoever lists tasks."""
    failed_vault_id: str | None = None
    """The source vault of a task that failed, whose row on the page the link to the failing record leads to."""

    template_fields: Sequence[str] = ("cbr_conn_id", "region", "project_id")
    operator_extra_links: Collection[BaseOperatorLink] = (CbrVaultLink(),)

    @cached_property
    def hook(self) -> CbrHook:
        """Return the hook of the task's region and project; the source's, where there is a destination."""
        return CbrHook(self.cbr_conn_id, region=self.region, project_id=self.project_id)

    def tell(self, outcome: dict[str, Any]) -> None:
        """Have an outcome listed with the task, as its rendered field ``outcome``, once it has ended or is deferred.

        The field is one of this attempt alone: nobody gives it, and nothing is rendered in it.

        :param outcome: see :mod:`airflow_cbr.operators.outcome`.
        """
        self.outcome = outcome
        self.template_fields = tuple(dict.fromkeys((*self.template_fields, "outcome")))
        self.overwrite_rtif_after_execution = True

    def _push_links(self, context: Context) -> None:
        """Push what the task's links lead to."""
        context["ti"].xcom_push(key=CONSOLE_XCOM_KEY, value=self._console(self.hook.client.region))

    def _console(self, region: str) -> str:
        fields = self.hook.fields
        return console_url(region, fields.endpoints.cloud, fields.console)


class BetweenRegions(BaseCbrOperator):
    """A task that works from a source vault to a vault in another region."""

    destination_region: str
    destination_project_id: str
    destination_vault_id: str
    destination_conn_id: str | None

    template_fields: Sequence[str] = (
        "destination_region",
        "destination_project_id",
        "destination_vault_id",
        "cbr_conn_id",
        "destination_conn_id",
        "region",
        "project_id",
    )

    @property
    def consoles(self) -> dict[str, str]:
        """Return the addresses of CBR in the console, in the region of the ``source`` and of the ``destination``."""
        return {"source": self._console(self.hook.region), "destination": self._console(self.destination_region)}

    operator_extra_links: Collection[BaseOperatorLink] = (CbrVaultLink(), CbrDestinationLink())

    _source_region: str | None = None
    _source_name: str | None = None

    @property
    def pair(self) -> str:
        """Return from where to where, for a ``map_index_template``: ``vault-nightly: cn-north-4 -> cn-shenzhen-1``.

        The vault's name and its region stand there once the task has read them; until then, its id.
        """
        region = self._source_region or self.region
        vault = self._source_name or getattr(self, "vault_id", None) or "vault"
        return f"{vault}: {f'{region} ' if region else ''}-> {self.destination_region}"

    @cached_property
    def destination_hook(self) -> CbrHook:
        """Return the hook of the destination region and project."""
        return CbrHook(self.destination_conn_id or self.cbr_conn_id, region=self.destination_region, project_id=self.destination_project_id)

    def _push_links(self, context: Context) -> None:
        super()._push_links(context)
        context["ti"].xcom_push(key=DESTINATION_XCOM_KEY, value=self._console(self.destination_region))

    def destination(self) -> Destination:
        """Return the destination, after checking the connections, the region, the project and the destination.

        :raises CbrParameterError: when an id, a region or a connection's id cannot be right.
        """
        check_access(
            cbr_conn_id=self.cbr_conn_id, region=self.region, project_id=self.project_id, destination_conn_id=self.destination_conn_id
        )
        return check_destination(region=self.destination_region, project_id=self.destination_project_id, vault_id=self.destination_vault_id)

    def destination_of(self, vault_id: str) -> Destination:
        """Return the same, after checking that it is another vault than the source.

        :param vault_id: the source vault.
        :raises CbrParameterError: as of :meth:`destination`; when source and destination are the same vault, or the source's id cannot
            be right.
        """
        destination = self.destination()
        check_way(vault_id, destination)
        return destination

    def _tags(self, vault_id: str) -> dict[str, str]:
        """Return the tags of the metrics of this way.

        :param vault_id: the source vault, checked.
        """
        from airflow_cbr.hooks.metrics import tags_of

        there = self.destination()
        source = {"region": self.hook.region, "vault_id": vault_id}
        return tags_of(**source, destination_region=there.region, destination_vault_id=there.vault_id)


class StoppableOperator(BaseCbrOperator):
    """A task that changes something at the service, and from a stop on changes nothing more."""

    _is_stopped = False
    _is_asleep = False
    _started: Callable[[], Sequence[str]] = staticmethod(tuple)
    """Returns the ids of what continues in CBR when the task is stopped now."""

    def on_kill(self) -> None:
        """Send nothing more that changes anything, and log what continues in CBR.

        Airflow calls this in a signal handler, and lets the task's process live on for some seconds.
        """
        self._is_stopped = True
        self.log.warning("The task was stopped; it sends nothing more. %s", self._what_continues(self._started()))
        if self._is_asleep:
            # Nothing else is going on that this could tear apart.
            refuse_if_stopped(_WHILE_WAITING)

    def at_step(self, step: Any, moment: str) -> None:
        """Do nothing; called before and after each step of the work, so that a subclass can observe or interrupt it.

        :param step: the step.
        :param moment: ``before`` or ``after``.
        """

    def _what_continues(self, ids: Sequence[str]) -> str:
        """Return a sentence that names what continues in CBR."""
        raise NotImplementedError

    def _until_stopped(self) -> AbstractContextManager[None]:
        """Return a block in which no client changes anything once the task was stopped."""
        return stoppable(lambda: self._is_stopped)

    @contextmanager
    def _naming(self, started: Callable[[], Sequence[str]]) -> Iterator[None]:
        """Let a stop within the block say what continues.

        :param started: returns the ids of that.
        """
        self._started = started
        try:
            yield
        except CbrStoppedError as error:
            running = started()
            raise CbrStoppedError(f"{error.message} {self._what_continues(running)}", running=running, advice=_LOOKS_FIRST) from error

    def _sleep(self, seconds: float) -> None:
        self._is_asleep = True
        try:
            refuse_if_stopped(_WHILE_WAITING)
            time.sleep(seconds)
        finally:
            self._is_asleep = False


class WaitingOperator(BaseCbrOperator, Generic[Returned]):
    """A task that waits: on a worker, or in the triggerer, from where it comes back in a new process for its next leg."""

    deferrable: bool

    def execute(self, context: Context) -> Returned:
        """Do the work, and wait for it.

        :param context: the task's context.
        :return: the operator's ``return_value``.
        """
        return self._run_leg(context, lambda: None)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Returned:
        """Continue after a deferral, with what the trigger's event carries.

        :param context: the task's context.
        :param event: the trigger's event.
        :return: the same as :meth:`execute`.
        """
        return self._run_leg(context, lambda: self._recall(event))

    # --- what an operator defines ------------------------------------------------------------------------------------------

    def _perform(self, context: Context, state: Any) -> Returned:
        """Do the work from its beginning (``state`` is None) or from where the last leg stopped."""
        raise NotImplementedError

    def _recall(self, event: Any) -> Any:
        """Return the state that a trigger's event carries.

        :raises CbrError: when the event cannot be read, or is itself the end.
        """
        raise NotImplementedError

    def _backstop(self, state: Any, seconds: float) -> float:
        """Return the seconds after which Airflow gives up a deferral whose trigger should take ``seconds``."""
        raise NotImplementedError

    def _seconds_left(self, state: Any) -> float:
        """Return the seconds that are left to the task, at least 0. Default: it has no deadline."""
        return math.inf

    def _trigger(self, state: Any, pause: Pause, seconds: float) -> BaseTrigger:
        """Return the trigger that waits for a pause to end. Default: it waits for the moment."""
        from airflow_cbr.triggers.cbr import CbrPauseTrigger

        return CbrPauseTrigger(until=time.time() + seconds, memory=state.dump())

    # --- the loop -------------------------------------------------------------------------------------------------------

    def _run_leg(self, context: Context, recall: Callable[[], Any]) -> Returned:
        try:
            state = recall()
            with within(self._seconds_left(state) + LAST_LOOK):
                return self._perform(context, state)
        except CbrError as error:
            # A wait that the triggerer has ended comes back without an outcome.
            source = (self.outcome or {}).get("source") or {"vault_id": getattr(self, "vault_id", None)}
            if is_id(vault_id := source["vault_id"]) and not isinstance(error, CbrParameterError):
                self.failed_vault_id = vault_id
            self.tell(of_failure(self.outcome, error))
            raise_for_airflow(error)

    def _follow(self, work: Work[Outcome]) -> Outcome:
        """Advance until there is a result, and wait in between; where the wait is deferred, this does not return."""
        from airflow_cbr.once.steps import Pause

        while True:
            # A service that dribbles would hold a call far longer than the task has time.
            with within(self._seconds_left(work.state) + LAST_LOOK):
                step = work.advance()
            if not isinstance(step, Pause):
                return step
            seconds = min(step.seconds, self._seconds_left(work.state) + 1.0)
            if self.deferrable:
                self._defer(work.state, step, seconds)
            self._sleep(seconds)

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def _defer(self, state: Any, pause: Pause, seconds: float) -> None:
        self.defer(
            trigger=self._trigger(state, pause, seconds),
            method_name="execute_complete",
            timeout=timedelta(seconds=self._backstop(state, seconds)),
        )


class _Watched(Generic[Outcome]):
    """Work that is asked, at any moment, what of it continues in CBR.

    :param work: the work.
    :param ids_started: returns from its state the ids of all that it has started.
    """

    def __init__(self, work: Work[Outcome], ids_started: Callable[[Any], Sequence[str]]) -> None:
        self._work = work
        self._ids_started = ids_started
        self._waited_for: tuple[str, ...] = ()
        self._known_before = frozenset(ids_started(work.state))
        self.state = work.state

    def advance(self) -> Pause | Outcome:
        """Advance the work."""
        from airflow_cbr.once.steps import Pause

        step = self._work.advance()
        started = self._ids_started(self.state)
        # What a pause waits for; where it waits for no records, all that was started.
        self._waited_for = (step.records or tuple(started)) if isinstance(step, Pause) else ()
        self._known_before = frozenset(started)
        return step

    def running(self) -> Sequence[str]:
        """Return the ids of what the last pause waited for, and of what has been started since."""
        return tuple(dict.fromkeys((*self._waited_for, *(one for one in self._ids_started(self.state) if one not in self._known_before))))


class OnceOperator(StoppableOperator, WaitingOperator[Returned]):
    """A task that starts something at the service, once, and follows it to its end within a timeout."""

    poll_interval: float | timedelta
    max_poll_interval: float | timedelta
    timeout: float | timedelta

    ui_color = "#f7d4d4"

    # --- what an operator defines ------------------------------------------------------------------------------------------

    def _ids_started(self, state: Any) -> Sequence[str]:
        """Return the ids of all that this task has started or adopted, whether it continues or not."""
        raise NotImplementedError

    # --- the loop -------------------------------------------------------------------------------------------------------

    def _run_leg(self, context: Context, recall: Callable[[], Any]) -> Returned:
        with self._until_stopped():
            return super()._run_leg(context, recall)

    def _follow(self, work: Work[Outcome]) -> Outcome:
        watched = _Watched(work, self._ids_started)
        with self._naming(watched.running):
            return super()._follow(watched)

    def _seconds_left(self, state: Any) -> float:
        # Before there is a state, the deadline that an earlier attempt wrote down is not read yet; it is never further away.
        return check_seconds(self.timeout, "timeout") if state is None else max(state.deadline - time.time(), 0.0)

    def _backstop(self, state: Any, seconds: float) -> float:
        _, longest = check_intervals(self.poll_interval, self.max_poll_interval)
        return self._seconds_left(state) + 2 * longest

    def _place(self, context: Context, vault_id: str) -> dict[str, str]:
        """Push what the links lead to, and return where the vault is, for an XCom."""
        client = self.hook.client
        self._push_links(context)
        return {"region": client.region, "project_id": client.project_id, "vault_id": vault_id}
