"""
The environment every service process of a stack gets.

Built once per start from ports, secrets and what the caller's environment already
says: a given value always wins. Names are those of `.env.example`.
"""

from collections.abc import Mapping
from typing import Final

from contracts.topics import QUOTA_PARTITIONS_DEFAULT
from ops import postgres

LOCAL: Final = "127.0.0.1"


def build(environ: Mapping[str, str], ports: Mapping[str, int], secrets: Mapping[str, str]) -> dict[str, str]:
    """
    Every variable of COMMON and of the rooms, on top of what the caller has.
    """
    ours = _addresses(environ, ports) | _habits() | dict(secrets)
    given = {name: environ[name] for name in ours if environ.get(name)}
    return {**environ, **ours, **given}


def _addresses(environ: Mapping[str, str], ports: Mapping[str, int]) -> dict[str, str]:
    public_url = environ.get("PUBLIC_URL") or f"http://{LOCAL}:{ports['GATEWAY_PORT']}"
    addresses = {
        "VALKEY_URL": f"redis://{LOCAL}:{ports['VALKEY_PORT']}/0",
        "DATABASE_URL": postgres.dsn(ports["POSTGRES_PORT"]),
        "KAFKA_BOOTSTRAP": f"{LOCAL}:{ports['KAFKA_PORT']}",
        "PUBLIC_URL": public_url,
        "JWKS_URL": f"http://{LOCAL}:{ports['IDENTITY_API_HTTP_PORT']}/.well-known/jwks.json",
        "BANK_CALLBACK_URL": f"{public_url}/v1/bank/callbacks/sandbox",
        "BANK_INQUIRY_URLS": f"sandbox={public_url}/v1/sandbox/bank/inquiries",
        "SMTP_URL": f"smtp://{LOCAL}:{ports['SMTP_PORT']}",
    }
    if not environ.get("SMTP_URL"):
        # A relay of somebody else has no page of ours.
        addresses["MAIL_LOOKUP_URL"] = f"http://{LOCAL}:{ports['MAIL_PORT']}"
    return addresses


def _habits() -> dict[str, str]:
    return {
        "HTTP_HOST": LOCAL,
        "ADMIN_HOST": LOCAL,
        # Any free port, for one-off commands that share a room's settings and listen nowhere.
        "HTTP_PORT": "0",
        "ADMIN_PORT": "0",
        "LOG_LEVEL": "info",
        "SANDBOX": "1",
        "PARTITIONS": str(QUOTA_PARTITIONS_DEFAULT),
        # Whoever tries a stack will not wait half an hour to see a place come back.
        "RETURN_DELAY_SECONDS_MIN": "0",
        "RETURN_DELAY_SECONDS_MAX": "5",
        "MAIL_FROM": "Antrean <antrean@localhost>",
        # A line in the log the moment it is written, not when a buffer fills.
        "PYTHONUNBUFFERED": "1",
    }
