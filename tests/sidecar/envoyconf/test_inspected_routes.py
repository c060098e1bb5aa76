"""Pairs of routes: what announces its body goes swiftly, everything else carefully."""

from dataclasses import replace

from envoy_data_plane.envoy.config.route import v3 as route

from sidecar.envoyconf.filters import EXT_PROC
from sidecar.envoyconf.inspected_routes import failure_mode, inspected, refused, uninspected
from sidecar.envoyconf.spec import GatewaySpec

SPEC = GatewaySpec(sockets=("/tmp/w-0.sock",), folder="/run/douane")
MATCH = route.RouteMatch(prefix="/x/", headers=[route.HeaderMatcher(name="x-a", present_match=True)])
ACTION = route.RouteAction(cluster="c")


def test_a_pair_matches_the_announced_body_first_and_keeps_what_it_was_given() -> None:
    swift, careful = inspected("door/p", MATCH, ACTION, SPEC)
    assert (swift.name, careful.name) == ("door/p", "door/p/careful")
    assert swift.match is not None
    assert [h.name for h in swift.match.headers] == ["x-a", ":method", "content-length", "content-encoding"]
    assert careful.match == MATCH
    assert EXT_PROC in careful.typed_per_filter_config
    assert swift.typed_per_filter_config == {}


def test_answers_that_are_held_show_their_head_on_both() -> None:
    swift, _ = inspected("door/p", MATCH, ACTION, replace(SPEC, hold_answers=True))
    assert EXT_PROC in swift.typed_per_filter_config


def test_without_a_sidecar_nothing_is_asked_of_it() -> None:
    alone = replace(SPEC, sockets=())
    assert (failure_mode(alone), uninspected(alone)) == ({}, {})
    assert all(r.typed_per_filter_config == {} for r in inspected("door/p", MATCH, ACTION, alone))


def test_a_refusal_answers_itself() -> None:
    found = refused("nowhere", MATCH, 404, "no", SPEC)
    assert found.direct_response is not None
    assert found.direct_response.status == 404
    assert EXT_PROC in found.typed_per_filter_config
