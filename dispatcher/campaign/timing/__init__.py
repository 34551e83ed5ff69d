"""When a row may go out: dates in cells, clocks, reminders, sending windows, frequency caps.

Pure: the present comes in as a parameter, and nothing here knows a database, a network or a clock.
"""
