"""The pipeline of a run: capture, gates, classification and recording as concurrent stages."""
