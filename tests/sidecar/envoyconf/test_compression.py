"""The filter that keeps an answer's coding. What a real Envoy makes of it is in tests/envoy/test_compression.py."""

import re

from envoy_data_plane.envoy.extensions.common.matching import v3 as matching
from envoy_data_plane.envoy.extensions.filters.http.header_to_metadata import v3 as metadata

from sidecar.envoyconf.compression import answer_coding
from sidecar.envoyconf.spec import CODINGS


def test_only_a_coding_that_can_be_read_is_taken_from_the_headers() -> None:
    guarded = answer_coding().typed_config.unpack()  # type: ignore[union-attr]
    assert isinstance(guarded, matching.ExtensionWithMatcher)
    (field,) = guarded.xds_matcher.matcher_list.matchers  # type: ignore[union-attr]
    single = field.predicate.not_matcher.single_predicate  # type: ignore[union-attr]
    pattern = re.compile(single.value_match.safe_regex.regex)  # type: ignore[union-attr]
    assert all(pattern.fullmatch(name) and pattern.fullmatch(name.upper()) for name in CODINGS)
    assert not any(pattern.fullmatch(name) for name in ("deflate", "gzip, br", "identity", ""))
    config = guarded.extension_config.typed_config.unpack()  # type: ignore[union-attr]
    assert isinstance(config, metadata.Config)
    (rule,) = config.response_rules
    assert (rule.header, rule.remove, config.request_rules) == ("content-encoding", True, [])
