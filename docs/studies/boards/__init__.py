"""Boards that were measured: their files as one page."""
