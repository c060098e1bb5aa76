from analytics.access.principal import LOCAL, ROLES, Principal


def test_higher_roles_may_what_lower_ones_may() -> None:
    may = {mine: [role for role in ROLES if Principal("a", mine).may(role)] for mine in ROLES}
    assert may == {
        "viewer": ["viewer"],
        "analyst": ["viewer", "analyst"],
        "admin": ["viewer", "analyst", "admin"],
    }


def test_a_tenant_sees_its_own_rows_alone() -> None:
    assert [Principal("a", "admin", "acme").sees(name) for name in ("acme", "", "other")] == [True, False, False]
    assert LOCAL.sees("acme")
