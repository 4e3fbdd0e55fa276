"""Interactive Brokers: TWS or IB Gateway, driven with ib_async used as a codec.

Importing this package is cheap: ib_async is loaded when the broker is opened.
"""

from __future__ import annotations
