"""What lets a page be read at a desk and on a phone: pictures drawn for both, and tables that become lists.

- ``{picture} name`` puts docs/pictures/name.svg into the page, and name-narrow.svg for a phone, as part of the page: their text can be
  selected. Its content is the text for those who cannot see them.
- Each cell of a table knows the head of its column, which _static/pages.css shows where there is no room for columns.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class Picture(SphinxDirective):
    """A picture that ``make pictures`` has drawn."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the two drawings."""
        if not self.content:
            raise self.error("a picture needs a text that says what it shows")
        says = html.escape(" ".join(self.content), quote=True)
        drawings = []
        for kind, suffix in (("wide", ""), ("narrow", "-narrow")):
            file = Path(self.env.srcdir) / "pictures" / f"{self.arguments[0]}{suffix}.svg"
            self.env.note_dependency(str(file))
            named = f'<svg role="img" aria-label="{says}" '
            drawings.append(f'<div class="{kind}">{file.read_text(encoding="utf-8").replace("<svg ", named, 1)}</div>')
        return [nodes.raw("", f'<figure class="picture">{"".join(drawings)}</figure>', format="html")]


class CellHeads(SphinxPostTransform):
    """Writes the head of its column into each cell."""

    default_priority = 700
    formats: ClassVar[tuple[str, ...]] = ("html",)

    def run(self, **_: Any) -> None:
        """Change the tables of a page."""
        for group in self.document.findall(nodes.tgroup):
            head, body = next(group.findall(nodes.thead), None), next(group.findall(nodes.tbody))
            heads = [entry.astext() for entry in head.findall(nodes.entry)] if head else []
            for row in body.findall(nodes.row):
                for title, entry in zip(heads, row.children, strict=False):
                    if title and entry.children and isinstance(entry.children[0], nodes.TextElement):
                        entry.children[0].insert(0, nodes.inline("", f"{title}: ", classes=["cell-head"]))


class Drawings(SphinxPostTransform):
    """Marks blocks of text that are drawings: their lines must not be wrapped."""

    default_priority = 700
    formats: ClassVar[tuple[str, ...]] = ("html",)

    def run(self, **_: Any) -> None:
        """Change the blocks of a page."""
        for block in self.document.findall(nodes.literal_block):
            if any(stroke in block.astext() for stroke in ("------", "   |   ")):
                block["classes"].append("drawing")


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of all of it."""
    app.add_directive("picture", Picture)
    app.add_post_transform(CellHeads)
    app.add_post_transform(Drawings)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
