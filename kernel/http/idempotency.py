"""
Idempotency-Key for calls whose effect is in Postgres: the answer is stored with the effect.

Called by routes around a use case. One transaction holds a lock on the key, the effect and
the answer, so a crash leaves neither and a second try finds both. (Reservations need none
of this: there the hold is the record.)
"""

import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from kernel.http.problem import IDEMPOTENCY_KEY_REUSED, STILL_RUNNING, Problem
from kernel.http.route import idempotency_key
from kernel.outbox import SQL
from kernel.postgres import Connection, Database

Work = Callable[[Connection], Awaitable[web.Response]]


async def once(
    request: web.Request, database: Database, *, scope: str, work: Work, fingerprint_key: bytes = b""
) -> web.Response:
    """
    Run `work` in a transaction, or give the stored answer with `Idempotency-Replayed: true`.

    `scope` keeps keys of different callers and calls apart. Only answers below 500 are kept;
    a refusal with a 4xx status is rolled back and decided anew next time. Where the body holds
    secrets or personal data, `fingerprint_key` (at most 64 bytes) keeps its stored fingerprint
    from being searched: a NIK has so few digits that an unkeyed hash of it gives it away.
    """
    key = idempotency_key(request)
    fingerprint = hashlib.blake2b(
        await request.read(), digest_size=16, key=fingerprint_key, person=b"idempotency"
    ).digest()
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            if not await connection.fetchval(SQL.lock_idempotency, f"{scope}\n{key}"):
                raise Problem(STILL_RUNNING, retry_after_seconds=1)
            stored = await connection.fetchrow(SQL.read_idempotency, scope, key)
            if stored is not None:
                response = _replay(stored["fingerprint"], fingerprint, stored["status"], stored["body"])
            else:
                response = await work(connection)
                if response.status < HTTPStatus.BAD_REQUEST:
                    await connection.execute(
                        SQL.store_idempotency, scope, key, fingerprint, response.status, _bytes_of(response)
                    )
        except BaseException:
            await transaction.rollback()
            raise
        if response.status < HTTPStatus.BAD_REQUEST:
            await transaction.commit()
        else:
            await transaction.rollback()
        return response


def _replay(known: bytes, asked: bytes, status: int, body: bytes) -> web.Response:
    if known != asked:
        raise Problem(IDEMPOTENCY_KEY_REUSED, field="Idempotency-Key")
    return web.Response(
        status=status,
        body=body or None,
        content_type="application/json" if body else None,
        headers={"Idempotency-Replayed": "true", "Cache-Control": "no-store"},
    )


def _bytes_of(response: web.Response) -> bytes:
    if response.body is None:
        return b""
    if not isinstance(response.body, bytes):
        raise TypeError("an answer that is kept for replays is made of bytes")
    return response.body
