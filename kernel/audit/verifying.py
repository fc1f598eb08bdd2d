"""
Verifying: the audit log is read from its first line to its last, and every line that was touched is named.

Called by `antrean audit-log verify`. What a signed manifest says counts; where a head is gone or was touched,
what the seals say. Reads one moment, bit by bit, and writes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from kernel.audit import seals
from kernel.audit.chain import BEFORE_FIRST, CheckingKeys, Head, Item, chained, content_of, link, unpacked
from kernel.postgres import Connection, Database

READ_AT_ONCE = 1000


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A line or a head that is not as it was sealed.
    """

    entry_id: int | None = None
    head_id: int | None = None
    how: str

    def sentence(self) -> str:
        """
        For people.
        """
        what = f"head {self.head_id}" if self.entry_id is None else f"line {self.entry_id}"
        return f"{what}: {self.how.replace('_', ' ')}"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """
    What was read and what is wrong with it.
    """

    entries: int
    heads: int
    waiting: int
    tampered: tuple[Finding, ...]


def heads_of(texts: Iterable[str]) -> dict[int, bytes]:
    """
    Heads as a log told them, `id:hash`. Raises `ValueError` for anything else.
    """
    expected = {}
    for text in texts:
        head_id, _, chain = text.partition(":")
        if not head_id.isdecimal() or not chain:
            raise ValueError(f"{text!r} is no head: write id:hash as the log says it")
        expected[int(head_id)] = bytes.fromhex(chain)
    return expected


async def verify(database: Database, keys: CheckingKeys, *, expected_heads: Mapping[int, bytes]) -> Report:
    """
    Look at every line.
    """
    async with database.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        walk = Walk(connection, keys, expected_heads)
        async for head in seals.heads(connection):
            await walk.take(head)
        await walk.end()
        entries, waiting = await seals.count(connection)
    return Report(entries=entries, heads=walk.heads, waiting=waiting, tampered=tuple(walk.tampered()))


class Walk:
    """
    From head to head: how far the chain is followed, and what was found on the way.
    """

    def __init__(self, connection: Connection, keys: CheckingKeys, expected_heads: Mapping[int, bytes]) -> None:
        self._connection = connection
        self._keys = keys
        self._missing_heads = dict(expected_heads)
        self._last = BEFORE_FIRST
        self._found: list[Finding] = []
        self._said: dict[int, tuple[bytes, bytes | None]] = {}
        """By line that is not as it was sealed: the content then, and now."""
        self._changed: set[int] = set()
        self.heads = 0

    async def take(self, head: Head) -> None:
        """
        The next head there is.
        """
        self.heads += 1
        if not self._keys.signed(head):
            self._found.append(Finding(head_id=head.head_id, how="changed"))
            self._changed.add(head.head_id)
            return
        await self._cross_gap(head)
        items = unpacked(head.manifest)
        chain = chained(self._last.chain, items, first_number=head.first_number)
        if chain[-1] != head.chain:
            self._found.append(Finding(head_id=head.head_id, how="does_not_follow"))
        if self._missing_heads.get(head.head_id) == head.chain:
            del self._missing_heads[head.head_id]
        await self._compare_seals(head, items, chain)
        await self._compare_lines(items)
        self._last = head

    async def end(self) -> None:
        """
        Behind the last head: what has lost its head, what nobody sealed, what went before it was sealed.
        """
        end = await seals.last_number(self._connection)
        if end > self._last.last_number and self._last.head_id + 1 not in self._changed:
            self._found.append(Finding(head_id=self._last.head_id + 1, how="removed"))
        await self._follow_seals(self._last.last_number + 1, end)
        self._found += [Finding(head_id=head_id, how="removed") for head_id in self._missing_heads]
        async for entry_id in seals.strangers(self._connection):
            self._found.append(Finding(entry_id=entry_id, how="added"))
        async for entry_id in seals.lost(self._connection):
            self._found.append(Finding(entry_id=entry_id, how="removed"))

    def tampered(self) -> list[Finding]:
        """
        Everything found: heads first, then lines in order.
        """
        whose = {sealed: entry_id for entry_id, (sealed, _) in self._said.items()}
        touched = [
            Finding(entry_id=entry_id, how=_how(entry_id, now, whose)) for entry_id, (_, now) in self._said.items()
        ]
        return sorted({*self._found, *touched}, key=lambda each: (each.entry_id or 0, each.head_id or 0, each.how))

    async def _cross_gap(self, head: Head) -> None:
        """
        Heads between the last good one and this one are gone or were changed: their lines are known by their seals.
        """
        between = range(self._last.head_id + 1, head.head_id)
        self._found += [Finding(head_id=each, how="removed") for each in between if each not in self._changed]
        if head.first_number > self._last.last_number + 1:
            await self._follow_seals(self._last.last_number + 1, head.first_number - 1)

    async def _follow_seals(self, first: int, last: int) -> None:
        """
        Where no head vouches: a seal that does not follow its predecessor was changed.
        """
        chain = self._last.chain
        while first <= last:
            until = min(last, first + READ_AT_ONCE - 1)
            there = await seals.seals(self._connection, first, until)
            for number, (item, sealed) in there.items():
                if sealed != link(chain, number=number, item=item):
                    self._found.append(Finding(entry_id=item.entry_id, how="seal_changed"))
                chain = sealed
            await self._compare_lines([item for item, _ in there.values()])
            first = until + 1
        self._last = msgspec.structs.replace(self._last, chain=chain)

    async def _compare_seals(self, head: Head, items: Sequence[Item], chain: Sequence[bytes]) -> None:
        there = await seals.seals(self._connection, head.first_number, head.last_number)
        for number, (item, sealed) in enumerate(zip(items, chain, strict=True), head.first_number):
            if number not in there:
                self._found.append(Finding(entry_id=item.entry_id, how="seal_removed"))
            elif there[number] != (item, sealed):
                self._found.append(Finding(entry_id=item.entry_id, how="seal_changed"))

    async def _compare_lines(self, items: Sequence[Item]) -> None:
        there = await seals.lines(self._connection, [item.entry_id for item in items])
        for item in items:
            line = there.get(item.entry_id)
            now = None if line is None else content_of(line)
            if now != item.content:
                self._said[item.entry_id] = (item.content, now)


def _how(entry_id: int, now: bytes | None, whose: Mapping[bytes, int]) -> str:
    if now is None:
        return "removed"
    return "reordered" if whose.get(now, entry_id) != entry_id else "changed"
