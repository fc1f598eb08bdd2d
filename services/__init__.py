"""
The rooms. Each owns its data and speaks to the others in events only.
"""
