"""Counts, medians and lists that stay small."""

from __future__ import annotations

import random
import statistics

from hypothesis import given
from hypothesis import strategies as st

from cowrie_sessionstats._bounded import (
    DISTINCT_EXACT,
    GAP_ERROR,
    GAPS_EXACT,
    LIST_LIMIT,
    TEXT_LIMIT,
    DistinctTexts,
    FirstTexts,
    Gaps,
)

gaps = st.floats(min_value=1e-4, max_value=9e4, allow_nan=False).map(lambda gap: round(gap, 6))


def counted(texts: list[str]) -> int:
    """Return how many different texts the bounded structure sees."""
    distinct = DistinctTexts()
    for text in texts:
        distinct.add(text)
    return distinct.count()


@given(st.lists(st.text(), max_size=300))
def test_distinct_texts_are_exact_up_to_the_stated_size(texts: list[str]) -> None:
    """Up to 64 different texts the count is that of a set, however often each comes."""
    kept = list(dict.fromkeys(texts))[:DISTINCT_EXACT]
    assert counted([text for text in texts if text in kept]) == len(kept)


def test_distinct_texts_are_near_beyond_it() -> None:
    """The standard error beyond is what the docstring states: over 60 runs, not larger by half."""
    errors = []
    for run in range(60):
        size = 30 * (run + 3)
        count = counted([f"{run} {i}" for i in range(size)] * 2)
        errors.append((count - size) / (size - DISTINCT_EXACT))
    assert statistics.fmean(error**2 for error in errors) ** 0.5 < 1.5 * 0.065


def test_distinct_texts_take_lone_surrogates() -> None:
    """A text that is no Unicode counts as any other."""
    assert counted([f"\ud800{i}" for i in range(DISTINCT_EXACT)]) == DISTINCT_EXACT
    assert counted([f"\ud800{i}" for i in range(DISTINCT_EXACT + 1)]) == DISTINCT_EXACT + 1


@given(st.lists(gaps, min_size=1, max_size=GAPS_EXACT))
def test_gaps_are_exact_up_to_the_stated_size(values: list[float]) -> None:
    """Median and variation of few gaps are those of the statistics module."""
    bounded = Gaps()
    for value in values:
        bounded.add(value)
    assert bounded.median() == round(statistics.median(values), 7)
    variation = bounded.variation()
    if len(values) == 1:
        assert variation is None
    else:
        assert variation is not None
        want = statistics.pstdev(values) / statistics.fmean(values)
        assert abs(variation - want) < 1e-6


@given(st.lists(gaps, min_size=GAPS_EXACT + 1, max_size=400))
def test_gaps_are_within_the_stated_error_beyond_it(values: list[float]) -> None:
    """The median of many gaps is within 5 % of the middle ones, the variation exact."""
    bounded = Gaps()
    for value in values:
        bounded.add(value)
    ordered = sorted(values)
    low, high = ordered[(len(values) - 1) // 2], ordered[len(values) // 2]
    median, variation = bounded.median(), bounded.variation()
    assert median is not None
    assert low * (1 - GAP_ERROR) - 1e-6 <= median <= high * (1 + GAP_ERROR) + 1e-6
    assert variation is not None
    want = statistics.pstdev(values) / statistics.fmean(values)
    assert abs(variation - want) < 1e-6 + 1e-6 * want


def test_a_bucket_that_is_full_keeps_the_median() -> None:
    """More gaps of one length than a bucket counts do not move the median."""
    bounded = Gaps()
    draw = random.Random(1)
    for _ in range(200_000):
        bounded.add(0.05 if draw.random() < 0.6 else 3.0)
    median = bounded.median()
    assert median is not None
    assert abs(median - 0.05) < 0.05 * GAP_ERROR


def test_gaps_of_nothing_say_nothing() -> None:
    """Without gaps, or with gaps of no length, there is no spread."""
    assert Gaps().median() is None
    bounded = Gaps()
    for _ in range(3):
        bounded.add(0.0)
    assert bounded.median() == 0
    assert bounded.variation() is None


def test_first_texts_keep_32_of_1024_characters_and_say_what_was_cut() -> None:
    """A list is full at 32 different texts; longer ones are cut."""
    texts = FirstTexts()
    for i in range(LIST_LIMIT):
        texts.add(f"text {i}")
        texts.add("text 0")
    assert len(texts.texts) == LIST_LIMIT
    assert not texts.cut
    texts.add("one more")
    assert len(texts.texts) == LIST_LIMIT
    assert texts.cut

    long = FirstTexts()
    long.add("x" * TEXT_LIMIT)
    assert not long.cut
    long.add("y" * (TEXT_LIMIT + 1))
    assert [len(text) for text in long.texts] == [TEXT_LIMIT, TEXT_LIMIT]
    assert long.cut
