"""Files and Hub sets → records: reading, where a task's data lies, and what a task is told when it loads."""

from evalsuite.data.files import ListHash, canonical, fingerprint, read_rows
from evalsuite.data.setup import Setup
from evalsuite.data.spill import Spill

__all__ = ["ListHash", "Setup", "Spill", "canonical", "fingerprint", "read_rows"]
