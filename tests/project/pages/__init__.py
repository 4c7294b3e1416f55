"""Tests of README and docs, and the commands that write parts of them."""
