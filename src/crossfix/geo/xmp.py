"""Reads an XMP packet into a flat table of ``prefix:Name`` to text.

The packets of cameras are small XML documents, but photo programs truncate and splice them; what is no XML any more is searched for the
values that are still legible.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

_PREFIXES = {
    "http://www.dji.com/drone-dji/1.0/": "drone-dji",
    "http://pix4d.com/camera/1.0/": "Camera",
    "http://pix4d.com/camera/1.0": "Camera",
    "http://ns.sensefly.com/sensefly/1.0/": "sensefly",
    "http://www.parrot.com/drone-parrot/1.0/": "drone-parrot",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
}
"""The vocabularies we read, under the names that their own documents use."""

_NAMES = "|".join(sorted(set(_PREFIXES.values())))
_ATTRIBUTE = re.compile(rf"""\b({_NAMES}):(\w+)\s*=\s*["']([^"'<>]*)["']""")
_ELEMENT = re.compile(rf"<({_NAMES}):(\w+)>([^<>]*)</\1:\2>")


def parse_xmp(packet: bytes | str) -> dict[str, str]:
    """The plain values of a packet.

    Args:
        packet: the packet with or without its wrapper, UTF-8 if bytes.

    Returns:
        Text by ``prefix:Name`` for the vocabularies we read, whatever prefix the packet itself uses; lists and structures are left out.
        Empty for a packet that holds nothing legible.
    """
    text = packet.decode("utf-8", errors="replace") if isinstance(packet, bytes) else packet
    text = text.replace("\0", "")
    start, end = text.find("<x:xmpmeta"), text.rfind("</x:xmpmeta>")
    document = text[start : end + len("</x:xmpmeta>")] if 0 <= start < end else text
    # No camera writes a document type; entities declared in one could grow without bound.
    if "<!DOCTYPE" not in document and "<!ENTITY" not in document:
        try:
            return _from_tree(ElementTree.fromstring(document.strip()))
        except (ElementTree.ParseError, ValueError):
            pass
    return _from_text(text)


def _from_tree(root: ElementTree.Element) -> dict[str, str]:
    values: dict[str, str] = {}
    for element in root.iter():
        named = [(element.tag, element.text or "")] if len(element) == 0 else []
        for tag, value in [*element.attrib.items(), *named]:
            namespace, _, name = tag.removeprefix("{").partition("}")
            if (prefix := _PREFIXES.get(namespace)) and value.strip():
                values.setdefault(f"{prefix}:{name}", value.strip())
    return values


def _from_text(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for pattern in (_ATTRIBUTE, _ELEMENT):
        for prefix, name, value in pattern.findall(text):
            if value.strip():
                values.setdefault(f"{prefix}:{name}", value.strip())
    return values
