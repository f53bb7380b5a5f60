"""The layout of all pages."""

import re

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from pipeline.infra.html import render
from tests.pages import Page

EVIL = "<script>alert('x')</script> & <b>bold</b>"


def test_values_are_escaped_but_markup_is_not() -> None:
    page = render("pipeline.infra", "templates/base.html.jinja", title=EVIL)
    assert "<script" not in page
    assert Page(page).text.count(EVIL) == 2  # title and heading
    assert "<b>bold</b>" in render(
        "pipeline.infra", "templates/base.html.jinja", title=Markup("<b>bold</b>")
    )


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="title"):
        render("pipeline.infra", "templates/base.html.jinja")


def test_the_layout_is_accessible_and_needs_no_other_file() -> None:
    page = render("pipeline.infra", "templates/base.html.jinja", title="t")
    Page(page).check()
    assert "http" not in page and "url(" not in page


def luminance(colour: str) -> float:
    """Compute the relative luminance of ``#rrggbb`` as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_contrast_of_every_text_on_every_ground() -> None:
    page = render("pipeline.infra", "templates/base.html.jinja", title="t")
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", page))
    assert {"text", "quiet", "up", "down", "accent", "band"} <= set(colours)
    for text in ("text", "quiet", "up", "down", "accent"):
        for ground in ("#ffffff", colours["band"], "#e7f0f9"):
            light, dark = sorted((luminance(colours[text]), luminance(ground)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
