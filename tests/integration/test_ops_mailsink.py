"""
The mail sink as a running process: what SMTP brings, HTTP shows.
"""

import uuid
from email.message import EmailMessage
from typing import Any

import aiohttp
import aiosmtplib

SECONDS = 20


def mail(to: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Antrean <antrean@localhost>", to, "Kode aktivasi"
    message["Message-ID"], message["X-Antrean-Template"] = f"<{uuid.uuid4().hex}@antrean>", "activation"
    message.set_content("Kode Anda: 123456\n")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="tiket.pdf")
    return message


async def deliver(smtp_url: str, message: EmailMessage) -> None:
    host, port = smtp_url.removeprefix("smtp://").split(":")
    await aiosmtplib.send(message, hostname=host, port=int(port), timeout=SECONDS)


async def test_a_delivered_mail_can_be_looked_up_and_read(stores: Any) -> None:
    """
    The way of every activation mail in the tests and the demo.
    """
    to = f"{uuid.uuid4().hex}@example.org"
    message = mail(to)
    await deliver(stores.smtp_url, message)
    async with aiohttp.ClientSession(stores.mail_url, timeout=aiohttp.ClientTimeout(total=SECONDS)) as http:
        found = await (await http.get("/messages", params={"to": to})).json()
        one = await (await http.get(f"/messages/{found[0]['n']}")).json()
        raw = await (await http.get(f"/messages/{found[0]['n']}/raw")).read()
        page = await (await http.get("/")).text()

    assert [(message["Message-ID"], [to], "activation")] == [(m["message_id"], m["to"], m["template"]) for m in found]
    assert ("Kode Anda: 123456\n", ["tiket.pdf"]) == (one["text"].replace("\r\n", "\n"), one["attachments"])
    assert message["Message-ID"].encode() in raw
    assert to in page


async def test_an_acknowledged_mail_survives_a_killed_sink(stores: Any, eventually: Any) -> None:
    """
    It was on disk before the 250.
    """
    to = f"{uuid.uuid4().hex}@example.org"
    await deliver(stores.smtp_url, mail(to))
    before = stores.stack.kill("mail")
    await eventually(lambda: stores.stack.stack.supervisor.keepers["mail"].pid not in {None, before})
    await stores.stack.wait_ready("mail")
    async with aiohttp.ClientSession(stores.mail_url, timeout=aiohttp.ClientTimeout(total=SECONDS)) as http:
        found = await (await http.get("/messages", params={"to": to})).json()

    assert 1 == len(found)


async def test_a_question_out_of_bounds_is_refused(stores: Any) -> None:
    """
    Everything has a limit, an index too.
    """
    async with aiohttp.ClientSession(stores.mail_url, timeout=aiohttp.ClientTimeout(total=SECONDS)) as http:
        statuses = [
            (await http.get(path)).status
            for path in ("/messages?limit=many", "/messages?limit=100001", "/messages/999999999")
        ]

    assert [400, 400, 404] == statuses
