"""A laboratory's labelled slides: reading them, and the audit that says what its fields can show."""

__all__ = ["audit", "audit_record", "audit_text", "fields", "findings", "options", "refusals", "slide_folds"]
