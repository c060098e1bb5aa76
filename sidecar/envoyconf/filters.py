"""The HTTP filter chain: strip, inspect, hold, route.

In: a GatewaySpec. Out: the connection manager with its filters.
Order matters. Client copies of our internal headers go first; ext_proc asks the sidecar; the buffer filter behind it keeps
the request headers back until the verdict (with request headers SKIP they would otherwise run ahead of the body, API key
included); the router sends.
"""

from envoy_data_plane.envoy.config.accesslog import v3 as accesslog
from envoy_data_plane.envoy.config.common.mutation_rules import v3 as mutation_rules
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel import v3 as cel
from envoy_data_plane.envoy.extensions.filters.common.set_filter_state import v3 as filter_state
from envoy_data_plane.envoy.extensions.filters.http.buffer import v3 as buffer
from envoy_data_plane.envoy.extensions.filters.http.dynamic_forward_proxy import v3 as forward_filter
from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as ext_proc
from envoy_data_plane.envoy.extensions.filters.http.router import v3 as router
from envoy_data_plane.envoy.extensions.filters.http.set_filter_state import v3 as set_filter_state
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation import v3 as early
from envoy_data_plane.envoy.type import v3 as type_v3
from envoy_data_plane.google.protobuf import Struct

from sidecar.envoyconf.compression import answer_coding
from sidecar.envoyconf.here import http_refusal
from sidecar.envoyconf.passthrough_log import CLIENT_STATE, passed_requests_log
from sidecar.envoyconf.spec import (
    CLIENT_ADDRESS,
    CLUSTER_SIDECAR,
    CODING_NAMESPACE,
    INTERNAL_HEADERS,
    NAMED_HOST,
    REFUSAL_DETAILS,
    GatewaySpec,
)
from sidecar.envoyconf.typed import dns_cache, extension, milliseconds, pack, seconds
from sidecar.envoyconf.upgrades import websocket

EXT_PROC = "envoy.filters.http.ext_proc"

# The request headers the sidecar reads. Each costs about 1 us per request, so the list is what identity, the body's
# reading and the record need. `x-user-id` and its like come from the settings.
READ_HEADERS = (
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "content-type",
    "content-encoding",
    "x-stainless-retry-count",
)
_REQUEST_ATTRIBUTES = (
    "request.path",
    "request.method",
    "request.host",
    "request.id",
    "source.address",
    "xds.route_name",
)
_RESPONSE_ATTRIBUTES = ("response.code", "response.code_details")


def request_attributes(spec: GatewaySpec) -> list[str]:
    """Return the CEL expressions that Envoy evaluates for the first message of an exchange."""
    headers = (*READ_HEADERS, *spec.identity_headers)
    return [*_REQUEST_ATTRIBUTES, *(f"request.headers['{name}']" for name in headers)]


def response_attributes(spec: GatewaySpec) -> list[str]:
    """Return the expressions for the first response message.

    The request's come along again: an exchange that never showed its request (a local reply of Envoy's, such as 413)
    begins here, and its record should still say which call it was.
    """
    return [*_RESPONSE_ATTRIBUTES, *request_attributes(spec)]


def processing_mode(
    *, request_headers: bool, whole_response: bool, response_headers: bool = False
) -> ext_proc.ProcessingMode:
    """Return which parts of an exchange the sidecar sees. The request's body always comes whole.

    Where it sees the request's head it sees the answer's too.
    """
    header, body = ext_proc.ProcessingModeHeaderSendMode, ext_proc.ProcessingModeBodySendMode
    return ext_proc.ProcessingMode(
        request_header_mode=header.SEND if request_headers else header.SKIP,
        request_body_mode=body.BUFFERED,
        response_header_mode=header.SEND if request_headers or response_headers else header.SKIP,
        response_body_mode=body.BUFFERED if whole_response else body.STREAMED,
        request_trailer_mode=header.SKIP,
        response_trailer_mode=header.SKIP,
    )


