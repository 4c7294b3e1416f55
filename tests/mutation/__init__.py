"""Mutation testing: small faults set into a module, one at a time, which its tests must notice."""
