"""Tests of the instrument's socket, and an instrument without camera and model that everybody may use."""
