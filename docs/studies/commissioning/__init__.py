"""Studies of commissioning: registration of fields, and figures of set-ups and controls."""
