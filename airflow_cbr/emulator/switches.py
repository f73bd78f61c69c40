"""What is not documented about the real service, or differs between accounts and years: one switch each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from airflow_cbr.emulator.bounds import MOST_THINGS, ErrorStatus, Seconds
from airflow_cbr.emulator.kinds import Progress

FieldName = Annotated[str, StringConstraints(max_length=255)]


class Switches(BaseModel):
    """The switches of a world; every one can be changed while the emulator runs."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)

    when_all_copied: Literal["1009", "0001", "empty", "skip"] = Field(
        default="1009",
        description="What a vault's replicate call answers when every backup is copied: a code, an empty list, or records in `skip`.",
    )
    when_none_qualifies: Literal["reason", "0001", "empty"] = Field(
        default="reason",
        description="The same when no backup may be replicated: the code of the first backup's reason, 0001, or an empty list.",
    )
    failed_taken_again: bool = Field(
        default=True, description="Whether a vault's replicate call takes a backup again whose newest copy failed."
    )
    deleted_taken_again: bool = Field(default=False, description="The same for a backup whose replica was deleted.")
    single_while_replicating: Literal["accepted", "6130"] = Field(
        default="accepted", description="What a single backup's replicate call does while its vault replicates other backups."
    )
    careless: bool = Field(
        default=False,
        description="No 6130, no 1009, no 6125: every call that copies or backs up is accepted and starts anew, so that a duplicate shows.",
    )
    replication_records: Literal["listed", "unlisted"] = Field(
        default="listed",
        description="`unlisted`: the API as a cloud publishes it that shows no replication records (Open Telekom Cloud): no field "
        "`replication_records`, no effect of `show_replication`, no `extra_info.replication` in the operation log, and "
        "`enable_acceleration` is an unknown key.",
    )
    show_backup_records: Literal["filled", "empty", "absent"] = Field(
        default="filled", description="Whether GET of one backup fills `replication_records`."
    )
    record_delay: Seconds = Field(default=0.0, description="Seconds until a new replication record shows.")
    operation_log_delay: Seconds = Field(default=0.0, description="Seconds until a new operation log shows.")
    operation_log_vault_id: bool = Field(
        default=False, description="Whether the rows of the operation log name their vault; null otherwise."
    )
    operation_log_replication_filter: bool = Field(
        default=True, description="Whether the operation log can be filtered by `operation_type=replication`; 9900 otherwise."
    )
    record_lacks: list[FieldName] = Field(
        default_factory=list, max_length=MOST_THINGS, description='Fields that replication records do not have: `["created_at"]`.'
    )
    backup_lacks: list[FieldName] = Field(default_factory=list, max_length=MOST_THINGS, description="The same of backups and replicas.")
    operation_log_lacks: list[FieldName] = Field(
        default_factory=list, max_length=MOST_THINGS, description="The same of the rows of the operation log."
    )
    code_status: dict[Annotated[str, StringConstraints(pattern=r"^\d{4}$")], ErrorStatus] = Field(
        default_factory=dict,
        max_length=MOST_THINGS,
        description='HTTP status by code, where it differs from the newest documentation: `{"1009": 500}`.',
    )
    extra_info_as_text: bool = Field(default=False, description="Whether a record's `extra_info` is JSON text, as in older documentation.")
    time_notation: Literal["naive", "offset", "zulu"] = Field(
        default="naive", description="How CBR writes times: without a zone, `+00:00` with milliseconds, or `Z` with seconds."
    )
    refuse_acceleration: bool = Field(
        default=False, description="Whether the account is gated: `enable_acceleration: true` is refused with 9900."
    )
    queue_seconds: Seconds = Field(default=1.0, description="Seconds that a copy waits in `waiting_replicate`, at least.")
    copy_seconds: Seconds = Field(default=4.0, description="Seconds that a copy takes.")
    copy_seconds_per_gb: Seconds = Field(default=0.0, description="Further seconds for each GB of the resource.")
    copies_at_once: int | None = Field(
        default=8, ge=1, le=1_000_000, description="Copies that run at the same time per source vault; the others wait. null: no limit."
    )
    progress: Progress = Field(
        default="linear",
        description="How the percentage moves: `linear`, `bursty` (by quarters), `stuck` (at 37 until the end), `null` (is not said).",
    )
    replica_settle_seconds: Seconds = Field(default=0.0, description="Seconds that a new replica stays in `protecting` at the destination.")
    replica_created_at: Literal["copy", "source"] = Field(
        default="copy", description="Whether `created_at` of a replica is the end of its copy, or the time of its source backup."
    )
    replica_protected_at: Literal["null", "source"] = Field(
        default="null", description="Whether `protected_at` of a replica is empty, as of a backup, or the time of its source backup."
    )
    replica_checkpoint: Literal["own", "source"] = Field(
        default="own", description="Whether replicas belong to a checkpoint of the destination, or carry the id of their source's."
    )
    replica_name: Literal["source", "own"] = Field(
        default="source", description="Whether a replica that was given no name takes its source's, or one of the service's own."
    )
    checkpoint_seconds: Seconds = Field(default=4.0, description="Seconds that a new checkpoint stays in `protecting`.")
    checkpoint_delay: Seconds = Field(default=0.0, description="Seconds until a new checkpoint and its backups show.")
    checkpoint_backup_names: Literal["given", "own"] = Field(
        default="given", description="Whether the backups of a checkpoint carry the name that it was given, or one of the service's own."
    )
    show_checkpoint_extra: Literal["filled", "null"] = Field(
        default="filled", description="Whether GET of a checkpoint repeats `extra_info` with its name."
    )
    image_seconds: Seconds = Field(default=30.0, description="Seconds that a whole image takes.")
    image_seconds_per_gb: Seconds = Field(default=0.0, description="Further seconds for each GB of the resource.")
    image_delay: Seconds = Field(default=0.0, description="Seconds until a new image shows in the list.")
    image_listed_at: Literal["start", "end"] = Field(
        default="start", description="Whether an image shows while it is made, or only when that has ended."
    )
    image_data_origin: Literal["filled", "absent"] = Field(
        default="filled", description="Whether the row of an image names the backup that it was made of (`__data_origin`)."
    )
    image_delete_seconds: Seconds = Field(default=3.0, description="Seconds until an image that was deleted is no longer listed.")
    deleting_unfinished_image: Literal["ignored", "deleted"] = Field(
        default="ignored", description="What deleting an image does that is still being made; the answer is 204 in any case."
    )
    image_quota: int = Field(default=50, ge=0, le=100_000, description="Private images of a project.")
    server_seconds: Seconds = Field(default=20.0, description="Seconds that a new server stays in `BUILD`.")
    server_delay: Seconds = Field(default=0.0, description="Seconds until a new server shows.")
    server_delete_seconds: Seconds = Field(default=10.0, description="Seconds until a server that was deleted is gone.")
    server_tags: Literal["listed", "absent"] = Field(default="listed", description="Whether the rows of servers have their tags.")
    server_quota: int = Field(default=200, ge=0, le=100_000, description="Servers of a project.")
    core_quota: int = Field(default=800, ge=0, le=1_000_000, description="Cores of a project.")
    ram_quota: int = Field(default=1_638_400, ge=0, le=1_000_000_000, description="MB of memory of a project.")
    data_disks: int = Field(default=1, ge=0, le=23, description="Data disks that a server of a whole image has.")
    data_volumes: Literal["from_image", "listed"] = Field(
        default="from_image", description="Whether the data disks of a whole image come by themselves, or the request must list them."
    )
    auto_terminate_disks: Literal["deleted", "kept"] = Field(
        default="deleted", description="What becomes of the data disks of a server that its `auto_terminate_time` deletes."
    )
    delete_seconds: Seconds = Field(default=0.0, description="Seconds that a deleted backup stays in `deleting`.")
    delete_while_deleting: Literal["6201", "204"] = Field(
        default="6201", description="What deleting a backup that is in `deleting` answers."
    )
    locked_vault_keeps: Literal["automatic", "all"] = Field(
        default="automatic", description="Whether a locked vault refuses (6220) to delete its automatic backups alone, or all."
    )
    expiry: Literal["kept", "removed"] = Field(
        default="kept", description="Whether a backup that has expired is removed; if not, it stays as it is."
    )
    token_seconds: Seconds = Field(default=86400.0, gt=0, description="Lifetime of a token.")
    key_seconds: Seconds = Field(
        default=86400.0, gt=0, description="Lifetime of a key that the metadata service or a pod's identity gives."
    )
    key_overlap_seconds: Seconds = Field(
        default=2400.0,
        description="Seconds before a key's end from which the metadata service gives a new one; until then the same.",
    )
    signature_clock: Literal["real", "simulated"] = Field(
        default="real", description="By which clock the date of a signature is judged; simulated time may have been advanced by hours."
    )
