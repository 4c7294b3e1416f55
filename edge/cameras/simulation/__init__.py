"""The camera `sim:`: what its URI says, its stage, its view of a synthetic smear, and the camera itself."""

__all__ = ["settings", "simulated", "stage", "view"]
