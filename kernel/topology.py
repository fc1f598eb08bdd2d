"""
Which node of a Valkey Cluster serves which hash slot, as the nodes themselves say.

Called by stores that talk to a cluster. Never connects: it reads what `CLUSTER SLOTS`
and redirections have said, and forgets nothing until it is told better.
"""

from typing import Any, Final, NamedTuple

from redis.crc import key_slot

SLOTS: Final = 16384


class Address(NamedTuple):
    """
    Where a node listens for clients.
    """

    host: str
    port: int


def slot_of(key: str | bytes) -> int:
    """
    The hash slot of a key: of what stands between its first braces, if anything does.
    """
    return key_slot(key if isinstance(key, bytes) else key.encode())


class Topology:
    """
    The nodes as last heard of.
    """

    def __init__(self) -> None:
        self._primary_of: list[Address | None] = [None] * SLOTS
        self.nodes: frozenset[Address] = frozenset()
        """Primaries and replicas."""

        self.primaries: tuple[Address, ...] = ()
        """Every node that serves a slot, in one order for all processes."""

    @property
    def served(self) -> tuple[Address | None, ...]:
        """
        Who serves each slot.
        """
        return tuple(self._primary_of)

    def primary_of(self, slot: int) -> Address | None:
        """
        Who serves a slot; None while nobody is known to.
        """
        return self._primary_of[slot]

    def move(self, slot: int, to: Address) -> None:
        """
        A node has said that another one serves the slot now.
        """
        self._primary_of[slot] = to
        self.nodes |= {to}
        self.primaries = tuple(sorted({*self.primaries, to}))

    def learn(self, reply: Any, *, told_by: Address) -> None:
        """
        All of what `CLUSTER SLOTS` has said: ranges with their primary first, then its replicas.
        """
        primary_of: list[Address | None] = [None] * SLOTS
        nodes = set()
        for first, last, *servers in reply:
            addresses = [_address(server, told_by) for server in servers]
            primary_of[first : last + 1] = [addresses[0]] * (last + 1 - first)
            nodes.update(addresses)
        self._primary_of, self.nodes = primary_of, frozenset(nodes)
        self.primaries = tuple(sorted({address for address in primary_of if address is not None}))


def redirected(error: Any, told_by: Address) -> Address:
    """
    Where a MOVED or ASK sends us; without a host it means the one who says so.
    """
    return Address(error.host or told_by.host, error.port)


def _address(server: Any, told_by: Address) -> Address:
    host = server[0].decode() if server[0] else ""
    # "?" is what a node says that does not know the name it should give.
    return Address(host if host not in ("", "?") else told_by.host, int(server[1]))
