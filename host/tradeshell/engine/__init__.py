"""The engine: one asyncio loop on which everything about trading happens. It decides nothing; ``core`` does."""
