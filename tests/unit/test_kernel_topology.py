"""
Where a key lives, by the rules of Valkey Cluster and by what its nodes say.
"""

from redis.exceptions import AskError, MovedError

from kernel.topology import Address, Topology, redirected, slot_of

HERE, THERE, REPLICA = Address("10.0.0.1", 7000), Address("10.0.0.2", 7001), Address("10.0.0.3", 7002)
SAID = [
    [0, 99, [b"10.0.0.1", 7000, b"id-1", []], [b"10.0.0.3", 7002, b"id-3", []]],
    [100, 16383, [b"10.0.0.2", 7001, b"id-2", []]],
]


def _told() -> Topology:
    topology = Topology()
    topology.learn(SAID, told_by=HERE)
    return topology


def test_a_key_lives_where_its_first_braces_say() -> None:
    """
    The specification's own example, and the cases it names: no tag, an empty one, a second one.
    """
    assert 12739 == slot_of("123456789")
    assert slot_of("q07") == slot_of("{q07}:slot:bandung") == slot_of(b"{q07}:hold:rsv_{x}")
    assert slot_of("{q07}:seq") != slot_of("{q08}:seq")
    assert slot_of("{}q07") != slot_of("q07")


def test_ranges_replicas_and_moves_are_learned() -> None:
    """
    A primary serves its range until a node says otherwise; what was said last as a whole counts.
    """
    topology = _told()

    assert (HERE, HERE, THERE, THERE) == tuple(topology.primary_of(slot) for slot in (0, 99, 100, 16383))
    assert ((HERE, THERE), {HERE, THERE, REPLICA}) == (topology.primaries, topology.nodes)

    topology.move(5, REPLICA)
    assert (REPLICA, HERE) == (topology.primary_of(5), topology.primary_of(6))

    topology.learn(SAID[:1], told_by=HERE)
    assert (HERE, None) == (topology.primary_of(5), topology.primary_of(100))
    assert (HERE,) == topology.primaries


def test_a_node_without_a_name_is_the_one_that_speaks() -> None:
    """
    A node that does not know its own address leaves it out; a redirection without a host means the same host.
    """
    topology = Topology()
    topology.learn([[0, 1, [b"", 7005, b"id-1", []]], [2, 3, [None, 7006, b"id-2", []]]], told_by=HERE)

    assert Address("10.0.0.1", 7005) == topology.primary_of(0)
    assert Address("10.0.0.1", 7006) == topology.primary_of(2)
    assert Address("10.0.0.1", 7001) == redirected(MovedError("5 :7001"), HERE)
    assert THERE == redirected(AskError("5 10.0.0.2:7001"), HERE)
