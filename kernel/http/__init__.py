"""
The door to the street: a table of routes, problems as answers, deadlines, drain, and the admin port.
"""
