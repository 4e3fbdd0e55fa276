"""Events told to phones, desktops and chats: the event sink ``notify`` and its command."""

from tradeshell import Command, Register, SinkOpener, hookimpl
from tradeshell_notify.command import NOTIFY
from tradeshell_notify.courier import open_notify


@hookimpl
def register_event_sinks(register: Register[SinkOpener]) -> None:
    """Offer the sink ``notify``, which is off unless the config has its table."""
    register("notify", open_notify)


@hookimpl
def register_commands(register: Register[Command]) -> None:
    """Offer the command ``notify``."""
    register("notify", NOTIFY)
