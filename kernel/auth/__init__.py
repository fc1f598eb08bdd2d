"""
Who asks: Ed25519 tokens (RFC 9068 style JWTs) and passes for the hot path.
"""
