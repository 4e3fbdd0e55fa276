"""The audit log of tradeshell: every event as one JSON object on a line of its own, and what the log tells of trades."""

from tradeshell import Command, Register, SinkOpener, hookimpl
from tradeshell_jsonl_log.commands import COMMANDS
from tradeshell_jsonl_log.writer import open_log


@hookimpl
def register_event_sinks(register: Register[SinkOpener]) -> None:
    """Offer the sink ``jsonl``, which is on unless the config switches it off."""
    register("jsonl", open_log)


@hookimpl
def register_commands(register: Register[Command]) -> None:
    """Offer ``why`` and ``trades``."""
    for command in COMMANDS:
        register(command.name, command)
