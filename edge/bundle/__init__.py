"""Bundles: reading, verifying and writing a model's folder, and the signatures and keys that say which may run.

A machine that holds trusted keys runs only signed bundles; a machine that holds none runs the bundle that ships
inside its own installation and no other. `--allow-unsigned` lifts this for one command and shows in every record.
`cryptography` and `securesystemslib` are imported where keys are held, not before.
"""

__all__ = [
    "acceptance",
    "bundle",
    "certified_policy",
    "envelope",
    "files",
    "golden",
    "keys",
    "manifest",
    "policy",
    "provenance",
    "statement",
    "trusted",
]
