"""Settings: the profile `/etc/leukoscope/edge.toml`, and the model and keys that it names."""

__all__ = ["announced_name", "bench", "model", "page", "profile", "profile_edit", "site", "trusted_keys"]
