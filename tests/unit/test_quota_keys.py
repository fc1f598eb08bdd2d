"""
Keys, scripts and codes: spelled once, counted, and the same on both sides.
"""

import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.quota import metrics
from services.quota.domain.decisions import GiveBack, Refusal
from services.quota.keys import Keys, office_of
from services.quota.routes import REFUSALS
from services.quota.stores.scripts import CODES, SCRIPTS, AskGiveBackCode, ClaimCode, DecideCode, ReserveCode

SLOT = "bandung.20261130.morning.regular.online"
TAG = re.compile(r"\{[cq][0-9]{2,4}\}")


def _tag(key: str) -> str:
    found = TAG.match(key)
    assert found is not None
    return found[0]


@given(partitions=st.integers(1, 1024), office=st.from_regex(r"[a-z0-9-]{1,40}", fullmatch=True))
def test_every_key_a_script_takes_shares_one_hash_tag(partitions: int, office: str) -> None:
    """
    On a cluster a script's keys must live on one node, whatever the office and the partition count.
    """
    keys, slot_id = Keys(partitions), f"{office}.20261130.morning.regular.online"
    partition = keys.partition_of(slot_id)

    tags = {
        _tag(key)
        for key in (
            keys.slot(slot_id),
            keys.returned(slot_id),
            keys.withheld(slot_id),
            keys.hold(slot_id, "rsv_1"),
            keys.books(slot_id),
            keys.takers(slot_id),
            keys.returning(office_of(slot_id)),
            keys.plans(partition),
            keys.outbox(partition),
            keys.position(partition),
            keys.stopped(partition),
            keys.cleared(partition),
            keys.revision(partition),
        )
    }
    assert {f"{{q{partition:02d}}}"} == tags
    assert {_tag(keys.pending(keys.account_tag("acc_1")))} == {_tag(keys.claims("acc_1"))}


def test_an_office_and_its_slots_live_in_one_partition_for_ever() -> None:
    """
    The number is fixed at installation, so it must never come out otherwise.
    """
    assert (28, 28) == (Keys(32).partition_of(SLOT), Keys(32).partition_of("bandung"))
    assert "{q28}:slot:bandung.20261130.morning.regular.online" == Keys(32).slot(SLOT)


def test_key_methods_spell_different_keys() -> None:
    """
    Two kinds of key that look alike would be one key.
    """
    keys = Keys(32)
    given_names = {"slot_id": SLOT, "reservation_id": "rsv_1", "office_id": "bandung", "account_id": "acc_1"}
    spelled = []
    for name, method in inspect.getmembers(keys, inspect.ismethod):
        if name.startswith("_") or name in {"partition_of", "account_tag"}:
            continue
        arguments = {one: given_names.get(one, 7) for one in inspect.signature(method).parameters}
        spelled.append(method(**arguments))

    assert len(spelled) == len(set(spelled))


@pytest.mark.parametrize("verb", sorted(SCRIPTS))
def test_header_and_enum_list_the_same_codes(verb: str) -> None:
    """
    A code added on one side only is a bug on the other.
    """
    assert SCRIPTS[verb].codes == {code.name: code.value for code in CODES[verb]}


def test_every_script_has_its_enum() -> None:
    """
    A script without names would hand numbers to its callers.
    """
    assert sorted(SCRIPTS) == sorted(CODES)


def test_every_refusal_of_a_script_is_a_refusal_of_the_domain_with_an_answer() -> None:
    """
    Whatever a script refuses can be named, counted and said.
    """
    refused = {code.name for code in (*DecideCode, *ReserveCode, *ClaimCode) if code < 0} - {"BROKEN"}

    assert refused == {refusal.name for refusal in Refusal}
    assert set(Refusal) == set(REFUSALS)
    assert {refusal.value for refusal in Refusal} <= set(metrics.decided)
    assert {code.name for code in AskGiveBackCode} - {"STOPPED"} == {outcome.name for outcome in GiveBack}


@pytest.mark.parametrize("verb", sorted(SCRIPTS))
def test_scripts_spell_no_key_of_their_own(verb: str) -> None:
    """
    A key built inside Lua is on no list, and on a cluster on another node.
    """
    assert not re.search(r"\{[cq]\d*\}|:slot:|:hold:|:outbox|:claims:", SCRIPTS[verb].text)


def test_statuses_are_those_of_the_contract() -> None:
    """
    Clients decide by status first: 403 wait, 404 look again, 409 choose otherwise, 422 new key, 503 repeat.
    """
    statuses = {refusal.value: (kind.status, kind.code) for refusal, kind in REFUSALS.items()}

    assert statuses == {
        "unknown_slot": (404, "slot_not_found"),
        "key_reused": (422, "idempotency_key_reused"),
        "ended": (409, "reservation_ended"),
        "channel_not_public": (403, "channel_not_public"),
        "slot_closed": (409, "slot_closed"),
        "window_not_open": (403, "window_not_open"),
        "window_closed": (403, "window_closed"),
        "sold_out": (409, "sold_out"),
        "claim_too_old": (503, "outcome_unknown"),
        "stopped": (503, "not_ready"),
        "unbalanced": (503, "not_ready"),
        "account_already_reserved": (409, "account_already_reserved"),
        "person_already_reserved": (409, "person_already_reserved"),
        "no_show_block": (403, "no_show_block"),
    }
