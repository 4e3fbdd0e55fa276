"""What is at the broker against what we know of it: orphan exits, protection, sessions, orders of others."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from tradeshell import Command, Reconciler, ReconcilerMaker, Register, hookimpl
from tradeshell_reconcile.command import RECONCILE
from tradeshell_reconcile.compare import compare, read_settings


def make(settings: Mapping[str, Any]) -> Reconciler:
    """Return the comparison with the settings of ``[reconcilers.reconcile]``."""
    return partial(compare, read_settings(settings))


@hookimpl
def register_reconcilers(register: Register[ReconcilerMaker]) -> None:
    """Offer the reconciler."""
    register("reconcile", make)


@hookimpl
def register_commands(register: Register[Command]) -> None:
    """Offer the command ``reconcile``."""
    register("reconcile", RECONCILE)
