"""Image sets: reading, checking, splitting, and the facts of the published set."""
