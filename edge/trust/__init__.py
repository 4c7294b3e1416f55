"""Whose bundles run here: signatures of manifests, the keys that a machine trusts, and what it refuses.

One sentence holds all of it: a machine that holds trusted keys runs signed bundles alone; a machine that holds none
runs the bundle that ships inside its own installation and no other; `--allow-unsigned` lifts this for one command and
shows in every record.

Signing is `convert sign`; a device only verifies. `cryptography` and `securesystemslib` are imported where keys are
held, not before.
"""
