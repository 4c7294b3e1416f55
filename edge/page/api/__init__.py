"""The API of the page: routes under /api/v1 on slides and fields, the instrument, and what stands behind them."""

__all__ = ["fields", "health", "instrument", "live", "openapi", "slides"]
