from pathlib import Path

import pytest
from redis import RedisCluster
from redis.exceptions import RedisError

from analytics.redis_client import Keeping, Link, connect, keeping
from tests.support import redis_server
from tests.support.ports import free_ports


@pytest.mark.server
def test_a_cluster_is_recognised_and_its_weakest_master_counts(tmp_path: Path) -> None:
    with redis_server.cluster(tmp_path) as first:
        client = connect(first.url)
        assert isinstance(client, RedisCluster)
        assert keeping(client) == Keeping(append_only=True, fsync="always", evicts=False)
        with first.client() as one:
            one.config_set("appendonly", "no")
            one.config_set("maxmemory", "100mb")
            one.config_set("maxmemory-policy", "allkeys-lru")
        kept = keeping(client)
        client.close()
    assert (kept.append_only, kept.evicts) == (False, True)


@pytest.mark.server
def test_a_server_that_hides_its_configuration_still_says_the_rest(tmp_path: Path) -> None:
    with redis_server.running(tmp_path, "--appendonly", "yes", "--rename-command", "CONFIG", "") as server:
        client = connect(server.url)
        assert keeping(client) == Keeping(append_only=True, fsync="", evicts=False)
        client.close()


@pytest.mark.server
def test_a_link_is_made_once_its_server_is_there(tmp_path: Path) -> None:
    server = redis_server.RedisServer(tmp_path)
    link = Link(server.url)
    with pytest.raises(RedisError):
        link.client()
    server.start()
    assert link.client() is link.client()
    link.close()
    server.kill()


def test_an_absent_server_is_an_error_soon() -> None:
    with pytest.raises(RedisError):
        connect(f"redis://127.0.0.1:{free_ports(1)[0]}")


def test_what_is_wrong_is_said_with_what_to_do() -> None:
    assert Keeping(append_only=True, fsync="always", evicts=False).trouble == ""
    assert "--appendonly yes" in Keeping(append_only=False, fsync="no", evicts=True).trouble
    assert "noeviction" in Keeping(append_only=True, fsync="everysec", evicts=True).trouble
