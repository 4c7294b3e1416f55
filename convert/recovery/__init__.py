"""Bringing back what full-int8 costs: a search over ways to quantize, judged on images of its own."""
