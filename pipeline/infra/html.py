"""Render HTML pages that need no other file and no network.

All pages share the layout, style and macros of ``templates/``. A page's own template lies beside
its module, extends ``base.html.jinja`` and fills the block ``main``.
"""

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def render(package: str, template: str, **values: object) -> str:
    """Render ``template``, a file in ``package``.

    Every value is escaped, except ``Markup``. The layout needs the value ``title``.

    Raises:
        jinja2.UndefinedError: the template uses a value that is not given.
    """
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader(package, "."), PackageLoader("pipeline.infra", "templates")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)
