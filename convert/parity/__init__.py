"""Parity: int8 answers against float answers, the policy that judges them, and latency."""

__all__ = ["check", "comparison", "device", "latency", "policy", "stopwatch", "summary", "verdict", "verdict_table"]
