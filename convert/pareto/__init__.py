"""The same network at other widths, input sizes and number formats: what each costs and what it still knows."""
