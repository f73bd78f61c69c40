"""The error catalogue as a page: ``python -m airflow_cbr.api.errors_page > docs/reference/errors.md``.

With the argument ``zh``, in Chinese: ``docs/zh/errors.md``.
"""

from __future__ import annotations

import sys
from typing import Final

from airflow_cbr.api.catalogue_row import CatalogueRow, Decision
from airflow_cbr.api.errors import CATALOGUE
from airflow_cbr.languages import in_chinese

__all__ = ["render", "render_chinese"]

_HEAD: Final = """\
# Errors

<!-- Made by `python -m airflow_cbr.api.errors_page > docs/reference/errors.md`; do not edit. -->

Every error that this package raises is a subclass of `airflow_cbr.exceptions.CbrError`. It carries `error_code` and `request_id` (quote
both to Huawei Cloud support), `http_status`, `advice`, and `permanent`: whether running the task again would meet the same error, in which
case the task is not retried.

An answer of the service is classified by its `error_code` and not by its HTTP status, which for one and the same code has changed over the
years. `BackupService.`, `APIG.`, `IAM.`, `IMG.` and `Ecs.` codes are known to the tables below; a bare four-digit code of CBR
is read as `BackupService.`, and `APIGW.` as `APIG.`. A code that the tables do not know is classified by its status:

| HTTP status | Exception |
|---|---|
| 401 | `CbrAuthenticationError` |
| 403 | `CbrPermissionError` |
| 404, 410 | `CbrNotFoundError` |
| 429 | `CbrThrottledError` |
| 408, 5xx | `CbrUnavailableError` |
| other 4xx | `CbrRefusedError` |

A 401 that says "Malformed request url" is not about the credentials: it is the answer to a project, vault or backup id that does not exist,
and becomes `CbrNotFoundError`.

## What is done about an error

| Decision | Reads | The replicate calls |
|---|---|---|
| retry | sent again, within the client's time budget | sent again only when throttled (429), otherwise raised |
| reauthenticate | password: a new token, once; AK/SK: raised, since repeated refusals lock the key | the same, where the status is 401 |
| adopt | raised | raised: what exists already has replication records, which can be followed |
| fail | raised | raised |

After a replicate call, some failures leave open whether the service accepted it: the connection broke or timed out after the first byte of
the request went out (to the service, or to a plain HTTP proxy), the answer could not be read, an unknown error with status 5xx or 408,
and the codes marked "uncertain" below. They become `CbrOutcomeUnknownError`, and the client does not send the call again: the records of
the source vault's backups show what happened.

When no usable answer comes, the error is a `CbrTransportError`: `CbrConnectionError`, `CbrTimeoutError`, or `CbrProtocolError` for an
answer that is not what the API promises (HTML from a proxy, a redirect, a truncated body).

What to do is written in Chinese where the environment variable `AIRFLOW_CBR_LANGUAGE` is `zh`, or else the locale (`LC_ALL`,
`LC_MESSAGES`, `LANG`) is Chinese: [these tables in Chinese](../zh/errors.md).
"""

_SECTIONS: Final = (
    ("BackupService.", "CBR", "Codes of the service itself."),
    ("APIG.", "API gateway", "Codes of the gateway in front of every service; it also writes them as `APIGW.`."),
    ("IAM.", "IAM", "Codes of the identity service: tokens and project look-up."),
    ("IMG.", "IMS", "Codes of the image service, as far as restore drills can meet them."),
    ("Ecs.", "ECS", "Codes of the server service, likewise. Those about a server that could not be started also stand in its job."),
)


def render() -> str:
    """Return the page in Markdown."""
    parts = [_HEAD]
    for prefix, title, text in _SECTIONS:
        rows = [row for row in CATALOGUE if row.code.startswith(prefix)]
        lines = [f"## {title}", "", text, "", "| Code | Meaning | Decision | Exception | What to do |", "|---|---|---|---|---|"]
        parts.append("\n".join([*lines, *(_line(row) for row in rows)]) + "\n")
    return "\n".join(parts)


def _code(row: CatalogueRow) -> str:
    statuses = f" (HTTP {', '.join(map(str, sorted(row.statuses)))})" if row.statuses else ""
    return f"`{row.code}`{statuses}"


def _line(row: CatalogueRow) -> str:
    decision = f"{Decision(row.decision)}, uncertain" if row.uncertain else str(Decision(row.decision))
    return f"| {_code(row)} | {row.meaning} | {decision} | `{row.error.__name__}` | {row.advice} |"


_CHINESE_HEAD: Final = """\
# 错误码

<!-- Made by `python -m airflow_cbr.api.errors_page zh > docs/zh/errors.md`; do not edit. -->

服务端的每个错误码、含义和处理建议。本包如何处理每个错误（重试、重新认证、认领已有的副本、失败），见[英文页面](../reference/errors.md)。
联系华为云支持时，请提供错误码和 request id。

任务日志和异常里的处理建议也可以显示中文：在 Airflow 各组件的环境里设置 `AIRFLOW_CBR_LANGUAGE=zh`，或者使用中文的系统区域设置（`LANG`）。
这里没有的错误，按日志里的原文查[故障处理手册](runbook.md)。
"""


def render_chinese() -> str:
    """Return the page in Chinese, in Markdown, with the English meaning beside it."""
    parts = [_CHINESE_HEAD]
    for prefix, title, _ in _SECTIONS:
        lines = [f"## {title}", "", "| 错误码 | 含义 | 处理建议 | English |", "|---|---|---|---|"]
        lines += [
            f"| {_code(row)} | {in_chinese(row.meaning)} | {in_chinese(row.advice)} | {row.meaning} |"
            for row in CATALOGUE
            if row.code.startswith(prefix)
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(render_chinese() if sys.argv[1:] == ["zh"] else render())
