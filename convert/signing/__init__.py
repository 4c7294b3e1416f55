"""Signing: keys, signed manifests, and TUF repositories."""
