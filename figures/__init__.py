"""Figures and claims of the reproduction, made from result files only.

`import figures` is light: matplotlib, numpy, pandas and scipy are loaded when something is drawn or computed.
"""

from importlib import import_module

_WHERE = {
    "CLAIMS": "figures.claims.registry",
    "evaluate": "figures.claims.registry",
    "frame": "figures.analysis.table",
    "paired": "figures.analysis.table",
    "claims_json": "figures.claims.tables",
    "claims_markdown": "figures.claims.tables",
    "load": "figures.results.load",
    "ResultError": "figures.results.fields",
    "FIGURES": "figures.catalogue",
    "FigureSpec": "figures.catalogue",
    "Claim": "figures.claims.registry",
    "SweepEntry": "figures.analysis.sweeps",
    "Caption": "figures.plots.builder",
    "Drawing": "figures.plots.builder",
    "register": "figures.registries",
    "explain": "figures.provenance.explain",
    "phase_portrait": "figures.plots.portrait",
}
_MODULES = ("analysis", "catalogue", "claims", "comparison", "plots", "provenance", "regenerate", "report", "results")
__all__ = ["CLAIMS", "FIGURES", "ResultError", "claims_json", "claims_markdown", "evaluate", "explain", "frame"]
__all__ += ["Caption", "Claim", "Drawing", "FigureSpec", "SweepEntry", "load", "paired", "phase_portrait", "register"]


def __getattr__(name):
    """Import a public name from its module when it is first used."""
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    if name in _MODULES:
        return import_module(f"figures.{name}")
    raise AttributeError(f"figures has no {name!r}; it has {', '.join(__dir__())}")


def __dir__():
    """List the package's public names, loaded or not."""
    return sorted(set(__all__) | set(_MODULES))
