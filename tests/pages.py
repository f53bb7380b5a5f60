"""Read HTML pages as a reader without eyes would, for tests."""

import re
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "wbr", "br", "img", "input"}


class Page(HTMLParser):
    """What a screen reader would meet, and the text of every table."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self.open or "style" in self.open:
            return
        self.text += data
        if ("td" in self.open or "th" in self.open) and "small" not in self.open:
            self.tables[-1][-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def table(self, *heads: str) -> list[list[str]]:
        """The rows of the first table with these heads."""
        return next(t for t in self.tables if all(head in t[0] for head in heads))

    def check(self) -> None:
        """Fail if the page needs another file or is not accessible."""
        assert self.open == []
        assert not self.all("link") and not self.all("img")
        assert not any("src" in attributes for _, attributes in self.tags)
        assert self.all("html")[0]["lang"] == "en"
        assert self.all("meta")[1]["name"] == "viewport"
        levels = [int(tag[1]) for tag, _ in self.tags if re.fullmatch("h[1-6]", tag)]
        assert levels.count(1) == 1 and levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        assert len(self.all("caption")) == len(self.all("table"))
        assert all(attributes.get("scope") for attributes in self.all("th"))
        images = [attributes for _, attributes in self.tags if attributes.get("role") == "img"]
        assert len(images) == len(self.all("figure"))
        assert all(image.get("aria-label") for image in images)
