"""
The page's words: the same in both languages, none missing, none left over.
"""

import json
import re
from pathlib import Path

WEB = Path(__file__).resolve().parents[2] / "web"
TEXTS: dict[str, dict[str, str]] = json.loads((WEB / "texts.json").read_text())
PREFIXES = ("activation_", "opening_", "when_", "session_", "service_", "slot_")
"""Keys completed by a state or by data."""


def test_both_languages_say_the_same_things() -> None:
    """
    A sentence with another number of blanks is another sentence.
    """
    blanks = {
        language: {key: sorted(re.findall(r"\{\d\}", text)) for key, text in texts.items()}
        for language, texts in TEXTS.items()
    }

    assert blanks["id"] == blanks["en"]


def test_every_word_is_used_and_every_used_word_exists() -> None:
    """
    A missing word shows a person the name of a variable.
    """
    script, page = (WEB / "app.js").read_text(), (WEB / "index.html").read_text()
    used = set(re.findall(r'\bt\("(\w+)"', script)) | set(re.findall(r'data-t="(\w+)"', page))
    used |= {key for key in TEXTS["id"] if key.startswith(PREFIXES)}

    assert set(TEXTS["id"]) == used


def test_the_page_needs_nothing_inline_and_nothing_from_elsewhere() -> None:
    """
    The gateway's policy refuses both, so they would only break the page.
    """
    page = (WEB / "index.html").read_text()

    assert [] == re.findall(r"\son\w+=|\sstyle=|<style|<script(?![^>]*\ssrc=)|https?://", page)
    assert [] == re.findall(r"innerHTML|insertAdjacentHTML|\beval\(|https?://", (WEB / "app.js").read_text())
