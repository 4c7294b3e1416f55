"""Updates: a new bundle from a folder, stick, web server or TUF repository into the idle one of two slots."""
