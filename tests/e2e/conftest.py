"""
The full stack, services included, started once per run on free ports in a throw-away folder.

Kafka is the embedded broker, or Apache Kafka when ANTREAN_TEST_KAFKA=real.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops.background import BackgroundStack
from ops.stack import Stack

Sweep = Callable[[], None]
GIVEN = {"VALKEY_URL", "DATABASE_URL", "KAFKA_BOOTSTRAP", "SMTP_URL", "MAIL_LOOKUP_URL", "PUBLIC_URL"}


@pytest.fixture(scope="session")
def stack(what_the_driver_drops: Sweep) -> Iterator[BackgroundStack]:
    """
    Everything `antrean up` starts: `.url`, `.env`, `.ports`, `.pid_of`, `.kill`, `.wait_ready`, `.broker`.
    """
    # Postgres, running as another account when we are root, must reach its data.
    folder = Path(tempfile.mkdtemp(prefix="antrean-e2e-"))
    folder.chmod(0o755)
    environ = {name: value for name, value in os.environ.items() if name not in GIVEN}
    kafka = os.environ.get("ANTREAN_TEST_KAFKA", "embedded")
    try:
        with BackgroundStack(lambda: Stack(folder / "state", environ, kafka=kafka, ports="free", say=print)) as running:
            what_the_driver_drops()
            yield running
    finally:
        shutil.rmtree(folder)
