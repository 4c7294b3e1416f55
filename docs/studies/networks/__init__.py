"""Studies of the networks on altered and synthetic images."""
