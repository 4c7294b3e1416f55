"""The rendering of pages from Jinja templates: every text is escaped, and a value that is missing is an error."""

from functools import cache
from typing import TYPE_CHECKING

from edge.errors import PageUnavailable, TemplateValueError

if TYPE_CHECKING:
    from jinja2 import Environment


def render_page(package: str, template: str, **values: object) -> str:
    """The page that a template makes of `values`, UTF-8 text.

    Args:
        package: dotted name of the package whose folder `templates` holds the template.
        template: its file name. It extends `base.html`, and may import `macros.html`, of this package.
        values: what the template lays out, by name.

    Raises:
        PageUnavailable: Jinja is not installed.
        TemplateValueError: the template names a value that is not there.
    """
    try:
        from jinja2 import UndefinedError
    except ImportError as error:
        raise PageUnavailable("pages need Jinja: pip install '.[html]' in a clone of Leukoscope") from error
    try:
        return _environment(package).get_template(template).render(values)
    except UndefinedError as error:
        raise TemplateValueError(f"{package}, {template}: {error}") from error


@cache
def _environment(package: str) -> "Environment":
    """Templates of `edge.page.html` come first, so that none of another package stands in for the base page."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=ChoiceLoader([PackageLoader("edge.page.html"), PackageLoader(package)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
