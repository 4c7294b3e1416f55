"""Access to the page: users, logins, tokens and roles, and what is checked before a request reaches a route."""

__all__ = ["access", "guard", "installation", "roles"]
