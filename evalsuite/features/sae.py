"""A sparse autoencoder over differences of two embeddings whose features are signed and exactly odd.

With x = e(A) - e(B): p = W x, z = p where |p| > theta and 0 elsewhere, x̂ = D z. There are no biases, so swapping A and
B negates every feature to the last bit: z(-x) = -z(x). A positive feature says that A has more of something, a negative
one that B has. Decoder directions have length 1, so |z| is in units of the embedding.

Sources: BatchTopK with a threshold at inference (Bussmann et al. 2024, arXiv:2412.06410), Matryoshka prefixes (Bussmann
et al. 2025, arXiv:2503.17547), signed and over differences as in WIMHF (Movva et al. 2025), whose biases are left out.

>>> sae = train(differences).sae                 # evalsuite.features.training
>>> z = sae.read(differences)                    # float32 (n, 32), mostly 0
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from evalsuite.errors import InputError

BLOCK = 1024
"""Rows that are read in one go. The last block is filled up with zeros, so that every product has the same shape and a
row's activations do not depend on how many rows stand beside it."""

FILE = "sae.safetensors"


class Rows(Protocol):
    """Rows of numbers, in memory or on the disk: what a numpy array (memory-mapped or not) or `embed.Differences` is.

    `rows[a:b]` and `rows[indices]` give numpy arrays of floats (rows, dimensions).
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, which: Any) -> Any: ...


@dataclass(frozen=True)
class Settings:
    """How an SAE is trained; the defaults are WIMHF's published ones, except where a comment says otherwise.

    `active` (K) is the mean number of features of a row; `prefixes` are the Matryoshka widths, the last one being
    `width` (empty: a quarter and the whole). `patience` epochs without a better held-out loss end the training, after
    `least_epochs`; 0 never ends it early.
    """

    width: int = 32
    active: int = 4
    prefixes: tuple[int, ...] = ()
    learning_rate: float = 5e-4  # of 1536 dimensions, as published; see `rate`
    batch: int = 256
    epochs: int = 50
    least_epochs: int = 10
    patience: int = 3
    dead_after: int = 64  # steps without firing
    aux_active: int = 0  # features of a row that rebuild the residual; 0: min(2K, width)
    aux_weight: float = 1 / 32
    revive_after: int = 256  # ours: what the auxiliary loss has not revived by then is aimed at a residual; 0: never
    split: bool = True  # ours: take merged directions apart after an epoch
    clip: float = 1.0
    theta_rate: float = 0.01
    held_out: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.width < 1 or not 0 < self.active <= self.width:
            raise InputError(f"SAE settings: active={self.active} of width={self.width}: 1 to width is wanted")
        widths = self.widths
        if list(widths) != sorted(set(widths)) or widths[0] < 1 or widths[-1] != self.width:
            raise InputError(f"SAE settings: prefixes={widths}: rising widths that end in {self.width} are wanted")
        for name in ("batch", "epochs"):
            if getattr(self, name) < 1:
                raise InputError(f"SAE settings: {name}={getattr(self, name)}: at least 1 is wanted")
        if not 0 <= self.held_out < 1:
            raise InputError(f"SAE settings: held_out={self.held_out}: a share from 0 to below 1 is wanted")

    @property
    def widths(self) -> tuple[int, ...]:
        return self.prefixes or tuple(sorted({max(1, self.width // 4), self.width}))

    @property
    def auxiliary(self) -> int:
        return self.aux_active or min(2 * self.active, self.width)

    def rate(self, dimensions: int) -> float:
        """Adam's step for unit vectors of so many dimensions: the published rate belongs to 1536, and entries of unit
        vectors grow as 1/√dimensions, so the step does too."""
        return float(self.learning_rate * (1536 / dimensions) ** 0.5)


@dataclass(frozen=True)
class Sae:
    """A trained SAE as data: `encoder` W and `decoder` D are float32 tensors (width, dimensions), D with rows of length
    1; `theta` is the threshold on |p|. A `Source` of features (features/contract.py)."""

    encoder: Any
    decoder: Any
    theta: float
    settings: Settings = field(default_factory=Settings)

    @property
    def width(self) -> int:
        return int(self.encoder.shape[0])

    @property
    def dimensions(self) -> int:
        return int(self.encoder.shape[1])

    @property
    def names(self) -> Sequence[str]:
        return [f"sae/{j}" for j in range(self.width)]

    def read(self, differences: Rows) -> Any:
        """Activations, float32 (n, width), of differences (n, dimensions). Exactly odd: read(-x) == -read(x).
        Raises InputError where the dimensions are not this SAE's, or a row holds NaN or infinity."""
        import numpy

        found = numpy.zeros((differences.shape[0], self.width), dtype=numpy.float32)
        for start, rows, x in blocks(differences, self.dimensions):
            found[start : start + rows] = encode(self, x)[:rows].numpy()
        return found


def encode(sae: Sae, x: Any) -> Any:
    """Signed activations of a float32 tensor (n, dimensions): p where |p| > theta, 0 elsewhere."""
    import torch

    p = x @ sae.encoder.T
    return torch.where(p.abs() > sae.theta, p, torch.zeros((), dtype=p.dtype))


