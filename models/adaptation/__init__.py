"""Adaptation: a network made for one laboratory's microscope from its labelled slides."""

__all__ = ["adaptation_record", "job"]
