"""
Billing codes survive typing errors, and no two are the same.
"""

from hypothesis import given
from hypothesis import strategies as st

from services.payment.domain.billing import billing_code, is_valid, virtual_account

NUMBERS = st.integers(min_value=1, max_value=10**13 - 1)


@given(NUMBERS)
def test_every_number_has_a_valid_code_of_fifteen_digits(number: int) -> None:
    """
    SIMPONI codes are fifteen digits; ours carry their own check.
    """
    code = billing_code(number)

    assert is_valid(code)
    assert 18 == len(virtual_account(number))


@given(NUMBERS, st.integers(0, 14), st.integers(1, 9))
def test_one_wrong_digit_is_never_another_code(number: int, position: int, shift: int) -> None:
    """
    A teller who mistypes a digit meets a refusal, not somebody else's invoice.
    """
    code = billing_code(number)
    wrong = code[:position] + str((int(code[position]) + shift) % 10) + code[position + 1 :]

    assert not is_valid(wrong)


@given(NUMBERS, st.integers(0, 13))
def test_two_swapped_neighbours_are_never_another_code(number: int, position: int) -> None:
    """
    Swapped neighbours, the second commonest slip, are caught as well.
    """
    code = billing_code(number)
    swapped = code[:position] + code[position + 1] + code[position] + code[position + 2 :]

    assert (swapped == code) == is_valid(swapped)


@given(NUMBERS, NUMBERS)
def test_different_invoices_have_different_codes(one: int, other: int) -> None:
    """
    A code stands for one invoice for ever.
    """
    assert (one == other) == (billing_code(one) == billing_code(other))
    assert (one == other) == (virtual_account(one) == virtual_account(other))


@given(st.text(max_size=20))
def test_whatever_is_typed_is_judged_without_a_crash(text: str) -> None:
    """
    Anything that is not fifteen ASCII digits is no code.
    """
    assert not is_valid(text) or (15 == len(text) and text.isdecimal())
