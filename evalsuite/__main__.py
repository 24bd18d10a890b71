"""`python -m evalsuite`: the command line."""

import sys

from evalsuite.cli import main

sys.exit(main())
