"""A record as XML."""

from __future__ import annotations

from xml.etree import ElementTree

from gateway.demo.legacy_register import Record

_ITEMS = {"enfants": "enfant", "historique": "fait"}


def _fill(element: ElementTree.Element, record: Record) -> None:
    for field, value in record.items():
        child = ElementTree.SubElement(element, field)
        if isinstance(value, dict):
            _fill(child, value)
        elif isinstance(value, list):
            for item in value:
                _fill(ElementTree.SubElement(child, _ITEMS[field]), item)
        elif isinstance(value, bool):
            child.text = "oui" if value else "non"
        elif value is not None:
            child.text = str(value)


def record_as_xml(record: Record) -> bytes:
    """The record in an element `demandeur`, one element a field, in UTF-8 with its declaration."""
    root = ElementTree.Element("demandeur")
    _fill(root, record)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document
