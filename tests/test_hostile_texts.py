"""Patterns over what customers type and catalogues hold take a text's length, not its square."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from triad.redaction import shown_path
from triad.search.words import query_words
from triad.text.masking import masked
from triad.text.terms import terms
from triad.writing.tokens import cut, keys

HOSTILE = ["a", "1", "1,", "1,111", "a@b.", "1.", "a-", "+(", "a:@", "www.", "DE12 ABCD ", "a://", "1x", "'", "no. "]


@pytest.mark.parametrize("part", HOSTILE)
@pytest.mark.parametrize("reads", [masked, terms, query_words, keys, shown_path], ids=lambda reads: reads.__name__)
def test_no_text_is_read_again_and_again(reads: Callable[[str], object], part: str) -> None:
    """What a customer types, or a catalogue holds, costs its length."""
    begun = time.process_time()
    reads("a://" * (reads is shown_path) + part * (20_000 // len(part)))
    assert time.process_time() - begun < 2


def test_a_number_before_a_unit_is_cut_as_before() -> None:
    said = "2.66GHz, 1,5 kg A1,5kg 10,000mAh 3.5.2GB 12,5 and 1,2,3 GB v2.0"
    assert [token.text for token in cut(said)] == [
        *("2.66", "GHz", ",", "1,5", "kg", "A1", ",", "5", "kg", "10,000", "mAh", "3.5.2", "GB"),
        *("12", ",", "5", "and", "1,2,3", "GB", "v2.0"),
    ]
