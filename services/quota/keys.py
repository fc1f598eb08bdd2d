"""
Every Valkey key of quota, spelled here and nowhere else.

Called by stores. All keys of a partition share one hash tag, `{q07}`, and all of an
account one, `{c07}`, so each script finds its keys on one node of a cluster. Never talks
to Valkey.
"""

import dataclasses
import functools
import zlib


def office_of(slot_id: str) -> str:
    """
    The office a slot id begins with.
    """
    return slot_id.partition(".")[0]


def is_hold(key: str) -> bool:
    """
    Whether a key, or its beginning, is of a hold.
    """
    return "}:hold:" in key


@functools.cache
def _account_tags(partitions: int) -> tuple[str, ...]:
    return tuple(f"{{c{tag:02d}}}:claims:" for tag in range(partitions))


def heard_of(key: str) -> str:
    """
    String beside a key, in its hash slot: rewritten so that a wait for replicas has something to wait for.
    """
    opened, closed = key.find("{"), key.find("}")
    return f"{{{key[opened + 1 : closed] if 0 <= opened < closed else key}}}:heard_of"


@dataclasses.dataclass(frozen=True, slots=True)
class Keys:
    """
    Keys of an installation with `partitions` partitions, a number fixed for its life.
    """

    partitions: int

    def partition_of(self, slot_id: str) -> int:
        """
        Where a slot lives: its office decides, so an office id will do as well.
        """
        return zlib.crc32(office_of(slot_id).encode()) % self.partitions

    def slot(self, slot_id: str) -> str:
        """
        Hash: version and plan.
        """
        return f"{{q{self.partition_of(slot_id):02d}}}:slot:{slot_id}"

    def returned(self, slot_id: str) -> str:
        """
        Sorted set: seats that may be offered again, by when.
        """
        return f"{{q{self.partition_of(slot_id):02d}}}:returned:{slot_id}"

    def withheld(self, slot_id: str) -> str:
        """
        Sorted set: seats the plan has no room for, by when they came back.
        """
        return f"{{q{self.partition_of(slot_id):02d}}}:withheld:{slot_id}"

    def takers(self, slot_id: str) -> str:
        """
        String: eight characters of every reservation that has had places of a slot: their repeats are never refused
        from memory.
        """
        return f"{{q{self.partition_of(slot_id):02d}}}:takers:{slot_id}"

    def hold(self, slot_id: str, reservation_id: str) -> str:
        """
        String: what is held and for whom, as msgpack. Lives in its slot's partition.
        """
        return f"{{q{self.partition_of(slot_id):02d}}}:hold:{reservation_id}"

    def holds_pattern(self, partition: int) -> str:
        """
        What SCAN looks for to find every hold of a partition.
        """
        return f"{{q{partition:02d}}}:hold:*"

    def hold_tag(self, partition: int) -> str:
        """
        What the keys of a partition's holds begin with, up to the tag's end.
        """
        return f"{{q{partition:02d}"

    def any_hold(self) -> str:
        """
        What SCAN looks for to find the holds of all partitions.
        """
        return "{q*}:hold:*"

    def any_claims(self) -> str:
        """
        What SCAN looks for to find the claims of all accounts.
        """
        return "{c*}:claims:*"

    def books(self, slot_id: str) -> str:
        """
        String: a slot's ledger and the terms it sells on, as msgpack.
        """
        return f"{{q{self.partition_of(slot_id):02d}}}:books:{slot_id}"

    def returning(self, office_id: str) -> str:
        """
        Sorted set: slots of an office with places that came back and wait, by when the last may be offered.
        """
        return f"{{q{self.partition_of(office_id):02d}}}:returning:{office_id}"

    def plans(self, partition: int) -> str:
        """
        Sorted set: slot ids by the revision of their plan.
        """
        return f"{{q{partition:02d}}}:plans"

    def outbox(self, partition: int) -> str:
        """
        Stream: decisions, an entry for each or for the holds of a pass; its id is the last one's `<epoch>-<seq>`.
        """
        return f"{{q{partition:02d}}}:outbox"

    def position(self, partition: int) -> str:
        """
        String: `<epoch>-<seq>`, the id of the last decision.
        """
        return f"{{q{partition:02d}}}:position"

    def stopped(self, partition: int) -> str:
        """
        String: why nothing may be sold, `behind` or a rebuild's mark; not there while it may.
        """
        return f"{{q{partition:02d}}}:stopped"

    def cleared(self, partition: int) -> str:
        """
        String: the server on which the partition's history has been compared.
        """
        return f"{{q{partition:02d}}}:cleared"

    def revision(self, partition: int) -> str:
        """
        String: the number of the newest among the partition's plans.
        """
        return f"{{q{partition:02d}}}:revision"

    def refused(self, partition: int) -> str:
        """
        Sorted set: wishes of booking that found nothing in the partition, by when.
        """
        return f"{{q{partition:02d}}}:refused"

    def claims_prefix(self, tag: int) -> str:
        """
        What is in front of the account in the key of its claims.
        """
        return _account_tags(self.partitions)[tag]

    def lease(self, partition: int) -> str:
        """
        Hash: which relay tells the partition, by which token, until when.
        """
        return f"{{q{partition:02d}}}:lease"

    def relays(self) -> str:
        """
        Sorted set: the relays that are there, by when they will be missed. Belongs to no partition.
        """
        return "quota:relays"

    def claims(self, account_id: str) -> str:
        """
        String: what an account and its persons are reserved for, as msgpack.
        """
        return f"{_account_tags(self.partitions)[zlib.crc32(account_id.encode()) % self.partitions]}{account_id}"

    def claims_pattern(self, tag: int) -> str:
        """
        What SCAN looks for to find every account's claims of a tag.
        """
        return f"{{c{tag:02d}}}:claims:*"

    def pending(self, tag: int) -> str:
        """
        Sorted set: claims the sweep has not looked after yet, by when they were made.
        """
        return f"{{c{tag:02d}}}:pending"

    def account_tag(self, account_id: str) -> int:
        """
        Which claims an account's are kept with.
        """
        return zlib.crc32(account_id.encode()) % self.partitions
