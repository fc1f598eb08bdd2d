"""
A bank that gives access tokens is asked under one: fetched once, kept while it is good, fetched anew when refused.
"""

import asyncio
import base64
import datetime as dt
import socket
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kernel.clock import now_ms
from services.payment.banks import HttpBanks
from services.payment.domain import snap
from services.payment.domain.inquiry import Answer, Nothing, Paid
from services.payment.domain.snap import Keys
from services.payment.settings import BankSettings
from tests.integration.payment_room import BANK, SANDBOX_SECRET, SECRET, booking, notification, payment_room

CODE = "812345678901234"
CLIENT = "antrean"
PAYMENT = notification(CODE)


@cache
def key() -> RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def spelled() -> str:
    return base64.b64encode(key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


class Bank:
    """
    A bank with tokens: counts what it gave, forgets on demand, and may give none.
    """

    def __init__(self) -> None:
        self.given = 0
        self.asked = 0
        self.good: set[str] = set()
        self.gives = True
        self.refuses_all = False
        self.good_seconds = "900"

    async def give(self, request: web.Request) -> web.Response:
        """
        A token, to who signs for it.
        """
        signed = f"{request.headers['X-CLIENT-KEY']}|{request.headers['X-TIMESTAMP']}".encode()
        signature = base64.b64decode(request.headers["X-SIGNATURE"])
        key().public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        assert CLIENT == request.headers["X-CLIENT-KEY"]
        assert {"grantType": "client_credentials"} == await request.json()
        self.given += 1
        await asyncio.sleep(0)
        if not self.gives:
            return web.json_response({"responseCode": "4017300", "responseMessage": "Unauthorized"}, status=401)
        self.good = {f"token-{self.given}"}
        answer = {"responseCode": "2007300", "responseMessage": "Successful", "tokenType": "Bearer"}
        return web.json_response(
            answer | {"accessToken": f"token-{self.given}", "expiresIn": self.good_seconds, "additionalInfo": {}}
        )

    async def inquire(self, request: web.Request) -> web.Response:
        """
        The payment, to who has the newest token.
        """
        self.asked += 1
        body, headers = await request.read(), snap.headers_of(request.headers)
        keys = Keys(secrets=(SECRET,))
        refused = snap.check(headers, keys=keys, partner=CLIENT, path=request.path, body=body, now_ms=now_ms())
        assert None is refused
        assert headers is not None
        if headers.access_token not in self.good or self.refuses_all:
            return web.Response(body=b"<html>token</html>", status=401)
        return web.json_response({"responseCode": "2002600", "responseMessage": "Successful", "payment": PAYMENT})


class Asking:
    """
    The bank, and who asks it; `wait_ms` has passed since.
    """

    def __init__(self, bank: Bank, session: aiohttp.ClientSession, base: str) -> None:
        self.bank = bank
        self.wait_ms = 0
        settings = BankSettings(
            secrets=f"{BANK}:{SECRET}",
            inquiry_urls=f"{BANK}={base}/status",
            token_urls=f"{BANK}={base}/token",
            client_key=spelled(),
            client_id=CLIENT,
            inquiry_timeout_seconds=5,
        )
        self.banks = HttpBanks(session, settings, lambda: now_ms() + self.wait_ms)

    async def ask(self) -> Answer:
        """
        Ask about the one payment there is.
        """
        return await self.banks.ask(BANK, billing_code=CODE, journal_number="123456")


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    bank, app = Bank(), web.Application()
    app.router.add_post("/token", bank.give)
    app.router.add_post("/status", bank.inquire)
    door = socket.create_server(("127.0.0.1", 0))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, door).start()
    async with aiohttp.ClientSession() as session:
        yield Asking(bank, session, f"http://127.0.0.1:{door.getsockname()[1]}")
    await runner.cleanup()


