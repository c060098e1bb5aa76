"""Which filter chain a connection takes at the doors that know providers by host.

In: a GatewaySpec, a door. Out: the matcher of a listener. What it matches nowhere is closed.
* A TLS client that asks for an LLM host is opened. server_names of filter chains know no star in the middle
  (bedrock-runtime.*.amazonaws.com), so the name is matched by pattern.
* A tunnel that CONNECT opened to an LLM host, and in which no LLM host is asked for, is closed: another SNI, none, or no TLS at
  all would go round the inspection.
* On ports of TLS nothing else passes: a ClientHello that comes late, or is larger than Envoy reads (16 KiB), looks like no TLS,
  and would pass unseen with the name of an LLM host in it.
* Who connects to the transparent door itself, with nobody redirecting, is closed: where the kernel follows connections (NAT), that
  one's destination is the door, and it would go in a circle until no descriptor is left.
"""

from typing import Any

from envoy_data_plane.envoy.extensions.matching.common_inputs.network import v3 as inputs
from envoy_data_plane.google.protobuf import StringValue
from envoy_data_plane.xds.core import v3 as xds
from envoy_data_plane.xds.type.matcher import v3 as matcher

from sidecar.envoyconf.providers import host_pattern
from sidecar.envoyconf.spec import NAMED_HOST, GatewaySpec
from sidecar.envoyconf.typed import pack

OPENED, PASSED, PLAIN, CLOSED = "opened", "passed", "plain", "closed"
_Predicate = matcher.MatcherMatcherListPredicate


def chosen_chain(spec: GatewaySpec, door: str) -> matcher.Matcher:
    """Return the matcher of a door's listener. CLOSED is no chain: Envoy closes what is sent there."""
    asked = _is(inputs.ServerNameInput(), "server_name", host_pattern(_by_name(spec)))
    rules = [(asked, OPENED), *(_tunnel(spec) if door == "proxy" else _redirected(spec))]
    fields = [
        matcher.MatcherMatcherListFieldMatcher(predicate=predicate, on_match=_to(chain)) for predicate, chain in rules
    ]
    return matcher.Matcher(matcher_list=matcher.MatcherMatcherList(matchers=fields), on_no_match=_to(CLOSED))


def _by_name(spec: GatewaySpec) -> list[str]:
    return [host for provider in spec.host_providers for host in provider.hosts if ":" not in host]


def _tunnel(spec: GatewaySpec) -> list[tuple[_Predicate, str]]:
    every = [host for provider in spec.host_providers for host in provider.hosts]
    named = _is(inputs.FilterStateInput(key=NAMED_HOST), "named_host", host_pattern(every) + "(?::[0-9]+)?")
    passing = [] if spec.deny_unknown_hosts else [(_tls(), PASSED)]
    return [(named, CLOSED), *passing]


def _redirected(spec: GatewaySpec) -> list[tuple[_Predicate, str]]:
    """A client of TLS names protocols too (ALPN http/1.1): plain is what is none."""
    http = _is(inputs.ApplicationProtocolInput(), "protocol", ".*http/1.[01].*|.*h2c.*")
    ports = "|".join(str(port) for port in spec.connect_ports)
    elsewhere = _not(_is(inputs.DestinationPortInput(), "port", ports))
    itself = _is(inputs.DestinationPortInput(), "port", str(spec.transparent_port))
    plain = (_Predicate(and_matcher=_all(_not(_tls()), http)), PLAIN)
    passing = [] if spec.deny_unknown_hosts else [(_Predicate(or_matcher=_all(_tls(), elsewhere)), PASSED)]
    return [(itself, CLOSED), plain, *passing]


def _tls() -> _Predicate:
    return _is(inputs.TransportProtocolInput(), "transport", "tls")


def _is(value: Any, name: str, pattern: str) -> _Predicate:
    regex = matcher.RegexMatcher(google_re2=matcher.RegexMatcherGoogleRe2(), regex=pattern)
    single = matcher.MatcherMatcherListPredicateSinglePredicate(
        input=xds.TypedExtensionConfig(name=name, typed_config=pack(value)),
        value_match=matcher.StringMatcher(safe_regex=regex),
    )
    return _Predicate(single_predicate=single)


def _not(predicate: _Predicate) -> _Predicate:
    return _Predicate(not_matcher=predicate)


def _all(*predicates: _Predicate) -> matcher.MatcherMatcherListPredicatePredicateList:
    return matcher.MatcherMatcherListPredicatePredicateList(predicate=list(predicates))


def _to(chain: str) -> matcher.MatcherOnMatch:
    named = xds.TypedExtensionConfig(name=chain, typed_config=pack(StringValue(value=chain)))
    return matcher.MatcherOnMatch(action=named)
