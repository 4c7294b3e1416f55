"""The bench as a whole: instrument, page and a browser, each a process of its own."""