async def test_many_questions_at_once_fetch_one_token(asking: Asking) -> None:
    """
    One asks for it, the others wait; later ones find it.
    """
    answers = await asyncio.gather(*(asking.ask() for _ in range(8)))
    answers.append(await asking.ask())

    assert [True] * 9 == [isinstance(each, Paid) for each in answers]
    assert (1, 9) == (asking.bank.given, asking.bank.asked)


@pytest.mark.parametrize(("wait_seconds", "given"), [(200, 1), (280, 2)])
async def test_a_token_is_not_used_in_its_last_moments(asking: Asking, wait_seconds: int, given: int) -> None:
    """
    It would be over when it arrives: half a minute before, another is fetched.
    """
    asking.bank.good_seconds = "300"
    await asking.ask()
    # The bank's own clock stands still: what it checks is the signature, made within its five minutes.
    asking.wait_ms = wait_seconds * 1000

    assert isinstance(await asking.ask(), Paid)
    assert given == asking.bank.given


async def test_a_token_the_bank_has_forgotten_is_fetched_anew_once(asking: Asking) -> None:
    """
    The same question is answered then; a bank that refuses again is silent, and is not asked a third time.
    """
    await asking.ask()
    asking.bank.good.clear()
    again = await asking.ask()
    after = (asking.bank.given, asking.bank.asked)
    asking.bank.refuses_all = True
    refused = await asking.ask()

    assert isinstance(again, Paid)
    assert (2, 3) == after
    assert (Nothing.SILENT, 3, 5) == (refused, asking.bank.given, asking.bank.asked)


@pytest.mark.parametrize("change", [{"gives": False}, {"good_seconds": "soon"}, {"good_seconds": "-1"}])
async def test_without_a_token_the_bank_is_silent(asking: Asking, change: dict[str, Any]) -> None:
    """
    Silence is not no: the report waits, and the next question asks for a token again.
    """
    vars(asking.bank).update(change)
    before = await asking.ask()
    vars(asking.bank).update({"gives": True, "good_seconds": "900"})

    assert (Nothing.SILENT, 0) == (before, asking.bank.asked)
    assert isinstance(await asking.ask(), Paid)


async def test_the_sandbox_bank_gives_tokens_and_wants_them(database: str) -> None:
    """
    A payment is confirmed under one; who has none, or signs for none, is told so.
    """
    async with payment_room(database, client_key=spelled()) as room:
        receipt_status, receipt = await room.pay(await room.held(booking("token")))
        url = f"{room.base}/v1/sandbox/bank/access-token"
        timestamp = dt.datetime.now(dt.UTC).isoformat()
        headers = {"X-CLIENT-KEY": CLIENT, "X-TIMESTAMP": timestamp, "X-SIGNATURE": "bm9uZQ=="}
        async with room.session.post(url, json={"grantType": "client_credentials"}, headers=headers) as answer:
            unsigned = answer.status, (await answer.json())["responseCode"]

        assert (200, "2002500") == (receipt_status, receipt["response_code"])
        assert 1 == await room.one("SELECT count(*) FROM payment")
        assert (401, "4017300") == unsigned


async def test_the_sandbox_bank_says_nothing_without_a_token(database: str) -> None:
    """
    As a bank does that knows the signature but not the token.
    """
    async with payment_room(database, client_key=spelled()) as room:
        path, body, timestamp = "/v1/sandbox/bank/inquiries", b"{}", dt.datetime.now(dt.UTC).isoformat()
        forged = "99999999999999.forged"
        headers = {
            "Authorization": f"Bearer {forged}",
            "X-TIMESTAMP": timestamp,
            "X-SIGNATURE": snap.signature(
                SANDBOX_SECRET, path=path, access_token=forged, body=body, timestamp=timestamp
            ),
            "X-PARTNER-ID": CLIENT,
            "X-EXTERNAL-ID": "1",
        }
        async with room.session.post(room.base + path, data=body, headers=headers) as answer:
            refused = answer.status, (await answer.json())["responseCode"]

    assert (401, "4012601") == refused
