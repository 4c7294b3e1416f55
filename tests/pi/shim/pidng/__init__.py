"""Stands in for a package that picamera2 imports to write DNG files, which nothing here does."""
