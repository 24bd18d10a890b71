"""Turns a .gguf file into an ordinary Hugging Face folder, once, in the cache.

The quantised weights are expanded to float32 and saved as safetensors, with the file's tokenizer and chat template.
The folder is named by the file's content, written beside its place and moved there when complete, under a lock: two
processes that ask at once convert once.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evalsuite.errors import MissingExtra, ModelError
from evalsuite.models.fingerprint import cache_folder, file_hash
from evalsuite.records import Progress


def converted(file: Path, progress: Progress | None = None) -> Path:
    """The safetensors folder of a .gguf file, made at the first call. Raises ModelError where it cannot be read."""
    with file.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise ModelError(f"{file}: is not a GGUF file (its first four bytes are not 'GGUF')")
    target = cache_folder() / "gguf" / f"{file.stem}-{file_hash(file)[:16]}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _lock(target.with_suffix(".lock")):
        if target.is_dir():  # another process was quicker
            return target
        if progress:
            progress(0, 1, f"converting {file.name} to safetensors (once, about half a minute)")
        scratch = Path(tempfile.mkdtemp(prefix=".converting-", dir=target.parent))
        try:
            _convert(file, scratch)
            scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if progress:
            progress(1, 1, f"converted {file.name}")
    return target


def _convert(file: Path, folder: Path) -> None:
    import importlib.util

    if importlib.util.find_spec("gguf") is None:
        raise MissingExtra("reading .gguf files needs the package gguf: pip install gguf")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        # Everything is in the file. Said out loud, because the tokenizer's saved settings hold this very argument, and
        # the checkpoint's fingerprint must not depend on whether the hub could be reached when it was converted.
        here = {"gguf_file": file.name, "local_files_only": True}
        tokenizer = AutoTokenizer.from_pretrained(str(file.parent), **here)
        loaded = AutoModelForCausalLM.from_pretrained(str(file.parent), dtype=torch.float32, **here)
    except (ValueError, KeyError, RuntimeError, NotImplementedError) as error:
        raise ModelError(f"{file}: transformers cannot read it ({str(error).splitlines()[0]})") from error
    # A model loaded from GGUF refuses save_pretrained (it counts as quantised): its weights move into a plain one.
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(loaded.state_dict())
    plain.tie_weights()
    plain.generation_config = loaded.generation_config
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
