"""The routes of access: the session of a browser, and what administers users, tokens and the audit log."""

__all__ = ["administration", "session"]
