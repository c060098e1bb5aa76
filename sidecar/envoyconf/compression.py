"""Answers that come compressed although plain ones were asked for: what Envoy does so that the sidecar can take the coding off.

In: nothing. Out: an HTTP filter, to stand behind ext_proc: filters of an answer run from the last to the first.
Where the coding is one the sidecar reads, the filter takes the header away and keeps its value where ext_proc finds it, also on
routes where the sidecar is not shown headers. Other answers pass as they are, and count as unscanned.
Why not Envoy's decompressor filter (tried on 1.40): it reports byte counts in trailers, and an answer that grows trailers
inside the chain never ends behind a STREAMED ext_proc; and what it could read of a broken body it passes on as if that were
whole. If the sidecar fails open (observe mode) such an answer reaches its client compressed and without the header.
"""

from envoy_data_plane.envoy.extensions.common.matching import v3 as matching
from envoy_data_plane.envoy.extensions.filters.common.matcher.action import v3 as action
from envoy_data_plane.envoy.extensions.filters.http.header_to_metadata import v3 as metadata
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.type.matcher import v3 as inputs
from envoy_data_plane.xds.core import v3 as xds_core
from envoy_data_plane.xds.type.matcher import v3 as xds

from sidecar.envoyconf.spec import CODING_KEY, CODING_NAMESPACE, CODINGS
from sidecar.envoyconf.typed import extension, pack

_HEADER = "content-encoding"
_NAME = "envoy.filters.http.header_to_metadata"


def answer_coding() -> hcm.HttpFilter:
    """Return the filter that takes a readable content-encoding from an answer's headers and remembers it."""
    keep = metadata.ConfigKeyValuePair(metadata_namespace=CODING_NAMESPACE, key=CODING_KEY)
    rule = metadata.ConfigRule(header=_HEADER, on_header_present=keep, remove=True)
    guarded = matching.ExtensionWithMatcher(
        xds_matcher=_skip_unless_readable(),
        extension_config=extension(_NAME, metadata.Config(response_rules=[rule])),
    )
    return hcm.HttpFilter(name=_NAME, typed_config=pack(guarded))


def _skip_unless_readable() -> xds.Matcher:
    """An answer without the header does not match either, and is skipped too."""
    readable = xds.MatcherMatcherListPredicate(
        single_predicate=xds.MatcherMatcherListPredicateSinglePredicate(
            input=_xds(_HEADER, inputs.HttpResponseHeaderMatchInput(header_name=_HEADER)),
            value_match=xds.StringMatcher(
                safe_regex=xds.RegexMatcher(regex="(?i)" + "|".join(CODINGS), google_re2=xds.RegexMatcherGoogleRe2())
            ),
        )
    )
    skip = xds.MatcherOnMatch(action=_xds("skip", action.SkipFilter()))
    field = xds.MatcherMatcherListFieldMatcher(
        predicate=xds.MatcherMatcherListPredicate(not_matcher=readable), on_match=skip
    )
    return xds.Matcher(matcher_list=xds.MatcherMatcherList(matchers=[field]))


def _xds(name: str, message: object) -> xds_core.TypedExtensionConfig:
    return xds_core.TypedExtensionConfig(name=name, typed_config=pack(message))
