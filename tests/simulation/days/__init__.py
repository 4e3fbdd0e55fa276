"""Thirty trading days in one run: the program lives on, over nights, weekends, a change of clocks, a holiday and a half day.

Laws: as for schedules over the wire; a run is a function of its seed. What grows with the days is measured, not believed.
"""
