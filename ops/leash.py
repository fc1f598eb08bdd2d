"""
Become another program that cannot outlive its supervisor.

Run as a script by `ops.programs` in front of every child: drops root where asked,
asks Linux to signal this process when its parent dies, then turns into the program,
which keeps the process id. Standard library only: it starts some twenty times.
Where the kernel has no such promise (macOS) it is a plain start.
"""

import argparse
import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """
    Read the command line, put the leash on, become the program.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--signal", type=int, default=int(signal.SIGKILL))
    parser.add_argument("--user", default="")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    if asked.user:
        _become(asked.user)
    if sys.platform == "linux":
        # After the change of user, which would clear it.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, asked.signal, 0, 0, 0)
        if os.getppid() != asked.parent:
            sys.exit("the supervisor ended before this program began")
    os.execvp(asked.command[0], asked.command)  # noqa: S606  # becoming another program is the purpose


def _become(name: str) -> None:
    account = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.environ.update(HOME="/", USER=name, LOGNAME=name)


if __name__ == "__main__":
    main()
