"""Signing: keys, signed manifests, and TUF repositories."""

__all__ = ["keys", "repository", "repository_keys", "signing"]
