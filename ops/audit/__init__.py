"""
The audit: Valkey, Postgres, the events and the mails held against each other, slot by slot.

Trusts none of them. `evidence` collects, `compare` judges (pure), `report` tells. Used by
`antrean audit` and at the end of every demo.
"""
