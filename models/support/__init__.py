"""What every room of `models` needs: progress, record files, versions, quiet TensorFlow, keyed random numbers."""

__all__ = ["keyed_random", "progress", "provenance", "quiet_tensorflow", "records", "versions"]
