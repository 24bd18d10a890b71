"""Which renderer a model has: text's, or that of images and text."""

from evalsuite.errors import InputError, ModelError
from evalsuite.models.embedders import read_recipe
from evalsuite.models.folders import tokenizer_files
from evalsuite.models.model import Model
from evalsuite.models.rendering import Reading, Renderer
from evalsuite.models.tokens import load_tokens
from evalsuite.models.vision import reads_images, vision_renderer
from evalsuite.records import Message


def renderer(model: Model) -> Renderer | None:
    """The renderer of a local model; None where a server or a file of answers does its own rendering. Imports
    transformers. Raises ModelError where the tokenizer or the template cannot be loaded."""
    if not model.local or model.path is None:
        return None
    options = model.options
    # An adapter may bring the tokenizer that it was trained with (a chat template, as a rule).
    home = model.adapter if model.adapter is not None and tokenizer_files(model.adapter) else model.path
    if "generate" in model.kinds and reads_images(model.path):
        made: Renderer = vision_renderer(model)
    else:
        tokens = load_tokens(home, options.trust_remote_code, options.template_arguments(), model.path)
        made = Renderer(tokens, options, _reading(model))
    if made.template is not None:
        try:
            made.prompt_ids([Message(role="user", content="x")])
        except InputError as error:
            raise ModelError(f"{model.address}: {error}") from error
    return made


def _reading(model: Model) -> Reading:
    if model.path is None or "generate" in model.kinds:
        return Reading()
    if "embed" not in model.kinds:
        return Reading(closed=True, pairs=True)
    recipe = read_recipe(model.path)
    prompts = (recipe.prompts if recipe else None) or {}
    name = model.options.args.get("prompt", recipe.prompt if recipe else None)
    if name is not None and name not in prompts:
        raise ModelError(f"--model-args prompt={name}: {model.address} has {', '.join(prompts) or 'no prompts'}")
    text = prompts[name] if name is not None else ""
    return Reading(closed=True, plain=True, prompt=text, lower=bool(recipe and recipe.lower))