def connection_manager(spec: GatewaySpec, table: str) -> hcm.HttpConnectionManager:
    """Return the connection manager that serves a route table."""
    return hcm.HttpConnectionManager(
        stat_prefix=table.replace("-", "_"),
        codec_type=hcm.HttpConnectionManagerCodecType.AUTO,
        rds=hcm.Rds(
            route_config_name=table,
            config_source=core.ConfigSource(path_config_source=core.PathConfigSource(path=spec.table_file(table))),
        ),
        http_filters=_http_filters(spec, table),
        http_protocol_options=_http1(table),
        # An extended CONNECT of HTTP/2 (RFC 8441) is a WebSocket like any other.
        http2_protocol_options=core.Http2ProtocolOptions(allow_connect=True),
        upgrade_configs=_upgrades(spec, table),
        early_header_mutation_extensions=[_strip_internal_headers()],
        local_reply_config=_local_replies(),
        access_log=passed_requests_log(spec.passed_log, table, f"{table}/passed") if table in spec.doors else [],
        stream_idle_timeout=seconds(spec.idle_timeout_s),
        request_headers_timeout=seconds(10),
        generate_request_id=True,
        preserve_external_request_id=True,
        use_remote_address=True,
        skip_xff_append=True,
        server_header_transformation=hcm.HttpConnectionManagerServerHeaderTransformation.PASS_THROUGH,
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action=hcm.HttpConnectionManagerPathWithEscapedSlashesAction.REJECT_REQUEST,
    )


def _http1(table: str) -> core.Http1ProtocolOptions | None:
    """The proxy reads HTTP/1.0 too: Python's http.client sends its CONNECT so (until 3.12), and with it requests and boto3."""
    return core.Http1ProtocolOptions(accept_http_10=True) if table == "proxy" else None


def _http_filters(spec: GatewaySpec, table: str) -> list[hcm.HttpFilter]:
    inspection = [
        hcm.HttpFilter(name=EXT_PROC, typed_config=pack(_external_processor(spec))),
        hcm.HttpFilter(
            name="envoy.filters.http.buffer", typed_config=pack(buffer.Buffer(max_request_bytes=spec.max_body_bytes))
        ),
    ]
    return [*([*inspection, answer_coding()] if spec.sockets else []), *_by_host(table), _send()]


def _send() -> hcm.HttpFilter:
    return hcm.HttpFilter(
        name="envoy.filters.http.router", typed_config=pack(router.Router(suppress_envoy_headers=True))
    )


def _by_host(table: str) -> list[hcm.HttpFilter]:
    """Return what finds the host that a request names, and at the proxy refuses those that turn out to be this machine."""
    resolver = [] if table == "gateway" else [_resolver()]
    return [_handed_on(), *resolver, http_refusal()] if table == "proxy" else resolver


def _upgrades(spec: GatewaySpec, table: str) -> list[hcm.HttpConnectionManagerUpgradeConfig]:
    sockets = [websocket(_external_processor(spec), [*_by_host(table), _send()])] if spec.sockets else []
    tunnels = [hcm.HttpConnectionManagerUpgradeConfig(upgrade_type="CONNECT")] if table == "proxy" else []
    return [*sockets, *tunnels]


def _resolver() -> hcm.HttpFilter:
    """Find the host that a request names; only routes that lead to it wait for that."""
    resolved = forward_filter.FilterConfig(dns_cache_config=dns_cache(), save_upstream_address=True)
    return hcm.HttpFilter(name="envoy.filters.http.dynamic_forward_proxy", typed_config=pack(resolved))


def _handed_on() -> hcm.HttpFilter:
    """Hand on to the tunnel the host that CONNECT names, where what is not opened goes, and the client that asked for it."""
    address = "%DOWNSTREAM_REMOTE_ADDRESS%"
    values = [
        _shared(NAMED_HOST, "envoy.string", "%REQ(:AUTHORITY)%"),
        _shared(CLIENT_ADDRESS, CLIENT_ADDRESS, address),
        _shared(CLIENT_STATE, "envoy.string", address),  # for the log
    ]
    return hcm.HttpFilter(
        name="envoy.filters.http.set_filter_state",
        typed_config=pack(set_filter_state.Config(on_request_headers=values)),
    )


def _shared(key: str, kind: str, text: str) -> filter_state.FilterStateValue:
    return filter_state.FilterStateValue(
        object_key=key,
        factory_key=kind,
        format_string=core.SubstitutionFormatString(text_format_source=core.DataSource(inline_string=text)),
        shared_with_upstream=filter_state.FilterStateValueSharedWithUpstream.ONCE,
    )


