"""
The sub-commands of `antrean`, one module per group, registered in `ops.__main__`.
"""
