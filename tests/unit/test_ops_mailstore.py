"""
The mail sink's folder.
"""

from pathlib import Path

from ops.mailstore import MailStore

MAIL = (
    "From: Antrean <antrean@localhost>\r\nTo: Budi <budi@example.org>\r\n"
    "Subject: =?utf-8?q?Antrean_Anda_=E2=9C=93?=\r\n"
    "Message-ID: <{id}@antrean>\r\nX-Antrean-Template: confirmed\r\nX-Antrean-Booking: rsv_1\r\n\r\nHalo\r\n"
)


async def test_a_kept_mail_is_found_by_whom_and_by_id(tmp_path: Path) -> None:
    """
    What the audit and the tests ask for.
    """
    store = MailStore.open(tmp_path)
    await store.keep(MAIL.format(id="a").encode(), recipients=["Budi@example.org"])
    await store.keep(MAIL.format(id="b").encode(), recipients=["siti@example.org"])

    assert [1] == [mail.n for mail in store.find(to="budi@EXAMPLE.org")]
    assert [2] == [mail.n for mail in store.find(message_id="<b@antrean>")]
    assert [2, 1] == [mail.n for mail in store.find()]
    assert [1] == [mail.n for mail in store.find(before=2)]
    assert [2] == [mail.n for mail in store.find(limit=1)]


async def test_headers_are_read_as_people_read_them(tmp_path: Path) -> None:
    """
    Decoded, and with the headers of ours.
    """
    store = MailStore.open(tmp_path)
    await store.keep(MAIL.format(id="a").encode(), recipients=["budi@example.org"])
    mail = store.find()[0]

    assert ("Antrean Anda ✓", "confirmed", "rsv_1") == (mail.subject, mail.template, mail.booking_id)


async def test_a_mail_sent_twice_is_there_twice(tmp_path: Path) -> None:
    """
    A sink that merges would hide a duplicate from the audit.
    """
    store = MailStore.open(tmp_path)
    for _ in range(2):
        await store.keep(MAIL.format(id="a").encode(), recipients=["budi@example.org"])

    assert 2 == len(store.find(message_id="<a@antrean>"))


async def test_a_restart_finds_every_mail_and_goes_on_counting(tmp_path: Path) -> None:
    """
    What was acknowledged is there; what was cut off while being written is not.
    """
    await MailStore.open(tmp_path).keep(MAIL.format(id="a").encode(), recipients=["budi@example.org"])
    (tmp_path / "00000002.part").write_text("cut off")
    store = MailStore.open(tmp_path)

    assert 1 == store.count()
    assert 2 == await store.keep(MAIL.format(id="b").encode(), recipients=["budi@example.org"])
    assert ["budi@example.org"] == list(store.find(message_id="<a@antrean>")[0].to)
