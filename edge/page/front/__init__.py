"""What the technician sees: the HTML pages, their style and scripts, and every text in English and German."""

__all__ = ["router"]
