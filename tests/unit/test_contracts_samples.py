"""
The contracts: every event has a golden sample, and what was ever sent can still be read.
"""

from pathlib import Path

import msgspec
import pytest

import contracts
from contracts.envelope import Malformed, seal, unseal
from contracts.events import EVENTS, Event
from contracts.topics import LIVE, TOPICS

SAMPLES = Path(contracts.__file__).parent / "samples"
BY_TYPE = {event.TYPE: event for event in EVENTS}
every_event = pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.TYPE)


@every_event
def test_a_golden_sample_comes_back_to_the_same_bytes(event: type[Event]) -> None:
    """
    No field can be renamed, retyped, reordered or dropped unnoticed.
    """
    golden = (SAMPLES / f"{event.TYPE}.json").read_bytes()
    decoded = msgspec.json.decode(golden, type=event)

    assert golden == msgspec.json.format(msgspec.json.encode(decoded), indent=2) + b"\n"


@every_event
def test_a_sample_of_the_past_still_decodes(event: type[Event]) -> None:
    """
    Topics and outboxes hold messages of older writers, so a new field has a default.
    """
    past = (SAMPLES / "past" / f"{event.TYPE}.json").read_bytes()

    assert isinstance(msgspec.json.decode(past, type=event), event)


def test_every_sample_belongs_to_an_event() -> None:
    """
    A sample whose event is gone means that an event was renamed, which readers cannot follow.
    """
    assert set(BY_TYPE) == {path.stem for path in SAMPLES.glob("*.json")}
    assert set(BY_TYPE) == {path.stem for path in (SAMPLES / "past").glob("*.json")}


def test_every_event_class_of_the_module_is_listed() -> None:
    """
    An event missing from EVENTS could be sealed but never opened.
    """

    def leaves(kind: type[Event]) -> set[type[Event]]:
        return set().union(*(leaves(child) for child in kind.__subclasses__())) or {kind}

    assert leaves(Event) == set(EVENTS)
    assert len(EVENTS) == len(BY_TYPE)


@every_event
def test_an_event_survives_the_envelope(event: type[Event]) -> None:
    """
    What a room seals, every other room opens as the same struct with the same id.
    """
    said = msgspec.json.decode((SAMPLES / f"{event.TYPE}.json").read_bytes(), type=event)
    message = seal(said, event_id="e-1", key="k", source="anyone")
    opened = unseal(message.headers, message.body)

    assert (said, "e-1") == (opened.event, opened.event_id)
    assert event.TOPIC.name == message.topic


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ((), b"{}"),
        ((("ce_id", b"1"),), b"{}"),
        ((("ce_id", b"1"), ("ce_type", b"booking.watermark.v1")), None),
        ((("ce_id", b"1"), ("ce_type", b"nobody.says.this.v1")), b"{}"),
        ((("ce_id", b"1"), ("ce_type", b"\xff\xfe")), b"{}"),
        ((("ce_id", b"\xff"), ("ce_type", b"booking.watermark.v1")), b'{"partition":1,"epoch":1,"seq":1}'),
        ((("ce_id", b"1"), ("ce_type", b"booking.watermark.v1")), b"not json"),
        ((("ce_id", b"1"), ("ce_type", b"booking.watermark.v1")), b"\xff\xff"),
        ((("ce_id", b"1"), ("ce_type", b"booking.watermark.v1")), b'{"partition":1}'),
        ((("ce_id", b"1"), ("ce_type", b"booking.watermark.v1")), b'{"partition":"one","epoch":1,"seq":1}'),
        ((("ce_id", b"1"), ("ce_type", b"booking.watermark.v1")), b'{"x":' + b"[" * 100_000),
    ],
)
def test_what_is_no_event_of_ours_is_malformed(headers: tuple[tuple[str, bytes], ...], body: bytes | None) -> None:
    """
    Whatever lies in a topic ends as `Malformed`, never as a surprise that stops the consumer.
    """
    with pytest.raises(Malformed):
        unseal(headers, body)


def test_topics_have_one_writer_and_a_dead_twin() -> None:
    """
    Each topic is somebody's word; what cannot be handled has a place to go.
    """
    names = [topic.name for topic in TOPICS]

    assert sorted(set(names)) == sorted(names)
    assert {f"{topic.name}.dead" for topic in LIVE} == set(names) - {topic.name for topic in LIVE}
    assert all(topic.name.split(".")[0] == topic.writer for topic in LIVE)
