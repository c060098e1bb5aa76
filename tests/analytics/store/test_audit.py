from sqlalchemy import Engine

from analytics.store import audit, database

ENTRIES = [
    audit.Entry(1_000_000 * number, "ann", "policy.activate", f"v{number}", tenant, {"version": "a"}, {"version": "b"})
    for number, tenant in enumerate(("acme", "", "acme", "other"))
]


def test_entries_come_newest_first_and_by_tenant(engine: Engine) -> None:
    with database.writing(engine) as connection:
        ids = [audit.add(connection, entry) for entry in ENTRIES]
    held = list(zip(ids, ENTRIES, strict=True))[::-1]
    with engine.connect() as connection:
        assert audit.page(connection, None, 10) == held
        assert audit.page(connection, None, 2, ids[2]) == held[2:]
        assert audit.page(connection, "acme", 10) == [one for one in held if one[1].tenant == "acme"]
