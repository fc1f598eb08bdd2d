"""
The only words rooms share: topics, the envelope and the events themselves.

Every room imports from here and from nothing else of another room. Nothing here
does anything: no input or output, no clock, no driver.
"""
