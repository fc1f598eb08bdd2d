"""
The SQL loader and ids: a statement has one name and says what it does; an id is the same on every try.
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.ids import derived, fresh
from kernel.sql import load_queries

GOOD = "-- one --\n-- Ask for one.\nSELECT 1;\n\n-- two --\n-- Ask for two. $1 factor\nSELECT 2 * $1;\n"


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "queries.sql"
    path.write_text(text)
    return path


def test_blocks_are_loaded_by_name(tmp_path: Path) -> None:
    """
    The comment stays in the statement, so that it shows in the server's log.
    """
    queries = load_queries(_file(tmp_path, GOOD))

    assert ["one", "two"] == list(queries)
    assert "-- Ask for two. $1 factor\nSELECT 2 * $1;" == queries.two


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GOOD + "-- one --\n-- Again.\nSELECT 1;\n", "'one' is defined twice"),
        ("-- one --\nSELECT 1;\n", "'one' does not say what it does"),
        ("-- one --\n-- Only talk.\n", "'one' does nothing"),
    ],
    ids=["name twice", "no comment", "no statement"],
)
def test_a_block_without_a_name_of_its_own_or_a_comment_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    """
    Found at wiring time, with the file and the name.
    """
    with pytest.raises(ValueError, match=fault):
        load_queries(_file(tmp_path, text))


def test_a_name_nobody_wrote_is_said(tmp_path: Path) -> None:
    """
    The error holds the name that was asked for.
    """
    with pytest.raises(AttributeError, match="no SQL block named 'three'"):
        _ = load_queries(_file(tmp_path, GOOD)).three


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_derived_ids_are_equal_exactly_when_their_parts_are(one: list[str], other: list[str]) -> None:
    """
    Where one part ends and the next begins matters.
    """
    assert (one == other) == (derived("rsv", *one) == derived("rsv", *other))


def test_a_derived_id_never_changes() -> None:
    """
    Clients and stores keep them for years.
    """
    assert "rsv_040d416013a8dd9a810f8ae0a0312b99" == derived("rsv", "acc_1", "key-0001", "slot")
    assert derived("rsv", "ab", "c") != derived("rsv", "a", "bc")


def test_fresh_ids_sort_by_time() -> None:
    """
    Rows of one table cluster by when they were written.
    """
    ids = [fresh("acc") for _ in range(1000)]

    assert sorted(ids) == ids
    assert len(ids) == len(set(ids))
