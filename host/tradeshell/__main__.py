"""``python -m tradeshell`` and the ``tradeshell`` script."""

import sys

from tradeshell.cli import main

if __name__ == "__main__":
    sys.exit(main())
