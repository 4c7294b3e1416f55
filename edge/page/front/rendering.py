"""The rendering of the page's templates: every text is escaped, and a value that is missing is an error."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: object) -> str:
    """The HTML that a template of this room makes of `values`.

    Raises:
        jinja2.UndefinedError: the template names a value that is not there. KeyError: a text that no catalogue has.
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("edge.page.front"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
