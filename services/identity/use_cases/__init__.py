"""
What people can do at identity: register, activate, log in, add their family, get a pass; and what operators can.

Called by routes and by the one-shots of `app.py`. Expected outcomes are values.
"""