def decode(sae: Sae, z: Any) -> Any:
    """Reconstructions (n, dimensions) of activations (n, width)."""
    return z @ sae.decoder


def blocks(differences: Rows, dimensions: int) -> Iterator[tuple[int, int, Any]]:
    """(first row, rows, float32 tensor of BLOCK rows) one after the other; the last is filled up with zeros."""
    import numpy
    import torch

    if len(differences.shape) != 2 or differences.shape[1] != dimensions:
        raise InputError(f"differences of shape {tuple(differences.shape)}: (n, {dimensions}) is what this SAE reads")
    for start in range(0, differences.shape[0], BLOCK):
        part = numpy.asarray(differences[start : start + BLOCK])
        finite(part, start)
        x = torch.zeros((BLOCK, dimensions), dtype=torch.float32)
        x[: len(part)] = tensor(part)
        yield start, len(part), x


def tensor(part: Any) -> Any:
    """Rows that were read, as a float32 tensor of their own (one that is a tensor, as it is)."""
    import numpy
    import torch

    return part if isinstance(part, torch.Tensor) else torch.from_numpy(numpy.array(part, dtype=numpy.float32))


def finite(part: Any, start: int, rows: Any = None) -> None:
    """Raises InputError that names the first row with NaN or infinity; `rows` are its rows' own numbers."""
    import numpy

    if not bool(numpy.isfinite(part.sum(dtype=numpy.float64))):  # one pass; the slow look only where it is needed
        bad = numpy.flatnonzero(~numpy.isfinite(part).all(axis=1))
        if len(bad):
            row = int(rows[bad[0]]) if rows is not None else start + int(bad[0])
            raise InputError(f"row {row} (from 0) of the embeddings holds NaN or infinity; embed that text again")


@dataclass(frozen=True)
class Quality:
    """How an SAE does on given rows: `unexplained` is Σ|x - x̂|² / Σ|x|² (the mean of mirrored differences is 0, so
    this is 1 - R²), `prefixes` the same with only the first features, `active` the mean number of features of a row,
    `prevalence` each feature's share of rows, `dead` how many fire on none."""

    n: int
    unexplained: float
    prefixes: tuple[float, ...]
    active: float
    prevalence: tuple[float, ...]

    @property
    def dead(self) -> int:
        return sum(share == 0 for share in self.prevalence)

    @property
    def loss(self) -> float:
        """Mean over the Matryoshka prefixes."""
        return sum(self.prefixes) / len(self.prefixes)


def quality(sae: Sae, differences: Rows) -> Quality:
    """Reads every row once; in memory there is one block of rows."""
    import torch

    widths = sae.settings.widths
    gram = sae.decoder @ sae.decoder.T
    energy, fired = 0.0, torch.zeros(sae.width, dtype=torch.float64)
    left = [0.0] * len(widths)
    with torch.inference_mode():
        for start in range(0, differences.shape[0], BLOCK):
            x = tensor(differences[start : start + BLOCK])
            z, q = encode(sae, x), x @ sae.decoder.T
            whole = float(torch.linalg.vector_norm(x, dtype=torch.float64)) ** 2
            energy += whole
            fired += (z != 0).sum(0)
            for i, m in enumerate(widths):
                # |x - Dz|² = |x|² - 2 z·Dᵀx + zᵀDᵀDz
                left[i] += whole + float((z[:, :m] * (z[:, :m] @ gram[:m, :m] - 2 * q[:, :m])).sum(dtype=torch.float64))
    n = int(differences.shape[0])
    shares = tuple((fired / max(n, 1)).tolist())
    losses = tuple(max(0.0, each) / energy if energy else 0.0 for each in left)
    return Quality(n, losses[-1], losses, sum(shares), shares)


def save(sae: Sae, folder: Path) -> Path:
    """Writes `sae.safetensors` (encoder, decoder; theta and settings in its header) and returns its path. sae-lens
    reads what `evalsuite.features.sae_lens.save` writes."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    about = {"format": "evalsuite-sae", "theta": repr(sae.theta), "settings": json.dumps(asdict(sae.settings))}
    tensors = {"encoder": sae.encoder.contiguous(), "decoder": sae.decoder.contiguous()}
    save_file(tensors, folder / FILE, metadata=about)
    return folder / FILE


def load(path: Path) -> Sae:
    """The SAE of a folder or file that `save` wrote. Raises InputError (one line) where it is none."""
    from safetensors import SafetensorError, safe_open

    file = path / FILE if path.is_dir() else path
    try:
        with safe_open(file, "pt") as opened:
            about = opened.metadata() or {}
            if about.get("format") != "evalsuite-sae":
                raise InputError(f"{file}: is no SAE of evalsuite (sae-lens' folders: features.sae_lens.load)")
            return Sae(
                opened.get_tensor("encoder"),
                opened.get_tensor("decoder"),
                float(about["theta"]),
                settings_of(json.loads(about["settings"])),
            )
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file}: cannot be read as an SAE ({error.__class__.__name__})") from error


def settings_of(row: dict[str, Any]) -> Settings:
    """Settings out of JSON; what a later version wrote besides is left out."""
    known = {f.name for f in fields(Settings)}
    kept: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items() if k in known}
    return Settings(**kept)
