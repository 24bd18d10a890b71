"""SAEs in sae-lens' folder format (`cfg.json`, `sae_weights.safetensors`), written and read without that package.

sae-lens (6.x) has no feature with two signs and a threshold. So an SAE of ours is written in one of two ways:

* `pairs` (the default): a JumpReLU SAE of twice the width; feature j is where ours is positive, feature width + j where
  it is negative. Activations and reconstructions are exactly ours: z = z'[:, :width] - z'[:, width:]. What cannot be
  told there is that j and width + j are one feature: the sign has become a second feature.
* `abstopk`: a signed feature each, but the K largest of *each row* instead of all above theta, so a row always has K
  active features: directions and signs are ours, the choice of what is active is not.

>>> save(sae, Path("sae_lens"))
>>> sae_lens.saes.sae.SAE.load_from_disk("sae_lens").encode(differences)
>>> load(Path("sae_lens"))                       # ours again, to the bit
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from evalsuite.errors import InputError
from evalsuite.features.sae import Sae, settings_of

CONFIG = "cfg.json"
WEIGHTS = "sae_weights.safetensors"
VERSION = "6.54.12"
"""The format's version that is written, and tested against."""

ARCHITECTURES = ("standard", "jumprelu", "topk", "batchtopk", "matryoshka_batchtopk", "abstopk", "gated")
NORMS = (None, "none", "layer_norm", "constant_norm_rescale")
Form = Literal["pairs", "abstopk"]


