"""The simulation with the real wire between engine and venue.

The engine trades through the ``ibkr`` plugin and an unmodified ib_async; the venue stands behind the paper gateway; between them
lies a network on virtual time. Everything else, the checker above all, is that of the simulation without a wire.
"""
