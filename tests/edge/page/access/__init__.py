"""Access to the page."""
