"""Errors that a person can act on.

Law: a ``TradeshellError`` is one line that says what is wrong, where, and what to do. It is shown as it stands, without a
traceback. Anything else that escapes is a defect of ours. The subclass says who must act.
"""


class TradeshellError(Exception):
    """One line for the person at the prompt; never shown with a traceback."""


class OperatorError(TradeshellError):
    """What was typed cannot be done: the operator changes the words."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while something had begun that cannot be called back: the words say what became of it."""


class ConfigError(TradeshellError):
    """A setting (flag, environment variable or config file) is wrong: the operator changes the setting."""


class DataError(TradeshellError):
    """A file that feeds the venue is unusable: the operator replaces the file."""


class StateError(TradeshellError):
    """A file of ours is damaged, locked or newer than this program: nothing was overwritten."""


class BrokerError(TradeshellError):
    """The broker or the venue refused or is out of reach."""


class PluginError(TradeshellError):
    """A plugin broke its contract: the line names the plugin; the others go on."""
