"""The smallest cmd2 application: what `tradeshell -c quit` is compared with. Run as ``bare_shell.py quit``."""

import sys

import cmd2


class BareShell(cmd2.Cmd):
    """A shell with nothing but what cmd2 brings."""


if __name__ == "__main__":
    sys.exit(BareShell().cmdloop())
