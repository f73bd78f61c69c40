"""What a submission remembers inside an attempt and over a deferral: ids and numbers, for the backups that are copied, and two names."""

from __future__ import annotations

from airflow_cbr.once.state import AttemptState

__all__ = ["ReplicationState"]


class ReplicationState(AttemptState, kw_only=True):
    """What one attempt knows, and a deferral carries. Unix times are by the local clock unless they say otherwise.

    :param vault_name: name of the source vault, as the attempt's first look found it; None where it is not known.
    :param destination_name: name of the destination vault, likewise.
    :param as_of: Unix time of the newest backup of the first look, in the service's clock; only backups created until then count.
    :param looked_at: Unix time of the first look.
    :param wanted: ids of the backups that the first look found without a copy: no other is requested. None: not written down.
    :param began: Unix time (service) after which all records of this Dag run's task were made; None when it has sent nothing.
    :param first_sent_at: Unix time of the first call of this Dag run's task, as far as it is known of.
    :param copying_since: Unix time since when the copies have run that this attempt began or found running; None when there was none.
    :param unsettled_until: Unix time until which an earlier attempt's call may still take effect.
    :param accepted: backup id by record id, for the copies that the service accepted from this attempt.
    :param accepted_at: Unix time of the newest acceptance.
    :param adopted: backup id by record id, for the copies of earlier attempts or of others that this task follows.
    :param sent: Unix time, by backup id, of the newest call whose effect on that backup is not known.
    :param unseen: Unix time, by backup id, since when the operation log shows a copy that no record shows.
    :param unknown: how many calls ended without a known outcome, by backup id; the vault's own id for the vault call.
    :param stale: ids of the records that had failed before this attempt: their backups are requested again.
    :param declined: code and request id by backup id, where the service refused a backup because of what it is.
    :param given_up: code and request id by backup id, where the service refused for any other reason.
    :param one_by_one: whether what is still needed is requested individually.
    :param disowned: ids of running records that do not count because ``durable`` is False.
    :param lost_replicas: ids of the records whose replica is gone: they cover nothing. Only where a single backup is replicated.
    :param lost_at: Unix time (service) of the newest of them; what the operation log says of copies until then is of theirs.
    :param log_troubles: how many looks at the operation log in a row have failed.
    """

    vault_name: str | None = None
    destination_name: str | None = None
    as_of: float | None = None
    looked_at: float = 0.0
    wanted: list[str] | None = None
    began: float | None = None
    first_sent_at: float | None = None
    copying_since: float | None = None
    unsettled_until: float = 0.0
    accepted: dict[str, str] = {}
    accepted_at: float = 0.0
    adopted: dict[str, str] = {}
    sent: dict[str, float] = {}
    unseen: dict[str, float] = {}
    unknown: dict[str, int] = {}
    stale: list[str] = []
    declined: dict[str, str] = {}
    given_up: dict[str, str] = {}
    one_by_one: bool = False
    disowned: list[str] = []
    lost_replicas: list[str] = []
    lost_at: float | None = None
    log_troubles: int = 0

    @property
    def followed(self) -> dict[str, str]:
        """Return backup id by record id for every copy that this task is responsible for."""
        return {**self.adopted, **self.accepted}