def _external_processor(spec: GatewaySpec) -> ext_proc.ExternalProcessor:
    return ext_proc.ExternalProcessor(
        grpc_service=core.GrpcService(
            envoy_grpc=core.GrpcServiceEnvoyGrpc(cluster_name=CLUSTER_SIDECAR),
            # A stream that could not be opened is opened once more, at another worker: nothing has been seen of it yet.
            retry_policy=core.RetryPolicy(
                retry_on="connect-failure,refused-stream,reset-before-request", num_retries=2
            ),
        ),
        failure_mode_allow=False,  # the route table opens it in observe mode, see routes.py
        status_on_error=type_v3.HttpStatus(code=type_v3.StatusCode.ServiceUnavailable),
        processing_mode=processing_mode(request_headers=False, whole_response=False),
        allow_mode_override=True,  # an answer that is held and is no stream is collected whole
        request_attributes=request_attributes(spec),
        response_attributes=response_attributes(spec),
        message_timeout=milliseconds(spec.message_timeout_ms),
        mutation_rules=mutation_rules.HeaderMutationRules(allow_all_routing=True),
        metadata_options=ext_proc.MetadataOptions(
            forwarding_namespaces=ext_proc.MetadataOptionsMetadataNamespaces(untyped=[CODING_NAMESPACE])
        ),
        stat_prefix="douane",
    )


def _strip_internal_headers() -> core.TypedExtensionConfig:
    mutations = [mutation_rules.HeaderMutation(remove=name) for name in INTERNAL_HEADERS]
    return extension("envoy.http.early_header_mutation.header_mutation", early.HeaderMutation(mutations=mutations))


# Envoy's own words for these say little, and those for a certificate nothing at all.
_PLAINLY = {
    "response.code_details == 'response_payload_too_large'": (
        "the provider's answer is larger than DOUANE_MAX_BODY_BYTES, and the policy (response: enforce) has it held whole"
    ),
    "response.code_details == 'upgrade_failed'": "of Upgrades only a WebSocket can be let through (policy setting websocket)",
    "response.code_details.contains('CERTIFICATE_VERIFY_FAILED')": (
        "the provider's certificate could not be verified, and nothing was sent to it"
    ),
    "response.code_details.startsWith('dns_resolution_failure')": "the provider's name could not be resolved",
    "response.code_details.startsWith('rbac_access_denied')": (
        "this proxy does not lead to the machine it runs on, and this name does"
    ),
}


def _local_replies() -> hcm.LocalReplyConfig:
    """Envoy's own refusals speak JSON in OpenAI's error shape; those the sidecar composed pass as they are.

    A sidecar that does not answer in time is a 504 to Envoy; to the client it is the 503 of every failed inspection.
    """
    silent = _reply(
        "response.code == 504 && response.code_details.startsWith('ext_proc')", "the inspection did not answer in time"
    )
    silent.status_code = 503
    plainly = [_reply(expression, text) for expression, text in _PLAINLY.items()]
    return hcm.LocalReplyConfig(
        mappers=[silent, *plainly, _reply(f"!response.code_details.startsWith('{REFUSAL_DETAILS}')")]
    )


def _reply(expression: str, text: str = "") -> hcm.ResponseMapper:
    """Answer in our shape; without a text of ours with Envoy's."""
    return hcm.ResponseMapper(
        filter=_where(expression),
        body=core.DataSource(inline_string=text) if text else None,
        body_format_override=_error_body(),
    )


def _where(expression: str) -> accesslog.AccessLogFilter:
    return accesslog.AccessLogFilter(
        extension_filter=accesslog.ExtensionFilter(
            name="envoy.access_loggers.extension_filters.cel",
            typed_config=pack(cel.ExpressionFilter(expression=expression)),
        )
    )


def _error_body() -> core.SubstitutionFormatString:
    error = {
        "message": "Douane: %LOCAL_REPLY_BODY%",
        "type": "douane_gateway_error",
        "param": None,
        "code": "%RESPONSE_CODE_DETAILS%",
        "request_id": "%REQ(X-REQUEST-ID)%",
    }
    return core.SubstitutionFormatString(json_format=Struct.from_dict({"error": error}))
