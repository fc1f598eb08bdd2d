"""
Payment: tariffs, billing codes, bank callbacks. See README.md.
"""
