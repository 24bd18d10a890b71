"""JSON files of a model's folder."""

import json
from pathlib import Path
from typing import Any

from evalsuite.errors import ModelError


def read_json(file: Path) -> Any:
    """A file's JSON value. Raises ModelError (one line) where there is none."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: is not readable JSON ({error})") from error
