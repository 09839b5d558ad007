"""Templates of pages, in which no text of a repository becomes markup, nor is drawn as something else."""

from __future__ import annotations

from functools import partial
from importlib import resources
from typing import TYPE_CHECKING

from hubaudit.report.escape import visible

if TYPE_CHECKING:
    from jinja2 import Environment


def part(package: str, name: str) -> str:
    """A template, style or script of a package, from its folder `templates`."""
    return resources.files(package).joinpath("templates", name).read_text(encoding="utf-8")


def environment(package: str) -> Environment:
    """For the templates of a package: all values escaped, and a name that is not there an error."""
    # Here, because nothing but a page of HTML needs it and it takes a tenth of a second
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(partial(part, package)),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: object) -> object:
    """What a template puts out: text made visible. What is HTML stays, and only templates make that."""
    return value if hasattr(value, "__html__") else visible(str(value))
