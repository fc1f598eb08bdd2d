"""
What the mail sink shows: a plain list for people, JSON for tests and the audit.

    GET /                                        a readable list
    GET /messages?to=&message_id=&before=&limit= the index, newest first
    GET /messages/{n}                            one mail: headers, text, names of attachments
    GET /messages/{n}/raw                        the mail as it came
"""

import dataclasses
import html
from typing import Any, Final

from aiohttp import web

from ops.mailstore import LIMIT_MAX, Mail, MailStore, parse

PAGE_MAILS_MAX: Final = 200
INDEX_DEFAULT: Final = 100
STORE: Final = web.AppKey("store", MailStore)

PAGE: Final = """\
<!doctype html><html lang="en"><meta charset="utf-8"><title>Mails</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:16px system-ui;margin:2rem}}table{{border-collapse:collapse}}
td,th{{text-align:left;padding:.3rem 1rem .3rem 0;border-bottom:1px solid #ddd}}pre{{white-space:pre-wrap}}</style>
<h1>{title}</h1>{body}</html>
"""


def application(store: MailStore) -> web.Application:
    """
    The pages over `store`.
    """
    app = web.Application()
    app[STORE] = store
    app.router.add_get("/", _list)
    app.router.add_get("/messages", _index)
    app.router.add_get("/messages/{n:[0-9]{1,9}}", _one)
    app.router.add_get("/messages/{n:[0-9]{1,9}}/raw", _raw)
    return app


async def _list(request: web.Request) -> web.Response:
    store = request.app[STORE]
    rows = "".join(_row(mail) for mail in store.find(limit=PAGE_MAILS_MAX))
    head = "<tr><th>#<th>To<th>Subject<th>Date<th>Template</tr>"
    return _page(f"{store.count()} mails", f"<table>{head}{rows}</table>")


def _row(mail: Mail) -> str:
    cells = (", ".join(mail.to), mail.subject, mail.date, mail.template)
    link = f'<a href="/messages/{mail.n}">{mail.n}</a>'
    return f"<tr><td>{link}" + "".join(f"<td>{html.escape(cell)}" for cell in cells) + "</tr>"


async def _index(request: web.Request) -> web.Response:
    query = request.query
    found = request.app[STORE].find(
        to=query.get("to", ""),
        message_id=query.get("message_id", ""),
        before=_number(query.get("before"), default=None),
        limit=_number(query.get("limit"), default=INDEX_DEFAULT) or 0,
    )
    return web.json_response([dataclasses.asdict(mail) for mail in found])


def _number(raw: str | None, *, default: int | None) -> int | None:
    if raw is None:
        return default
    if not raw.isdecimal() or int(raw) > LIMIT_MAX:
        raise web.HTTPBadRequest(text=f"not a number up to {LIMIT_MAX}: {raw}")
    return int(raw)


async def _one(request: web.Request) -> web.Response:
    mail = _described(int(request.match_info["n"]), _bytes(request))
    if "text/html" in request.headers.get("Accept", ""):
        lines = "".join(f"<b>{html.escape(name)}</b> {html.escape(str(mail[name]))}<br>" for name in mail)
        return _page(html.escape(mail["subject"]), f'{lines.replace(chr(10), "<br>")}<p><a href="/">All mails</a>')
    return web.json_response(mail)


async def _raw(request: web.Request) -> web.Response:
    return web.Response(body=_bytes(request), content_type="message/rfc822")


def _bytes(request: web.Request) -> bytes:
    raw = request.app[STORE].raw(int(request.match_info["n"]))
    if raw is None:
        raise web.HTTPNotFound(text="no mail of that number")
    return raw


def _described(number: int, raw: bytes) -> dict[str, Any]:
    message = parse(raw)
    text, page = message.get_body(("plain",)), message.get_body(("html",))
    return {
        "n": number,
        "message_id": str(message.get("Message-ID", "")).strip(),
        "from": str(message.get("From", "")),
        "to": str(message.get("To", "")),
        "subject": str(message.get("Subject", "")),
        "date": str(message.get("Date", "")),
        "headers": {name: str(value) for name, value in message.items()},
        "text": text.get_content() if text else "",
        "html": page.get_content() if page else "",
        "attachments": [part.get_filename() or "" for part in message.iter_attachments()],
    }


def _page(title: str, body: str) -> web.Response:
    return web.Response(text=PAGE.format(title=title, body=body), content_type="text/html")
