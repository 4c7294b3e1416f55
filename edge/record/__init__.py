"""The record: verdicts, events and images in a hash chain; its audit, export and retention."""
