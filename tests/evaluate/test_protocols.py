from __future__ import annotations

import pytest

from crossfix.errors import InputError
from crossfix.evaluate.protocols import PROTOCOLS, find_protocol


def test_a_protocol_that_is_not_there():
    with pytest.raises(InputError, match=r"no protocol 'market'; use one of university1652, .*vigor"):
        find_protocol("market")


def test_the_protocols_are_those_of_the_command():
    assert list(PROTOCOLS) == [
        "university1652",
        "university1652-sample4geo",
        "sues200",
        "denseuav",
        "gtauav",
        "cvusa",
        "cvact",
        "cvact-test",
        "vigor",
    ]


def test_every_protocol_says_whose_it_is_and_what_it_needs():
    for name, protocol in PROTOCOLS.items():
        assert find_protocol(name) is protocol
        assert protocol.name == name
        assert len(protocol.about) > 50
        assert ("positives" in protocol.query_needs) == (protocol.right == "positives")
        assert ("semi_positives" in protocol.query_needs) == protocol.hit
        assert ("xy_m" in protocol.gallery_needs) == (protocol.within_m is not None or bool(protocol.dis))


@pytest.mark.parametrize(("name", "images"), [("university1652", {49: 1, 50: 1, 51: 2, 150: 3, 951: 11}), ("vigor", {99: 0, 90_618: 906})])
def test_how_many_images_one_percent_is(name, images):
    for gallery, looked in images.items():
        assert PROTOCOLS[name].top_percent(gallery) == looked
