"""
Families: one card per account, one account per NIK, five people, whoever asks how often and how fast.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.integration.identity_room import CARD, Room, code_of, nik_of, opened_room


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    """
    An empty identity.
    """
    async with opened_room(database) as opened:
        yield opened


async def test_the_same_person_again_is_the_same_id(room: Room) -> None:
    """
    By the same key a replay, by another key a person known already; nothing is added twice.
    """
    token = await room.token()
    first = await room.add(token, 1, idem="the-same-key")
    replayed = await room.add(token, 1, idem="the-same-key")
    known = await room.add(token, 1)

    assert [201, 201, 200] == [answer.status for answer in (first, replayed, known)]
    assert await first.json() == await replayed.json() == await known.json()
    assert "Idempotency-Replayed" in replayed.headers
    assert "Idempotency-Replayed" not in known.headers
    assert await room.count("person") == 1


async def test_a_person_of_another_account_is_refused_without_a_hint_whose(room: Room) -> None:
    """
    Not even with the right card and name.
    """
    budi, sari = await room.token("budi"), await room.token("sari")
    person_id = (await (await room.add(budi, 1)).json())["person_id"]
    answer = await room.add(sari, 1)
    body = await answer.json()

    assert (409, "person_belongs_elsewhere") == (answer.status, body["code"])
    assert person_id not in str(body)
    assert "acc_" not in str(body)
    assert "budi" not in str(body)


async def test_an_account_is_for_one_family_card(room: Room) -> None:
    """
    The first person's card is the account's; two accounts may share one.
    """
    budi, sari = await room.token("budi"), await room.token("sari")
    await room.add(budi, 1)

    assert (409, "family_card_differs") == await code_of(await room.add(budi, 2, family_card_number="3273010101200002"))
    assert (await room.add(sari, 2)).status == 201


async def test_the_sixth_person_is_one_too_many_also_at_once(room: Room) -> None:
    """
    The family is locked while somebody joins; a known person is still answered.
    """
    token = await room.token()
    answers = await asyncio.gather(*(room.add(token, number) for number in range(1, 9)))
    added = [index for index, answer in enumerate(answers, start=1) if answer.status == 201]

    assert [201] * 5 + [409] * 3 == sorted(answer.status for answer in answers)
    assert (409, "persons_limit_reached") == await code_of(await room.add(token, 10))
    assert (await room.add(token, added[0])).status == 200
    assert await room.count("person") == 5


async def test_two_cards_at_once_do_not_make_a_mixed_family(room: Room) -> None:
    """
    One card wins; the other is refused.
    """
    token = await room.token()
    answers = await asyncio.gather(
        *(room.add(token, number, family_card_number=f"327301010120000{number % 2 + 1}") for number in range(1, 5))
    )

    assert [201, 201, 409, 409] == sorted(answer.status for answer in answers)
    assert len({row["sealed"] for row in await room.fetch("SELECT sealed FROM vault WHERE field = 'family_card'")}) == 2
    assert len(await room.fetch("SELECT 1 FROM account WHERE family_card_index IS NOT NULL")) == 1


async def test_two_accounts_racing_for_one_nik_leave_it_to_one(room: Room) -> None:
    """
    Ten times, eight accounts: the unique index is the arbiter, and the losers keep nothing.
    """
    tokens = [await room.token(f"budi{number}") for number in range(8)]
    for number in range(1, 11):
        answers = await asyncio.gather(*(room.add(token, number, family_card_number=CARD) for token in tokens))
        refused = {(await answer.json())["code"] for answer in answers if answer.status != 201}

        # Families fill up on the way, so a loser may be one too many instead.
        assert [201] + [409] * 7 == sorted(answer.status for answer in answers)
        assert {"person_belongs_elsewhere", "persons_limit_reached"} >= refused
    assert await room.count("person") == 10
    assert await room.count("vault WHERE field = 'nik'") == 10
    assert await room.count("vault WHERE owner_id LIKE 'per_%' AND owner_id NOT IN (SELECT person_id FROM person)") == 0


async def test_an_odd_nik_warns_and_never_refuses(room: Room) -> None:
    """
    Its date or region may be wrong for life.
    """
    token = await room.token()
    fits = await (await room.add(token, 1)).json()
    woman = await (await room.add(token, 2, nik="3273014101900002")).json()
    differs = await (await room.add(token, 3, birth_date="1991-01-01")).json()
    odd = await (await room.add(token, 4, nik="9973013102900000")).json()

    assert [] == fits["warnings"] == woman["warnings"]
    assert ["nik_birth_date_differs"] == differs["warnings"]
    assert ["nik_region_unknown", "nik_date_impossible", "nik_birth_date_differs", "nik_serial_zero"] == odd["warnings"]


@pytest.mark.parametrize("nik", ["", "327301010190001", "32730101019000010", "327301010190000x", nik_of(1) + "\n"])
async def test_a_nik_of_another_shape_is_refused(room: Room, nik: str) -> None:
    """
    Sixteen digits is all that is asked, and what was typed is not repeated.
    """
    token = await room.token()
    answer = await room.add(token, 1, nik=nik)
    body = await answer.json()

    assert (400, "bad_request", "nik") == (answer.status, body["code"], body["field"])
    assert not nik or nik not in str(body)
    assert await room.count("person") == 0


async def test_people_are_listed_to_their_own_account_with_masked_niks(room: Room) -> None:
    """
    In the order they came; nobody sees another's.
    """
    budi, sari = await room.token("budi"), await room.token("sari")
    ids = [
        (await (await room.add(budi, 1, relation="self", full_name="Budi Santoso")).json())["person_id"],
        (await (await room.add(budi, 2, relation="child", full_name="Ðewi 'Ayu' Santoso")).json())["person_id"],
    ]
    shown = (await (await room.get("/v1/persons", token=budi)).json())["persons"]

    assert [
        {
            "person_id": ids[0],
            "relation": "self",
            "name": "Budi Santoso",
            "nik": "3273********0001",
            "verified": True,
            "warnings": [],
        },
        {
            "person_id": ids[1],
            "relation": "child",
            "name": "Ðewi 'Ayu' Santoso",
            "nik": "3273********0002",
            "verified": True,
            "warnings": [],
        },
    ] == shown
    assert {"persons": []} == await (await room.get("/v1/persons", token=sari)).json()


async def test_a_pass_knows_people_added_after_the_token(room: Room) -> None:
    """
    Passes read the database; tokens say what was true at log-in.
    """
    token = await room.token()
    person_id = (await (await room.add(token, 1)).json())["person_id"]

    assert [person_id] == (await (await room.post("/v1/passes", token=token)).json())["person_ids"]


async def test_without_a_registry_nobody_is_verified_and_nobody_refused(database: str) -> None:
    """
    An installation that is not connected says so with each person.
    """
    async with opened_room(database, SANDBOX="0") as room:
        token = await room.token()
        answer = await room.add(token, 1)
        shown = (await (await room.get("/v1/persons", token=token)).json())["persons"]

        assert answer.status == 201
        assert [False] == [person["verified"] for person in shown]
