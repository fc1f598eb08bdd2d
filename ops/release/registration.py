"""
The whole way in, as a person goes it: register, read the mail, activate, sign in, add the family, get a pass.

Called for some accounts of a release; the others are provisioned in bulk. Reads the
activation link from the mail sink as a person reads a mailbox.
"""

import asyncio
import random
import re

import aiohttp
import msgspec

from ops.release.citizens import Account
from ops.release.street import Answer, Street

MAIL_PATIENCE_SECONDS = 60.0
PASSWORD = "kata-sandi-contoh-2026"  # noqa: S105 - simulated people have no secrets
_TOKEN = re.compile(r"[?&#/=](?:token|activate|activation)[=/]([A-Za-z0-9_-]{20,})")
_FAMILY_MAX = 5
_CARD_DIGITS = 16
_RELATIONS = ("self", "spouse", "child", "child", "child")


class RegistrationFailed(Exception):
    """
    A step of the way in was refused; the message says which.
    """


async def register(street: Street, *, mail_url: str, number: int, rng: random.Random) -> Account:
    """
    Bring one new account to the point where it can reserve. Raises `RegistrationFailed`.
    """
    email = f"warga{number}-{rng.getrandbits(32):08x}@contoh.example"
    family_card = _digits(rng, _CARD_DIGITS)
    username = email.partition("@")[0].replace("-", ".")
    account = _ok(
        await street.ask(
            "POST",
            "/v1/accounts",
            key=f"register-{username}",
            body={
                "username": username,
                "password": PASSWORD,
                "nik": _nik(rng),
                "phone": f"+62812{_digits(rng, 8)}",
                "email": email,
                "address": "Jalan Contoh 1",
            },
        )
    )
    token = await _activation_token(mail_url, email)
    _ok(await street.ask("POST", "/v1/accounts/activation", key=f"activate-{username}", body={"token": token}))
    bearer = await _sign_in(street, username)
    person_ids = []
    for index in range(rng.randint(1, _FAMILY_MAX)):
        person = _ok(
            await street.ask(
                "POST",
                "/v1/persons",
                auth=bearer,
                key=f"person-{username}-{index}",
                body={
                    "nik": _nik(rng),
                    "family_card_number": family_card,
                    "full_name": f"Warga Contoh {number} {index}",
                    "relation": _RELATIONS[index],
                },
            )
        )
        person_ids.append(person.body["person_id"])
    issued = _ok(await street.ask("POST", "/v1/passes", auth=bearer))
    return Account(
        account_id=account.body["account_id"],
        person_ids=tuple(person_ids),
        access_token=bearer.removeprefix("Bearer "),
        hot_pass=issued.body["pass"],
    )


async def _sign_in(street: Street, username: str) -> str:
    answer = _ok(await street.ask("POST", "/v1/tokens", body={"username": username, "password": PASSWORD}))
    return f"Bearer {answer.body['access_token']}"


async def _activation_token(mail_url: str, email: str) -> str:
    give_up_at = asyncio.get_running_loop().time() + MAIL_PATIENCE_SECONDS
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as mailbox:
        while asyncio.get_running_loop().time() < give_up_at:
            async with mailbox.get(f"{mail_url}/messages", params={"to": email}) as response:
                mails = msgspec.json.decode(await response.read())
            if mails:
                async with mailbox.get(f"{mail_url}/messages/{mails[0]['n']}") as response:
                    mail = msgspec.json.decode(await response.read())
                found = _TOKEN.search(mail["text"])
                if found is None:
                    raise RegistrationFailed("the activation mail has no link")
                return found[1]
            await asyncio.sleep(0.2)
    raise RegistrationFailed(f"no activation mail within {MAIL_PATIENCE_SECONDS:.0f} s")


def _ok(answer: Answer) -> Answer:
    if answer.status >= 400:  # noqa: PLR2004 - where HTTP's refusals begin
        raise RegistrationFailed(f"answered {answer.status} {answer.code}: {answer.body.get('field', '')}")
    return answer


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def _nik(rng: random.Random) -> str:
    # No province is numbered 99, so these people meet nobody who was provisioned in bulk.
    born = f"{rng.randint(1, 28):02d}{rng.randint(1, 12):02d}{rng.randint(0, 99):02d}"
    return f"99{rng.randint(1, 99):02d}{rng.randint(1, 99):02d}{born}{rng.randint(1, 9999):04d}"
