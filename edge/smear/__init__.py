"""How a drawn smear field comes about: recipes of classes, kinds of cells, their layout, and what optics make of it.

`edge.virtual_slide` is the slide that is drawn so.
"""
