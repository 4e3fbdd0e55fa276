"""The terminal: what is typed and what is shown. The only part of the host that knows cmd2.

Laws: the engine never waits for the screen and never prints; the screen reads immutable pictures and asks through ``Trading``.
A line typed ends in an answer, or in one line that says what is wrong and what to do; never in a traceback.
"""
