"""
One JSON line per thing that happened, with ids and never personal data.

Called once per process by `kernel.process`; everybody else calls `get_logger`.
Request and event ids come from context variables bound at the two doors.
"""

import logging
import sys
from typing import Any

import msgspec
import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_encoder = msgspec.json.Encoder(enc_hook=str)


def _dumps(event: Any, **_: Any) -> bytes:
    return _encoder.encode(event)


def configure(process: str, level: str) -> None:
    """
    Set the log of this process up. `process` is said in every line.
    """
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
    )
    structlog.contextvars.bind_contextvars(process=process)
    # Drivers speak the standard library's logging; only what went wrong is worth a line.
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward()], force=True)


class _Forward(logging.Handler):
    """
    Drivers' log records as lines of our own.
    """

    def emit(self, record: logging.LogRecord) -> None:
        get_logger(record.name).log(
            record.levelno, "driver", message=record.getMessage(), exc_info=record.exc_info or None
        )


def get_logger(name: str) -> Any:
    """
    A logger that names its module.
    """
    return structlog.get_logger(module=name)


def flush() -> None:
    """
    Push the last lines out before the process ends.
    """
    sys.stdout.flush()
