"""What every room of `models` needs: record files, versions, quiet TensorFlow, keyed random numbers."""

__all__ = ["keyed_random", "provenance", "quiet_tensorflow", "records", "versions"]
