"""Recovery of accuracy that quantization cost: equalization, bias correction, range search, fine-tuning."""
