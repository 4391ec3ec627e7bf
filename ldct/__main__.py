"""`ldct <verb>`, or `python -m ldct <verb>`."""

import sys

from ldct.cli import main


def run() -> None:
    """Run the verb of the command line, and end with its status."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
