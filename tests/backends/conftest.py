"""Lets the files here import `checkpoints` (tests/checkpoints.py)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
