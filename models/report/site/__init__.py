"""Pages about a laboratory's own slides: its audit, and the network adapted to it."""

__all__ = ["adaptation_page", "adaptation_text", "site_page"]
