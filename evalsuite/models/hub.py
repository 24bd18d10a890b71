"""Fetches a model from the Hugging Face hub at a pinned revision: safetensors, settings and tokenizer only."""

import os
from pathlib import Path

from evalsuite.errors import MissingExtra, ModelError
from evalsuite.models.model import ModelOptions
from evalsuite.records import Progress

PATTERNS = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt"]
"""Never pickles (.bin, .pt), never folders of other formats. `*.py` only where remote code is trusted."""


def downloaded(address: str, options: ModelOptions, progress: Progress | None = None) -> Path:
    """The local snapshot of a hub id, from the hub's own cache where it is there. Raises ModelError (one line)."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError as error:
        raise MissingExtra("hub ids need the package huggingface_hub: pip install huggingface_hub") from error
    if progress:
        progress(0, 1, f"looking up {address}")
    patterns = PATTERNS + (["*.py"] if options.trust_remote_code else [])
    try:
        path = snapshot_download(address, revision=options.revision, allow_patterns=patterns, ignore_patterns=["*/*"])
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        offline = os.environ.get("HF_HUB_OFFLINE") in ("1", "ON", "YES", "TRUE")
        reason = "HF_HUB_OFFLINE is set and it is not in the hub's cache" if offline else error.__class__.__name__
        revision = f" at revision {options.revision}" if options.revision else ""
        raise ModelError(
            f"'{address}': no such folder here, and the hub did not give it{revision} ({reason})"
        ) from error
    return Path(path)
