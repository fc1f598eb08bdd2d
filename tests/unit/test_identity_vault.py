"""
Sealing, opening and finding, without a database.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.identity.stores.vault import NONCE_BYTES, Field, Index, Secret, Vault, VaultDamaged

KEYS = {"v1": b"1" * 32}
VAULT = Vault(KEYS, b"i" * 32)


def row_of(vault: Vault, secret: Secret) -> dict[str, Any]:
    owner_ids, fields, versions, nonces, sealed = vault._columns([secret])
    return {
        "owner_id": owner_ids[0],
        "field": fields[0],
        "key_version": versions[0],
        "nonce": nonces[0],
        "sealed": sealed[0],
    }


@given(value=st.text(max_size=300), field=st.sampled_from(Field))
def test_what_is_sealed_opens_again(value: str, field: Field) -> None:
    """
    Any text, in any field.
    """
    secret = Secret(owner_id="per_1", field=field, value=value)

    assert secret == VAULT._opened(row_of(VAULT, secret))


@given(bit=st.integers(0, 8 * (16 + 16) - 1))
def test_a_flipped_bit_does_not_open(bit: int) -> None:
    """
    The tag covers every bit of the value.
    """
    row = row_of(VAULT, Secret(owner_id="per_1", field=Field.NIK, value="3273010101900001"))
    sealed = bytearray(row["sealed"])
    sealed[bit // 8] ^= 1 << bit % 8

    with pytest.raises(VaultDamaged, match="nik of per_1"):
        VAULT._opened({**row, "sealed": bytes(sealed)})


@pytest.mark.parametrize("place", [{"owner_id": "per_2"}, {"field": "full_name"}])
def test_a_value_moved_elsewhere_does_not_open(place: dict[str, str]) -> None:
    """
    It is bound to its owner and its field.
    """
    row = row_of(VAULT, Secret(owner_id="per_1", field=Field.NIK, value="3273010101900001"))

    with pytest.raises(VaultDamaged):
        VAULT._opened({**row, **place})


def test_a_missing_key_is_named_by_its_version() -> None:
    """
    Somebody dropped a key before `rewrap` was done.
    """
    row = row_of(VAULT, Secret(owner_id="per_1", field=Field.NIK, value="3273010101900001"))

    with pytest.raises(VaultDamaged, match="no key 'v1'"):
        Vault({"v2": b"2" * 32}, b"i" * 32)._opened(row)


def test_the_same_value_is_never_sealed_alike() -> None:
    """
    Nonces are random, so equal values cannot be told from the table.
    """
    secret = Secret(owner_id="per_1", field=Field.NIK, value="3273010101900001")
    rows = [row_of(VAULT, secret) for _ in range(1000)]

    assert 1000 == len({row["nonce"] for row in rows}) == len({row["sealed"] for row in rows})
    assert {NONCE_BYTES} == {len(row["nonce"]) for row in rows}


def test_an_index_depends_on_key_kind_and_value() -> None:
    """
    Without the key the sixteen digits cannot be tried out.
    """
    other_key = Vault(KEYS, b"j" * 32)
    indexes = {
        VAULT.index(Index.NIK, "3273010101900001"),
        VAULT.index(Index.NIK, "3273010101900002"),
        VAULT.index(Index.FAMILY_CARD, "3273010101900001"),
        other_key.index(Index.NIK, "3273010101900001"),
    }

    assert len(indexes) == 4
    assert VAULT.index(Index.NIK, "3273010101900001") in indexes


def test_a_secret_does_not_show_itself() -> None:
    """
    A repr ends up in logs.
    """
    assert "3273010101900001" not in repr(Secret(owner_id="per_1", field=Field.NIK, value="3273010101900001"))
