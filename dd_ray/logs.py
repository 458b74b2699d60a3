"""Log lines of every process: text for people, or JSON with the request and its service."""

from __future__ import annotations

import json
import logging
import sys
import time
from contextvars import ContextVar
from typing import Any

from dd_ray.settings import Settings

REQUEST: ContextVar[str] = ContextVar("request", default="")
"""The X-Request-ID of the request that is answered."""

ACCESS = logging.getLogger("dd_ray.access")
"""One line for each request, where DD_RAY_ACCESS_LOG asks for it."""

_EXTRAS = ("service", "method", "path", "code", "took_ms")


class JsonLines(logging.Formatter):
    """One object on one line for each record."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        request = getattr(record, "request", "") or REQUEST.get()
        if request:
            line["request"] = request
        line |= {name: getattr(record, name) for name in _EXTRAS if hasattr(record, name)}
        if record.exc_info:
            line["stack"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up(given: Settings) -> None:
    """Has what dd-ray logs in this process written to the standard error; Ray keeps it in files."""
    # in a replica sys.stderr leads to Serve's own log, which has another format and another level
    handler = logging.StreamHandler(sys.__stderr__)
    if given.log_format == "json":
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    ours = logging.getLogger("dd_ray")
    ours.handlers = [handler]
    ours.propagate = False
    ours.setLevel(given.log_level)
    ACCESS.setLevel(logging.INFO if given.access_log else logging.CRITICAL)
