"""Words and images as a document holds them."""

from __future__ import annotations

from postlaw_common.store import Document
from postlaw_sending.campaigns.domain.campaign import Template
from postlaw_sending.campaigns.domain.images import Image


def images_to_document(template: Template) -> list[list[str | bytes]]:
    return [[image.name, image.content_type, image.content] for image in template.images]


def template_from_document(document: Document) -> Template:
    """Of its `template` and `images`; as before there were any, none."""
    subject, html, text = document["template"]
    return Template(subject, html, text, tuple(Image(*image) for image in document.get("images", ())))
