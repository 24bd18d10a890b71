"""Files and Hub sets → records: reading, where a task's data lies, and what a task is told when it loads."""

from evalsuite.data.files import fingerprint, read_rows
from evalsuite.data.setup import Setup

__all__ = ["Setup", "fingerprint", "read_rows"]
