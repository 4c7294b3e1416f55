"""Recovery of accuracy that quantization cost: equalization, bias correction, range search, fine-tuning."""

__all__ = ["equalization", "fine_tune", "recover", "search_log"]
