"""The wire: what is checked of every request and connection before anybody is asked who they are; the certificate."""

__all__ = ["addresses", "defects", "headers", "hosts", "listener", "origins", "tls"]
