"""
Who asks in the bench, and when.
"""

import collections
import json
import random

from kernel.auth.passes import PassKeys
from loadtests.bench.crowd import Families, poisson, rush
from loadtests.bench.report import BARS, Report

KEYS = PassKeys.parse("k1:" + "A" * 43 + "=", variable="PASS_KEYS")


def drawn() -> random.Random:
    return random.Random(1)  # noqa: S311  # the same draw every time


def body_of(request: bytes) -> dict[str, object]:
    return dict(json.loads(request.partition(b"\r\n\r\n")[2]))


def test_filling_takes_every_place_exactly_and_names_nobody_twice() -> None:
    """
    Requests of families add up to the places of each slot.
    """
    places = {"a.20261130.morning.regular.online": 17, "b.20261130.noon.regular.online": 1}

    asks = Families(KEYS).filling(places.items(), family_max=5, dice=drawn())

    wanted: collections.Counter[str] = collections.Counter()
    people: list[str] = []
    for ask in map(body_of, asks):
        persons = ask["person_ids"]
        assert isinstance(persons, list)
        assert 1 <= len(persons) <= 5
        wanted[str(ask["slot_id"])] += len(persons)
        people += persons
    assert places == dict(wanted)
    assert len(people) == len(set(people))


def test_a_request_says_its_own_length() -> None:
    """
    The head's Content-Length is the body's.
    """
    head, _, body = Families(KEYS).ask("a.20261130.morning.regular.online", 3).partition(b"\r\n\r\n")

    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")


def test_people_who_do_not_know_of_each_other_come_at_the_rate_asked_for() -> None:
    """
    Due times are in order, within the time, and about as many as the rate says.
    """
    dues = poisson(1000, 5, dice=drawn())

    assert list(dues) == sorted(dues)
    assert 0 <= dues[0]
    assert dues[-1] < 5
    assert 4500 < len(dues) < 5500


def test_most_of_a_rush_comes_in_its_first_quarter() -> None:
    """
    An opening is no steady stream.
    """
    dues = rush(10_000, 60, dice=drawn())

    assert 10_000 == len(dues)
    assert dues[-1] <= 60
    assert sum(due < 15 for due in dues) > 6_000


def test_what_was_not_measured_is_null() -> None:
    """
    A figure nobody measured is neither zero nor missing.
    """
    report = Report()
    report.set(recovery=0.98765)
    report.add(oversold=0)
    report.add(oversold=2)

    last = json.loads(report.last_line({"seed": 1}))

    assert 0.9877 == last.pop("recovery")
    assert 2 == last.pop("oversold")
    assert {name: None for name in BARS if name not in {"recovery", "oversold"}} | {"seed": 1, "failed": {}} == last
