"""Bundles replaced on a device that nobody watches: two slots, one switch, and a way back.

| module | concept |
|---|---|
| `durable` | file operations in the order in which they become durable; the seam where tests cut the power |
| `slots` | two folders, and the link that says which one serves |
| `state`, `history` | what is on trial, which versions were seen; what happened |
| `sources`, `fetch`, `repository` | where bundles come from: folder, stick, zip, https, TUF |
| `candidates` | which of what is offered may be installed, and why the others may not |
| `rings` | whose turn it is in a staged rollout |
| `prove` | the self-test of a new bundle, in a process of its own |
| `updater` | from a source to the idle slot |
| `boot`, `trial`, `watch` | in the service: which slot serves, what becomes of a new one, when to end for another |
| `commands` | `edge update`, `edge rollback`, `edge slots` |
"""
