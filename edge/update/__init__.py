"""Bundles replaced on a device that nobody watches: two slots, one switch, and a way back.

| module | concept |
|---|---|
| `durable` | file operations in the order in which they become durable; the seam where tests cut the power |
| `slots` | two folders, and the link that says which one serves |
| `state`, `history` | what is on trial, which versions were seen; what happened |
| `sources`, `archive`, `fetch`, `repository` | where bundles come from: folder, stick, zip, https, TUF |
| `rings` | whose turn it is in a staged rollout |
| `prove` | the self-test of a new bundle, in a process of its own |
| `updater` | from a source to the idle slot |
| `boot`, `trial` | at the start of the service: which slot serves, and what becomes of a new one |
| `commands` | `edge update`, `edge rollback`, `edge slots` |
"""
