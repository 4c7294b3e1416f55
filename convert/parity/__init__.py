"""Parity: int8 answers against float answers, the policy that judges them, and latency."""

__all__ = ["comparison", "latency", "policy", "stopwatch", "verdict"]
