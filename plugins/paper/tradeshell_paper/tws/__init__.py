"""The paper gateway: the simulated exchange behind the TCP protocol of the TWS API."""
