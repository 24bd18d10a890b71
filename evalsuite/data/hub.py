"""A task's data from the Hub, by a pinned revision: `--data TASK=hf:ORG/NAME@REVISION/PATH/IN/REPO`.

Only a full commit hash is taken: a branch would let the same command score other data tomorrow.
"""

import re
from pathlib import Path

from evalsuite.errors import InputError

ADDRESS = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[^/]+)/(?P<file>.+)")


def fetch(address: str) -> Path:
    """The file behind a `hf:` address, in the Hub's local cache. Raises InputError naming what is wrong with it."""
    match = ADDRESS.fullmatch(address)
    if match is None:
        raise InputError(f"{address}: write hf:ORG/NAME@REVISION/PATH, such as hf:google/IFEval@<40 hex>/ifeval.jsonl")
    if not re.fullmatch(r"[0-9a-f]{40}", match["revision"]):
        raise InputError(f"{address}: pin a revision by its 40 hex digits (found '{match['revision']}')")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        found = hf_hub_download(match["repo"], match["file"], revision=match["revision"], repo_type="dataset")
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(f"{address}: not in the local cache and not fetched ({first})") from error
    return Path(found)
