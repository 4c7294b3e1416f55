"""Commands of `convert`: requests that are checked when made and carried out by `execute`."""

__all__ = [
    "calibration",
    "compile",
    "diagnose",
    "golden",
    "inspect",
    "pareto",
    "parity",
    "publish",
    "quantize",
    "signing",
    "summary",
]
