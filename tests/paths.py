"""Where the checkout is, and what lies beside it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"  # weights, fixtures and images that cannot be in the repository
