"""evalsuite: what did alignment do to this model, and why?

>>> import evalsuite
>>> run = evalsuite.run("smollm2", tasks="plain_facts", limit=10)
>>> run.metrics, run.samples          # pandas DataFrames
"""

__version__ = "0.1.0"
__all__ = ["__version__", "compare", "open_run", "run"]


def __getattr__(name: str) -> object:
    # Lazy (PEP 562): importing evalsuite must load neither torch nor pandas.
    if name in ("run", "open_run", "compare"):
        from evalsuite import api

        return getattr(api, name)
    raise AttributeError(f"module 'evalsuite' has no attribute '{name}'")
