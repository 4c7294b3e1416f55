"""The daily control: a control slide measured, judged by Westgard's rules, and what a run demands of it."""

__all__ = []
