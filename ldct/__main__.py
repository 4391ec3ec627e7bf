"""`python -m ldct <verb>`."""

import sys

from ldct.cli import main

sys.exit(main(sys.argv[1:]))
