"""The Edge TPU: preflight rules, Coral's compiler, and what compiled files hold."""
