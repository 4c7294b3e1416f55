"""A QR code of the page's address, for the camera of a phone."""

import io

from markupsafe import Markup


def qr_svg(text: str) -> Markup:
    """`text` as a QR code (ISO/IEC 18004, error correction M) in SVG markup, black on white with a quiet zone.

    >>> qr_svg("https://192.0.2.7:8443/")[:4]
    Markup('<svg')
    """
    import segno

    written = io.BytesIO()
    code = segno.make(text, error="m", micro=False)
    code.save(
        written, kind="svg", scale=6, border=4, dark="#000", light="#fff", xmldecl=False, svgns=True, omitsize=False
    )
    return Markup(written.getvalue().decode("utf-8").strip())  # made of numbers alone: the text is not in it
