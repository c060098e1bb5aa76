"""What analytics has told: applied whole, kept on disk, read back or refused."""

from pathlib import Path

import pytest
from douane.v1 import control_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from sidecar.control import snapshot
from sidecar.control.snapshot import BrokenSnapshot, Held, HeldPolicy, HeldPrice, HeldUse, HeldUser

NOW_US = 1_795_000_000_000_000
LATER_S = NOW_US // 1_000_000 + 60
FIRST = pb.Snapshot(
    installation="i",
    version=3,
    full=True,
    policies=[pb.PolicyDocument(tenant="*", version="aa", text="mode: observe")],
    users=[
        pb.UserRisk(
            tenant="t", user="u", risk=8.0, as_of_unix_us=NOW_US, half_life_s=60.0, reason="r", reset_unix_us=5
        ),
        pb.UserRisk(tenant="t", user="v", risk=2.0, as_of_unix_us=NOW_US, quarantined_until_unix_us=NOW_US + 9),
    ],
    budgets=[
        pb.BudgetUse(
            tenant="t", budget="b", key="k", window_unix_s=1, resets_unix_s=LATER_S, others=7, own=0, unit="usd"
        ),
        pb.BudgetUse(
            tenant="t", budget="b", key="k", window_unix_s=1, resets_unix_s=LATER_S, others=4, own=3, unit="usd"
        ),
    ],
    prices=[pb.ModelPrice(provider="p", model="m", prompt_nanousd=1.0, completion_nanousd=2.0, cached_nanousd=0.5)],
)
HELD = Held(
    installation="i",
    version=3,
    policies={"*": HeldPolicy("aa", "mode: observe")},
    users={
        ("t", "u"): HeldUser(8.0, NOW_US, 60.0, 0, 5, "r"),
        ("t", "v"): HeldUser(2.0, NOW_US, 3_600.0, NOW_US + 9),
    },
    budgets={("t", "b", "k"): HeldUse("usd", 1, LATER_S, 4, 3)},
    prices={("p", "m"): HeldPrice(1.0, 2.0, 0.5)},
)


def test_a_whole_snapshot_is_held_as_values_and_the_later_of_two_uses_counts() -> None:
    assert snapshot.applied(snapshot.NOTHING, [FIRST]) == HELD
    assert snapshot.applied(HELD, [pb.Snapshot(installation="j", version=1, full=True)]) == Held("j", 1)


def test_a_delta_changes_what_it_names() -> None:
    delta = pb.Snapshot(
        installation="i",
        version=4,
        policies=[pb.PolicyDocument(tenant="t", version="bb", text="mode: enforce")],
        users=[pb.UserRisk(tenant="t", user="u", risk=1.0, as_of_unix_us=NOW_US, half_life_s=60.0)],
    )
    after = snapshot.applied(HELD, [delta])
    assert (after.version, after.budgets, after.prices) == (4, HELD.budgets, HELD.prices)
    assert after.policies == {"*": HeldPolicy("aa", "mode: observe"), "t": HeldPolicy("bb", "mode: enforce")}
    assert after.users == {("t", "u"): HeldUser(1.0, NOW_US, 60.0), ("t", "v"): HELD.users["t", "v"]}
    gone = pb.Snapshot(
        installation="i", version=5, policies=[pb.PolicyDocument(tenant="t"), pb.PolicyDocument(tenant="x")]
    )
    assert snapshot.applied(after, [gone]).policies == HELD.policies


def test_parts_are_one_snapshot() -> None:
    parts = [
        pb.Snapshot(installation="i", version=9, full=True, continued=True, users=[FIRST.users[0]]),
        pb.Snapshot(installation="i", version=9, users=[FIRST.users[1]]),
    ]
    assert snapshot.applied(snapshot.NOTHING, parts) == Held("i", 9, users=HELD.users)


def test_a_heartbeat_is_no_new_snapshot() -> None:
    assert snapshot.applied(HELD, [pb.Snapshot(installation="i", version=3)]) is HELD


def test_what_is_past_is_forgotten() -> None:
    assert snapshot.without_past(HELD, NOW_US + 59_000_000) is HELD
    after = snapshot.without_past(HELD, NOW_US + 601_000_000)
    assert (set(after.users), dict(after.budgets)) == ({("t", "v")}, {})


def test_risk_fades() -> None:
    user = HELD.users["t", "u"]
    assert [user.risk_at(NOW_US + seconds * 1_000_000) for seconds in (-60, 0, 60, 120, 9_000)] == [
        8.0,
        8.0,
        4.0,
        2.0,
        0.0,
    ]


def test_a_tenant_has_its_own_policy_else_the_one_for_all() -> None:
    own = HeldPolicy("bb", "mode: enforce")
    held = Held(policies={"t": own, "*": HELD.policies["*"]})
    assert [held.policy_of("t"), held.policy_of("x"), Held().policy_of("x")] == [own, HELD.policies["*"], None]


def test_a_file_holds_what_was_written_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "control" / "worker-0.snapshot"
    for held in (snapshot.NOTHING, HELD):
        snapshot.write(path, held)
    assert snapshot.read(path) == HELD
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [one.name for one in path.parent.iterdir()] == ["worker-0.snapshot"]


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "worker-0.snapshot"
    snapshot.write(path, HELD)
    blocked = tmp_path / "blocked.snapshot"
    blocked.mkdir()
    with pytest.raises(OSError, match="directory"):
        snapshot.write(blocked, HELD)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["blocked.snapshot", "worker-0.snapshot"]


@given(st.data())
def test_a_torn_file_is_never_read_as_another(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("torn") / "worker-0.snapshot"
    snapshot.write(path, HELD)
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    broken = data.draw(st.sampled_from([whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]]))
    path.write_bytes(broken)
    with pytest.raises(BrokenSnapshot):
        snapshot.read(path)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"mode: enforce")
    with pytest.raises(BrokenSnapshot, match="does not begin as a snapshot"):
        snapshot.read(path)
    with pytest.raises(FileNotFoundError):
        snapshot.read(tmp_path / "y")


def test_only_what_can_be_used_is_kept() -> None:
    usable = {"*": HeldPolicy("old", "mode: enforce")}
    assert snapshot.keeping(HELD, HELD.policies) is HELD
    kept = snapshot.keeping(HELD, usable)
    assert (kept.version, dict(kept.policies), kept.users) == (0, usable, HELD.users)


def test_a_siblings_snapshot_is_a_beginning_without_its_own_use() -> None:
    mine = snapshot.of_sibling(HELD)
    assert (mine.version, dict(mine.budgets), mine.policies, mine.users) == (0, {}, HELD.policies, HELD.users)
