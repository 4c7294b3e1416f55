"""Commissioning: a microscope set up, labelled fields collected on it, and control slides judged day by day."""

__all__ = ["fields_table", "patient_names", "registration"]
