"""
The free places: slots, holds and claims, all of them in Valkey. The hot path.
"""
