"""
The `antrean` command: the local stack, its doctor, and the tools operators run against it.

May use services, contracts and kernel; nothing of those uses this.
"""
