"""From a template to one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING

from brainclock import __version__
from brainclock.report.figures import Picture

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def template(name: str) -> Template:
    """Return a template of this room: it escapes whatever it is given, and a missing name is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("brainclock.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["version"] = __version__
    return environment.get_template(name)


def inlined(picture: Picture) -> dict[str, str]:
    """Return a drawing as the templates want it."""
    data = base64.b64encode(picture.svg.encode()).decode()
    return {"name": picture.name, "alt": picture.alt, "caption": picture.caption, "data": data}
