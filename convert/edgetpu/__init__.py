"""The Edge TPU: preflight rules, Coral's compiler, and what compiled files hold."""

__all__ = ["bundle", "compiled", "compiler", "preflight"]
