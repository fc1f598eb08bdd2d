"""
Notify: mails, tickets, calendar entries. See README.md.
"""
