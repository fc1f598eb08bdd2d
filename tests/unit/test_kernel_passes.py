"""
Passes: what identity issues quota accepts, and nothing else.
"""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.auth.passes import PREFIX, PassKeys
from kernel.auth.principal import Principal

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
KEYS = PassKeys({"k2": NEW, "k1": OLD})
NOW_MS = 1_795_762_800_000
ids = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=40)
ALPHABET = [chr(code) for code in range(33, 127)]


@given(account=ids, persons=st.lists(ids, max_size=5, unique=True), life_ms=st.integers(1, 10**9))
def test_a_pass_comes_back_as_the_same_principal(account: str, persons: list[str], life_ms: int) -> None:
    """
    Account, persons and expiry survive the round trip.
    """
    token = KEYS.issue(account_id=account, person_ids=tuple(persons), expires_at_ms=NOW_MS + life_ms)

    expected = Principal(account_id=account, person_ids=frozenset(persons), expires_at_ms=NOW_MS + life_ms)
    assert expected == KEYS.verify(token, now_ms=NOW_MS)


@given(
    persons=st.lists(ids, max_size=5, unique=True),
    position=st.integers(min_value=0),
    character=st.sampled_from(ALPHABET),
)
def test_any_changed_character_is_refused(persons: list[str], position: int, character: str) -> None:
    """
    There is one spelling of a pass: no character is ignored, none has spare bits.
    """
    token = KEYS.issue(account_id="acc_1", person_ids=tuple(persons), expires_at_ms=NOW_MS + 1)
    position %= len(token)
    changed = token[:position] + character + token[position + 1 :]

    assert changed == token or KEYS.verify(changed, now_ms=NOW_MS) is None


@given(position=st.integers(min_value=0), extra=st.text(alphabet=ALPHABET, min_size=1, max_size=4))
def test_anything_put_in_or_cut_off_is_refused(position: int, extra: str) -> None:
    """
    Longer and shorter strings are no passes either.
    """
    token = KEYS.issue(account_id="acc_1", person_ids=("per_1",), expires_at_ms=NOW_MS + 1)
    position %= len(token)

    assert KEYS.verify(token[:position] + extra + token[position:], now_ms=NOW_MS) is None
    assert KEYS.verify(token[:position], now_ms=NOW_MS) is None


@given(st.text(max_size=200))
def test_noise_is_refused(noise: str) -> None:
    """
    Whatever a header holds, the answer is None and never an exception.
    """
    assert KEYS.verify(noise, now_ms=NOW_MS) is None
    assert KEYS.verify(f"{PREFIX}.{noise}", now_ms=NOW_MS) is None


def test_a_pass_ends_at_its_moment() -> None:
    """
    Good one millisecond before, not at it.
    """
    token = KEYS.issue(account_id="acc_1", person_ids=(), expires_at_ms=NOW_MS)

    assert KEYS.verify(token, now_ms=NOW_MS - 1) is not None
    assert KEYS.verify(token, now_ms=NOW_MS) is None


def test_the_first_key_signs_and_every_listed_key_is_accepted() -> None:
    """
    Keys rotate without anybody being turned away.
    """
    old = PassKeys({"k1": OLD}).issue(account_id="acc_1", person_ids=(), expires_at_ms=NOW_MS + 1)
    new = KEYS.issue(account_id="acc_1", person_ids=(), expires_at_ms=NOW_MS + 1)

    assert KEYS.verify(old, now_ms=NOW_MS) is not None
    assert PassKeys({"k1": OLD}).verify(new, now_ms=NOW_MS) is None


def test_a_key_id_with_another_key_behind_it_is_refused() -> None:
    """
    Knowing the name of a key is not knowing the key.
    """
    forged = PassKeys({"k2": OTHER}).issue(account_id="acc_1", person_ids=(), expires_at_ms=NOW_MS + 1)

    assert KEYS.verify(forged, now_ms=NOW_MS) is None


def test_keys_are_read_from_one_variable() -> None:
    """
    Order is kept, because the first one signs.
    """
    text = f"k2:{base64.b64encode(NEW).decode()}, k1:{base64.b64encode(OLD).decode()}"

    assert ["k2", "k1"] == list(PassKeys.parse(text, variable="PASS_KEYS").keys)


@pytest.mark.parametrize("text", ["", "k1", "k1:", ":" + "A" * 44, "k1:!!!!", "k1:" + base64.b64encode(b"s").decode()])
def test_bad_keys_stop_the_boot_by_the_variables_name(text: str) -> None:
    """
    The sentence names the variable and shows no key.
    """
    with pytest.raises(ValueError, match=r"^PASS_KEYS must be id:base64.* 32 bytes") as refused:
        PassKeys.parse(text, variable="PASS_KEYS")
    assert not text or text not in str(refused.value)


def test_one_key_id_twice_stops_the_boot() -> None:
    """
    The later would silently replace the one that signs.
    """
    twice = f"k1:{base64.b64encode(NEW).decode()},k1:{base64.b64encode(OLD).decode()}"

    with pytest.raises(ValueError, match="PASS_KEYS"):
        PassKeys.parse(twice, variable="PASS_KEYS")
