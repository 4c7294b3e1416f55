"""What every room of `models` needs: progress, record files, versions, quiet TensorFlow, keyed random numbers."""
