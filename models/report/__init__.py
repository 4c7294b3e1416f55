"""Reports: model cards, pages and figures made from records."""
