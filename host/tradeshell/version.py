"""The version of the host and of everything bundled with it."""

VERSION = "0.1.0"
