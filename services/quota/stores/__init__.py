"""
Quota's door to Valkey: the only files that know keys, scripts and codes.
"""
