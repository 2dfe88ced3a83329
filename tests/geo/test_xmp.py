from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfix.geo.xmp import parse_xmp

PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" xmlns:sensefly="http://ns.sensefly.com/sensefly/1.0/"
 drone-dji:GimbalYawDegree="+44.70"><sensefly:Height>68.35</sensefly:Height></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
VALUES = {"drone-dji:GimbalYawDegree": "+44.70", "sensefly:Height": "68.35"}


def test_attributes_and_elements_are_read():
    assert parse_xmp(PACKET) == VALUES
    assert parse_xmp(PACKET.encode()) == VALUES
    assert parse_xmp(PACKET.encode() + b"\0" * 50) == VALUES


def test_the_namespace_counts_and_not_the_prefix():
    assert parse_xmp(PACKET.replace("drone-dji:", "ns1:").replace("xmlns:drone-dji", "xmlns:ns1")) == VALUES
    assert "drone-dji:GimbalYawDegree" not in parse_xmp(PACKET.replace("www.dji.com", "example.org"))


def test_a_packet_cut_short_still_gives_what_is_legible():
    assert parse_xmp(PACKET[: PACKET.index("</rdf:Description>")]) == VALUES
    assert parse_xmp(PACKET[: PACKET.index("<sensefly:")]) == {"drone-dji:GimbalYawDegree": "+44.70"}


def test_entities_are_never_expanded():
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    assert parse_xmp(bomb + PACKET.replace("+44.70", "&b;")).get("drone-dji:GimbalYawDegree") in (None, "&b;")


@pytest.mark.parametrize("packet", [b"", "", b"\xff\xfe\0\0", "<x:xmpmeta", "no xml at all"])
def test_nothing_legible_is_an_empty_table(packet):
    assert parse_xmp(packet) == {}


@given(
    st.binary()
    | st.text()
    | st.integers(0, len(PACKET)).map(lambda cut: PACKET[:cut])
    | st.integers(0, len(PACKET)).map(lambda cut: PACKET[cut:])
)
def test_nothing_raises(packet):
    assert isinstance(parse_xmp(packet), dict)
