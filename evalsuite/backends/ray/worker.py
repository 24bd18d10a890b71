"""What runs inside a worker of the `ray` backend: one engine, kept loaded, answering the chunks that it is given.

A worker builds model and renderer itself, from the folder at `model.path`: weights never travel through Ray. On a
machine other than the driver's it first checks that the folder there is the same model, by its fingerprint.
"""

import os
import platform
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evalsuite import __version__
from evalsuite.backends.base import backend_class
from evalsuite.errors import InputError, ModelError
from evalsuite.models import Model, renderer, resolve
from evalsuite.records import Backend, Completion, Kind, Unit


@dataclass(frozen=True)
class Setup:
    """What every worker is told: the model for its engine, where the driver runs, and the environment to compute in."""

    model: Model
    machine: str
    environment: Mapping[str, str]
    version: str = __version__


@dataclass(frozen=True)
class Started:
    """A worker that is ready for a model; `loaded` where it had to make a new engine for it; the limits that this one
    found."""

    pid: int
    host: str
    loaded: bool
    limits: Mapping[str, int]


@dataclass(frozen=True)
class Answered:
    """A chunk's completions in the order of its units, the work they took, and the limits that the engine knows."""

    completions: Sequence[Completion]
    counts: Mapping[str, float]
    limits: Mapping[str, int]


class Worker:
    """The actor. Everything that may fail stands in `start`, whose errors reach the driver as they are."""

    def __init__(self) -> None:
        self._engine: Backend | None = None
        self._model: Model | None = None

    def start(self, setup: Setup, probe: Unit) -> Started:
        """Makes the engine for a model and has it answer `probe`, so that it has loaded and measured before it holds
        work that another could do; or switches the engine that is there.

        Raises ModelError where the folder is not here or is another model, InputError where this machine has another
        evalsuite.
        """
        # Python decided about bytecode when it started; OpenMP reads its variables when torch is imported.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        sys.dont_write_bytecode = False
        os.environ.update(setup.environment)
        if setup.version != __version__:
            host = platform.node()
            raise InputError(f"{host}: has evalsuite {__version__}, the driver {setup.version}; install one version")
        _check_folder(setup.model, remote=machine() != setup.machine)
        loaded = not self._switched(setup.model)
        if loaded:
            self.close()
            self._engine = backend_class(setup.model.backend)(setup.model, renderer(setup.model))
        self._model = setup.model
        limits = self.answer(probe.kind, [probe], {}).limits if loaded else {}
        return Started(os.getpid(), platform.node(), loaded, limits)

    def answer(self, kind: Kind, units: Sequence[Unit], limits: Mapping[str, int]) -> Answered:
        """Completions of one chunk."""
        assert self._engine is not None
        engine = self._engine
        engine.limits.update(limits)
        before = dict(engine.counts)
        completions = getattr(engine, kind)(units)
        more = {name: value - before.get(name, 0) for name, value in engine.counts.items() if name != "loads"}
        return Answered(completions, more, dict(engine.limits))

    def close(self) -> None:
        """Lets the engine go."""
        if self._engine is not None:
            self._engine.close()
        self._engine = self._model = None

    def _switched(self, model: Model) -> bool:
        if self._engine is None or self._model is None or self._model.backend != model.backend:
            return False
        if self._model == model:
            return True
        self._engine.counts.update(dict.fromkeys(self._engine.counts, 0))  # they are the other model's
        return self._engine.switch(model, renderer(model))


def machine() -> str:
    """This machine: its name, and a hardware address that tells equal names apart."""
    return f"{platform.node()} {uuid.getnode():x}"


def _check_folder(model: Model, remote: bool) -> None:
    host = platform.node()
    for folder in (model.path, model.adapter):
        if folder is not None and not folder.is_dir():
            raise ModelError(
                f"{folder}: is not on {host}; every worker loads the weights itself, so the folder must lie on a file "
                "system that all machines of the cluster see under one path"
            )
    if remote:
        found = resolve(str(model.adapter or model.path), model.options).fingerprint
        if found != model.fingerprint:
            raise ModelError(f"{model.path}: on {host} it holds another model (fingerprint {found}) than on the driver")
