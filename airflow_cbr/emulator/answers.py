"""What a fault makes of an answer."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any, Final

import msgspec

from airflow_cbr.emulator.exchange import WHOLE, Answer, Call, Delivery, Refusal
from airflow_cbr.emulator.faults import (
    BodyFault,
    CallFault,
    CodeFault,
    DateFault,
    EmptyBackupsFault,
    LateFault,
    MalformedUrlFault,
    RecordsFault,
    ResetFault,
    RowsFault,
    SilenceFault,
    SlowFault,
    StatusFault,
    ThrottleFault,
    TruncatedFault,
)
from airflow_cbr.emulator.refusals import cbr, gateway, malformed_url

_HTML: Final = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1><p>proxy</p></body></html>"
_GATEWAY: Final = {
    500: ("APIG.0201", "Backend internal error."),
    502: ("APIG.0201", "Backend unavailable."),
    503: ("APIG.0613", "IAM unavailable."),
    504: ("APIG.0203", "Backend timeout."),
}


def refused(refusal: Refusal, code_status: dict[str, int], request_id: str) -> Answer:
    """Return a refusal as an answer.

    :param refusal: the refusal.
    :param code_status: HTTP status by code, where a switch changes it.
    :param request_id: goes into the gateway's bodies.
    """
    status = code_status.get(refusal.code or "", refusal.status)
    content = dict(refusal.content)
    if "request_id" in content:
        content["request_id"] = request_id
    return Answer.of(content, status)


def instead(fault: CallFault, call: Call, now: float) -> Refusal | Answer | None:
    """Return what a fault answers in the service's place, or None where it lets the service answer.

    :param fault: the fault.
    :param call: the call.
    :param now: simulated time, from which a ``Retry-After`` date counts.
    """
    if isinstance(fault, StatusFault):
        code, message = _GATEWAY.get(fault.status, ("APIG.0201", "Backend internal error."))
        return gateway(code, message, fault.status)
    if isinstance(fault, CodeFault):
        return cbr(fault.code, fault.message, fault.status)
    if isinstance(fault, MalformedUrlFault):
        return malformed_url()
    if isinstance(fault, ThrottleFault):
        answer = Answer.of(
            gateway(
                "APIG.0308", "The throttling threshold has been reached: policy user over ratelimit,limit:200,time:1 minute", 429
            ).content,
            429,
        )
        if fault.retry_after is not None:
            date = formatdate(now + fault.retry_after, usegmt=True)
            answer.headers["Retry-After"] = date if fault.as_date else f"{fault.retry_after:.15g}"
        return answer
    if isinstance(fault, BodyFault):
        if fault.kind == "html":
            return Answer(fault.status, _HTML, content_type="text/html")
        return Answer(fault.status, b"upstream said something else")
    if isinstance(fault, EmptyBackupsFault) and fault.when == "before":
        return Answer.of(_nothing_started(call))
    return None


def spoilt(fault: CallFault, answer: Answer) -> Answer:
    """Return the service's own answer as a fault leaves it.

    :param fault: the fault.
    :param answer: what the service answered.
    """
    if isinstance(fault, EmptyBackupsFault) and answer.status == 200:
        content = msgspec.json.decode(answer.body)
        holder = content.get("replication", content)
        if "backups" in holder:
            holder["backups"] = []
            return Answer.of(content)
    if isinstance(fault, RowsFault | RecordsFault) and answer.status == 200:
        content = msgspec.json.decode(answer.body)
        for key, rows in content.items():
            if isinstance(fault, RowsFault) and isinstance(rows, list):
                content[key] = _disordered(rows, fault)
            elif isinstance(fault, RecordsFault) and key in ("backup", "backups"):
                for row in rows if isinstance(rows, list) else [rows]:
                    if isinstance(row.get("replication_records"), list):
                        row["replication_records"] = _disordered(row["replication_records"], fault)
        answer.body = msgspec.json.encode(content)
    return answer


def dated(fault: CallFault | None, now: float) -> dict[str, str]:
    """Return the ``Date`` header of an answer.

    :param fault: the fault that strikes it, or None.
    :param now: the service's time.
    """
    if not isinstance(fault, DateFault):
        return {"Date": formatdate(now, usegmt=True)}
    if fault.kind == "date_shifted":
        return {"Date": formatdate(now + fault.seconds, usegmt=True)}
    return {"Date": fault.text} if fault.kind == "date_other" else {}


def _disordered(rows: list[Any], fault: RowsFault | RecordsFault) -> list[Any]:
    if fault.kind == "records_hidden":
        return []
    if fault.kind in ("rows_reversed", "records_reversed"):
        return rows[::-1]
    return [*rows, *(row | {"status": fault.status} if fault.status is not None and isinstance(row, dict) else row for row in rows)]


def delivery_of(fault: CallFault | None) -> Delivery:
    """Return how an answer reaches the client under a fault.

    :param fault: the fault, or None.
    """
    if isinstance(fault, ResetFault | LateFault):
        return Delivery("reset")
    if isinstance(fault, SilenceFault):
        return Delivery("silence")
    if isinstance(fault, TruncatedFault):
        return Delivery("truncated")
    if isinstance(fault, SlowFault):
        return Delivery(pause=fault.seconds)
    return WHOLE


def _nothing_started(call: Call) -> dict[str, Any]:
    asked = call.json.get("replicate") if isinstance(call.json, dict) else None
    asked = asked if isinstance(asked, dict) else {}
    if call.method == "GET":
        return {"backups": [], "count": 0}
    return {
        "replication": {"backups": []} | {key: value for key, value in asked.items() if key not in ("auto_trigger", "enable_acceleration")}
    }