def save(sae: Sae, folder: Path, form: Form = "pairs") -> Path:
    """Writes the folder and returns it."""
    import torch
    from safetensors.torch import save_file

    encoder, decoder, width = sae.encoder, sae.decoder, sae.width
    if form == "pairs":
        encoder, decoder = torch.cat([encoder, -encoder]), torch.cat([decoder, -decoder])
    zeros = torch.zeros(len(encoder)), torch.zeros(sae.dimensions)
    tensors = {"W_enc": encoder.T.contiguous(), "W_dec": decoder.contiguous(), "b_enc": zeros[0], "b_dec": zeros[1]}
    more: dict[str, Any] = {"architecture": "abstopk", "k": sae.settings.active, "rescale_acts_by_decoder_norm": False}
    if form == "pairs":
        tensors["threshold"] = torch.full((2 * width,), sae.theta)
        more = {"architecture": "jumprelu"}
    ours = {"form": form, "theta": sae.theta, "settings": asdict(sae.settings)}
    config = {
        **more,
        "d_in": sae.dimensions,
        "d_sae": len(encoder),
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": VERSION, "sae_lens_training_version": None, "evalsuite": ours},
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    return folder


def load(folder: Path) -> Sae:
    """The SAE that `save` wrote, to the bit. Raises InputError for any other folder (`read` reads those)."""
    config = read_config(folder)
    ours = (config.get("metadata") or {}).get("evalsuite")
    if not isinstance(ours, dict):
        raise InputError(
            f"{folder}: was not written by evalsuite; an SAE over a language model is a source of features of its own "
            "(features.pretrained)"
        )
    tensors, settings = _tensors(folder), settings_of(ours["settings"])
    encoder, decoder = tensors["W_enc"].T[: settings.width], tensors["W_dec"][: settings.width]
    return Sae(encoder.contiguous(), decoder.contiguous(), float(ours["theta"]), settings)


@dataclass(frozen=True)
class Foreign:
    """An SAE as sae-lens saves it, over activations of a language model: x → activations (n, width) >= 0 (signed for
    abstopk). `metadata` says of which model and hook."""

    architecture: str
    tensors: dict[str, Any]
    config: dict[str, Any]

    @property
    def width(self) -> int:
        return int(self.tensors["W_enc"].shape[1])

    @property
    def dimensions(self) -> int:
        return int(self.tensors["W_enc"].shape[0])

    @property
    def metadata(self) -> dict[str, Any]:
        """sae-lens 6 keeps these in `metadata`, older versions beside the rest."""
        return {**self.config, **(self.config.get("metadata") or {})}

    def encode(self, x: Any) -> Any:
        """Activations (n, width) of float32 rows (n, dimensions), as sae-lens' own `encode` gives them."""
        import torch

        held = self.tensors
        x = _normalised(x.float(), self.config.get("normalize_activations"))
        if self.config.get("apply_b_dec_to_input", True):
            x = x - held["b_dec"]
        if self.architecture == "gated":
            raw = x @ held["W_enc"]
            return torch.relu(raw * held["r_mag"].exp() + held["b_mag"]) * (raw + held["b_gate"] > 0)
        p = x @ held["W_enc"] + held["b_enc"]
        if self.architecture == "standard":
            return torch.relu(p)
        if self.config.get("rescale_acts_by_decoder_norm"):
            p = p * held["W_dec"].norm(dim=-1)
        if "threshold" in held:
            return torch.relu(p) * (p > held["threshold"])
        order = p.abs() if self.architecture == "abstopk" else p
        chosen = order.topk(int(self.config["k"]), dim=-1, sorted=False).indices
        values = p.gather(-1, chosen)
        return torch.zeros_like(p).scatter_(-1, chosen, values if self.architecture == "abstopk" else values.relu())


def read(folder: Path) -> Foreign:
    """Any sae-lens folder. Raises InputError (one line) for an architecture or a normalisation that is not known."""
    import torch

    config, tensors = read_config(folder), _tensors(folder)
    architecture = str(config.get("architecture", "standard"))
    if architecture not in ARCHITECTURES:
        raise InputError(f"{folder / CONFIG}: architecture '{architecture}' (known: {', '.join(ARCHITECTURES)})")
    norm = config.get("normalize_activations")
    if norm not in NORMS:
        raise InputError(
            f"{folder / CONFIG}: normalize_activations '{norm}' needs its scale; fold it into the weights with "
            "sae-lens and save again"
        )
    if config.get("reshape_activations") not in (None, "none"):
        raise InputError(f"{folder / CONFIG}: reads attention heads (hook_z), not the residual stream")
    if "topk_threshold" in tensors:  # a training checkpoint: one threshold for all
        tensors["threshold"] = torch.full(tensors["b_enc"].shape, float(tensors["topk_threshold"]))
    elif architecture in ("batchtopk", "matryoshka_batchtopk"):
        raise InputError(f"{folder / WEIGHTS}: a {architecture} SAE without its topk_threshold")
    kind = "b_gate" if architecture == "gated" else "b_enc"
    missing = [name for name in ("W_enc", "W_dec", "b_dec", kind) if name not in tensors]
    if missing:
        raise InputError(f"{folder / WEIGHTS}: has no {missing[0]}")
    return Foreign(architecture, tensors, config)


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's cfg.json. Raises InputError where it is missing or is no JSON object."""
    file = folder / CONFIG
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{folder}: is no sae-lens folder ({CONFIG} and {WEIGHTS} are wanted)") from error
    except ValueError as error:
        raise InputError(f"{file}: is no JSON ({error})") from error
    if not isinstance(config, dict):
        raise InputError(f"{file}: a JSON object is wanted")
    if config.get("activation_fn_str", config.get("activation_fn")) == "topk":  # before sae-lens 6
        config = {**config, "architecture": "topk", **(config.get("activation_fn_kwargs") or {})}
    return config


def _tensors(folder: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return {name: tensor.float() for name, tensor in load_file(folder / WEIGHTS).items()}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{folder / WEIGHTS}: cannot be read ({error.__class__.__name__})") from error


def _normalised(x: Any, norm: str | None) -> Any:
    if norm == "layer_norm":
        x = x - x.mean(-1, keepdim=True)
        return x / (x.std(-1, keepdim=True) + 1e-5)
    if norm == "constant_norm_rescale":
        return x * (x.shape[-1] ** 0.5 / x.norm(dim=-1, keepdim=True))
    return x
