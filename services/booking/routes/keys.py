"""
What handlers find on the application. Filled by `app.py`.
"""

from aiohttp import web

from kernel.postgres import Database
from kernel.sheets import Printer
from services.booking.leaves import LeafSigner
from services.booking.settings import CounterSettings, MoveSettings
from services.booking.tickets import TicketReader
from services.booking.use_cases.board import OfficeBoard

DATABASE = web.AppKey("database", Database)
MOVES = web.AppKey("moves", MoveSettings)
BOARD = web.AppKey("board", OfficeBoard)
COUNTER = web.AppKey("counter", CounterSettings)
TICKETS = web.AppKey("tickets", TicketReader)
LEAVES = web.AppKey("leaves", LeafSigner)
SHEETS = web.AppKey("sheets", Printer)
