"""Will it run on a Coral Edge TPU, and does it: the preflight without Coral's compiler, that compiler, its output."""
