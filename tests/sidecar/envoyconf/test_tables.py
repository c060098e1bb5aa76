"""Route tables as Envoy reads them from a file."""

import json

from sidecar.envoyconf.spec import GatewaySpec
from sidecar.envoyconf.tables import render_table

SPEC = GatewaySpec(sockets=("/tmp/w-0.sock",), folder="/run/douane", proxy_port=3128)


def test_each_table_has_its_name_and_version() -> None:
    assert SPEC.tables == ("gateway", "proxy", "proxy-opened")
    for table in SPEC.tables:
        read = json.loads(render_table(SPEC, table, "p-1"))
        (resource,) = read["resources"]
        assert (read["version_info"], resource["name"]) == ("p-1", table)
        assert SPEC.table_file(table) == f"/run/douane/routes-{table}.json"
