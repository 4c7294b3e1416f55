"""TFLite files, read safely before an interpreter sees them."""
