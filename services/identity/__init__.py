"""
Accounts, persons, the vault, tokens and passes.
"""
