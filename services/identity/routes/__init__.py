"""
Identity's door to the street.

`ROUTES` is the table that is served and documented. Handlers read a request, call one use
case, and turn its outcome into an answer.
"""

from services.identity.routes import accounts, credentials, name_sheet, persons

ROUTES = (*accounts.ROUTES, *credentials.ROUTES, *persons.ROUTES, *name_sheet.ROUTES)
