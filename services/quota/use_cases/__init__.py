"""
What quota does, one file per story: reserve, show, follow booking, look after claims, tell.
"""
