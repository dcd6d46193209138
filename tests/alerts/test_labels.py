"""Labels: identity, matchers, what is common."""

import re

from hypothesis import given
from hypothesis import strategies as st

from mainstem.alerts.labels import Matcher, common, fingerprint, like, matches

texts = st.text(st.sampled_from("ab*:1"), max_size=8)
labels = st.dictionaries(st.sampled_from(["a", "b", "ab", "a:1"]), texts, max_size=4)


@given(labels, labels, st.sampled_from(["rule:1", "rule:2", "api"]), st.sampled_from(["rule:1", "api"]))
def test_equal_fingerprints_mean_equal_labels(one: dict, other: dict, source: str, another: str) -> None:
    assert (fingerprint(source, one) == fingerprint(another, other)) is ((source, one) == (another, other))


@given(labels)
def test_a_fingerprint_does_not_know_the_order_of_labels(one: dict) -> None:
    assert fingerprint("api", dict(reversed(one.items()))) == fingerprint("api", one)
    assert re.fullmatch("[0-9a-f]{16}", fingerprint("api", one))


def test_labels_do_not_run_into_each_other() -> None:
    assert fingerprint("api", {"a": "bc"}) != fingerprint("api", {"ab": "c"})
    assert fingerprint("api", {"a": "1:b1:c"}) != fingerprint("api", {"a": "1", "b": "c"})
    assert fingerprint("api", {}, "x") != fingerprint("api", {})


@given(texts, texts)
def test_a_star_stands_for_anything(pattern: str, text: str) -> None:
    regex = ".*".join(re.escape(part) for part in pattern.split("*"))
    assert like(pattern, text) is (re.fullmatch(regex, text, re.DOTALL) is not None)


def test_a_pattern_takes_no_time_to_fail() -> None:
    assert not like("*a" * 500 + "b", "a" * 20_000)


def test_all_matchers_must_hold() -> None:
    about = {"alertname": "ApiErrorsHigh", "severity": "critical"}
    assert matches([Matcher("alertname", "Api*"), Matcher("severity", "critical")], about)
    assert not matches([Matcher("alertname", "Api*"), Matcher("severity", "warning")], about)
    assert matches([Matcher("alertname", "Api*"), Matcher("severity", "warning", is_equal=False)], about)
    assert matches([Matcher("webhook_id", "")], about)
    assert not matches([Matcher("webhook_id", "", is_equal=False)], about)


def test_common_labels() -> None:
    assert common([{"a": "1", "b": "2"}, {"a": "1", "b": "3"}]) == {"a": "1"}
    assert common([{"a": "1"}]) == {"a": "1"}
    assert common([]) == {}
