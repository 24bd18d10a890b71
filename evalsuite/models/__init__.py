"""What a MODEL string means: a folder, a hub id, a .gguf file, an alias, a server or a file of answers.

>>> from evalsuite.models import ModelOptions, renderer, resolve
>>> model = resolve("smollm2", ModelOptions(system="Answer in one word."))
>>> model.name, model.backend, model.context_window
('smollm2', 'hf', 8192)
>>> renderer(model).prompt_ids([{"role": "user", "content": "Hi"}])

`resolve` reads headers and hashes files; weights are loaded by a backend at its first call. Nothing here imports torch
or transformers before a tokenizer is needed.
"""

from evalsuite.models.model import Model, ModelOptions
from evalsuite.models.reasoning import split_reasoning
from evalsuite.models.renderers import renderer
from evalsuite.models.rendering import Renderer
from evalsuite.models.resolve import SCHEMES, resolve

__all__ = ["SCHEMES", "Model", "ModelOptions", "Renderer", "renderer", "resolve", "split_reasoning"]
