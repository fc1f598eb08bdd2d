"""
What handlers find on the application. Filled by `app.py`.
"""

from aiohttp import web

from kernel.postgres import Database
from services.booking.settings import CounterSettings, MoveSettings
from services.booking.use_cases.board import OfficeBoard

DATABASE = web.AppKey("database", Database)
MOVES = web.AppKey("moves", MoveSettings)
BOARD = web.AppKey("board", OfficeBoard)
COUNTER = web.AppKey("counter", CounterSettings)
