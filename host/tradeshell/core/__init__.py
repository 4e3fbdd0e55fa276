"""Pure decisions about money.

Laws of this folder:

1. No clock, no I/O, no threads, no randomness, no logging. Time is an input: every input carries ``at``.
2. Every value is frozen. ``step(state, input)`` returns a new state and the commands that follow; it changes nothing.
3. An input that changes nothing and commands nothing returns the *same* state object, so the engine need not record it.
4. Prices are ``Decimal`` in USD, quantities whole shares, times aware ``datetime`` in UTC, durations seconds.
5. An illegal transition raises and changes nothing; an unexpected but possible one is a row of a table.
"""
