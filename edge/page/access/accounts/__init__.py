"""Accounts: users, sessions, tokens and one-time secrets in one SQLite file, the throttle of logins, the audit log."""

__all__ = ["audit_log", "database", "devices", "lanes", "once", "passwords", "sessions", "throttle", "tokens", "users"]
